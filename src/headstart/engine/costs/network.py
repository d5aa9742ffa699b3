"""Facts of a network that decide what its phases cost: arithmetic, and what crosses at every border; no torch.

`network_counts` reads them off a network. Without one, a card gives them roughly: what a card does not say is spread
over the layer groups as it lies in most networks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from headstart.networks.cards.catalog import ModelCard

_FLOAT_BYTES = 4
_HEAD_SHARE = 0.001
"""Of the arithmetic, where nobody counted it: a few classes on pooled features."""
_HELD_BYTES = 6.0e7
"""What training holds of one image of 224 pixels in a network of a billion multiply-accumulates: 23 MB were counted
for ResNet-18, 50 MB for ViT-Tiny, 57 MB for EfficientNet-Lite0, 140 MB for DenseNet-121."""


@dataclass(frozen=True, slots=True)
class Border:
    """A place where a network may be cut: before the layer group `name`."""

    name: str
    share: float
    """Of the forward pass's arithmetic, what lies before it; 0..1."""
    bytes_per_image: int
    """What crosses for one image, in single precision."""


@dataclass(frozen=True)
class NetworkFacts:
    """One network at one input size."""

    name: str
    """The card's name and the size: what measured speeds are kept under."""
    gmacs: float
    """Billions of multiply-accumulates of one forward pass."""
    parameters: int
    features: int
    """Length of the vector that the head reads."""
    groups: tuple[str, ...]
    """Stem to head."""
    borders: tuple[Border, ...]
    """Before each group but the first, in order."""
    held_bytes: float
    """What a backward pass through all of it holds of one image."""
    vigour: float = 0.35
    """Share of the machine's rate at products of matrices that this kind of network reaches, 0..1."""
    counted: bool = False
    """Whether somebody looked into the network; else what lies between its ends is spread as in most."""

    @property
    def pooled(self) -> Border:
        """The border that a solved head reads at."""
        return Border("pooled", 1.0, self.features * _FLOAT_BYTES)

    def border(self, name: str) -> Border:
        """The border before the group `name`.

        Raises:
            KeyError: there is none.
        """
        for border in self.borders:
            if border.name == name:
                return border
        raise KeyError(name)

    def share_before(self, group: str) -> float:
        """Of the arithmetic, what lies before a group."""
        return 0.0 if group == self.groups[0] else self.border(group).share

    def with_bytes(self, border: str, bytes_per_image: int) -> NetworkFacts:
        """The same where a cut has shown what crosses."""
        changed = tuple(replace(b, bytes_per_image=bytes_per_image) if b.name == border else b for b in self.borders)
        return replace(self, borders=changed)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "groups": list(self.groups), "borders": [asdict(border) for border in self.borders]}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> NetworkFacts:
        """The inverse of `to_dict`."""
        borders = tuple(Border(**border) for border in raw["borders"])
        return cls(**{**raw, "groups": tuple(raw["groups"]), "borders": borders})


def facts_of_card(card: ModelCard, *, size: int, groups: tuple[str, ...] | None = None) -> NetworkFacts:
    """What a card says, and for the rest what most networks are like.

    The arithmetic is spread evenly over the backbone's groups; what crosses halves its sides and doubles its channels
    from one of the last five groups to the next, so that the last map has 1/32 of the image's side.

    Args:
        card: Of the network.
        size: Side of the input in pixels.
        groups: Layer groups, stem to head; the card's own if None.
    """
    names = card.groups if groups is None else groups
    pixels = (size / card.input.size) ** 2
    gmacs = (card.gmacs if card.gmacs is not None else 2.0 * card.parameters / 1e7) * pixels
    features = max(card.features, 1)
    inner = len(names) - 1
    borders = []
    for number, name in enumerate(names[1:], start=1):
        is_head = number == inner
        behind = max(0, inner - number)
        crossing = features * 2.0 ** min(behind, 5) * (size / 32) ** 2 if not is_head else features
        share = 1.0 - _HEAD_SHARE if is_head else (1.0 - _HEAD_SHARE) * number / inner
        borders.append(Border(name, share, int(crossing) * _FLOAT_BYTES))
    return NetworkFacts(
        name=f"{card.name}@{size}",
        gmacs=gmacs,
        parameters=card.parameters,
        features=features,
        groups=tuple(names),
        borders=tuple(borders),
        held_bytes=_HELD_BYTES * gmacs**0.5 * (size / 224),
        vigour=vigour_of(card),
    )


def vigour_of(card: ModelCard) -> float:
    """How near a network of this kind comes to the machine's rate at products of matrices, from its published speed.

    On the machine of timm's table ResNet-50 runs at 275 billion multiply-accumulates a second and MobileNetV2 at 57:
    what is relative between networks holds on other machines too.
    """
    if card.cpu_images_per_second is None or card.gmacs is None:
        return NetworkFacts.vigour
    return min(1.0, max(0.02, card.cpu_images_per_second * card.gmacs / 300.0))


def expected_gain(vigour: float) -> float:
    """How much faster ONNX Runtime runs a network of this kind than PyTorch as it is, where nobody measured it.

    The less of the machine PyTorch reaches, the more there is to gain: for networks of vigour 0.19, 0.23, 0.76 and 0.92
    it was 4.8, 4.9, 1.4 and 1.9 (docs/benchmarks.md, against NHWC).
    """
    return min(5.0, max(1.0, 1.6 * math.pow(vigour, -0.65)))
