"""Facts of a network that its estimates depend on: MACs, and the activations at every cut point; no torch.

`network_counts` counts them inside a network. Without one, a card gives them roughly: what it does not say is spread
over the layer groups as in most networks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from headstart.networks.cards.catalog import ModelCard

PIXELS = "pixels"
"""Where a phase starts whose network runs from the images on."""

_FLOAT_BYTES = 4
_HEAD_SHARE = 0.001
"""Share of the MACs, where they are not counted: a few classes on pooled features."""
_HELD_BYTES = 6.0e7
"""What training holds of one image of 224 pixels in a network of a billion MACs: 23 MB were counted
for ResNet-18, 50 MB for ViT-Tiny, 57 MB for EfficientNet-Lite0, 140 MB for DenseNet-121."""


@dataclass(frozen=True, slots=True)
class CutPoint:
    """A point where a network may be cut: before the layer group `name`."""

    name: str
    share: float
    """Share of the forward pass's MACs before it, 0..1."""
    bytes_per_image: int
    """Activations of one image, in single precision."""


@dataclass(frozen=True)
class NetworkFacts:
    """One network at one input size."""

    name: str
    """The card's name and the size: measured figures are remembered under it."""
    gmacs: float
    """Billions of MACs of one forward pass."""
    parameters: int
    features: int
    """Length of the vector that the head reads."""
    groups: tuple[str, ...]
    """Stem to head."""
    cut_points: tuple[CutPoint, ...]
    """Before each group but the first, in order."""
    held_bytes: float
    """What a backward pass through all of it holds of one image."""
    utilisation: float = 0.35
    """Share of the machine's speed at products of matrices that this kind of network reaches, 0..1."""
    counted: bool = False
    """Whether MACs and activations were counted inside the network; else they are spread as in most."""
    uncut: tuple[str, ...] = ()
    """Cut points at which it could not be cut."""

    @property
    def pooled(self) -> CutPoint:
        """The cut point whose activations a linear probe reads."""
        return CutPoint("pooled", 1.0, self.features * _FLOAT_BYTES)

    def cut_point(self, name: str) -> CutPoint:
        """The cut point before the group `name`.

        Raises:
            KeyError: there is none.
        """
        return {one.name: one for one in self.cut_points}[name]

    def share_before(self, group: str) -> float:
        """Share of the MACs before a group; 0 for the first group and for PIXELS."""
        return 0.0 if group in (self.groups[0], PIXELS) else self.cut_point(group).share

    def groups_within(self, share: float) -> int:
        """Backbone groups, counted from the last, in which at most this share of the MACs lies; at least one.

        Args:
            share: Of the MACs of a forward pass, 0..1.
        """
        backbone = self.groups[:-1]
        fitting = [name for name in backbone if 1.0 - self.share_before(name) <= share]
        return max(1, len(fitting))

    def with_bytes(self, name: str, bytes_per_image: int) -> NetworkFacts:
        """The same, where a cut has shown the size of the activations."""
        points = (replace(p, bytes_per_image=bytes_per_image) if p.name == name else p for p in self.cut_points)
        return replace(self, cut_points=tuple(points))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> NetworkFacts:
        """The facts whose `asdict` went through JSON.

        Raises:
            KeyError: a field is missing.
            TypeError: a field is unknown or damaged.
        """
        points = tuple(CutPoint(**one) for one in raw["cut_points"])
        return cls(**{**raw, "groups": tuple(raw["groups"]), "cut_points": points, "uncut": tuple(raw["uncut"])})


def facts_of_card(card: ModelCard, *, size: int, groups: tuple[str, ...] | None = None) -> NetworkFacts:
    """Facts that a card gives, and for the rest those of most networks.

    The MACs are spread evenly over the backbone's groups; activations halve their sides and double their channels from
    one of the last five groups to the next, so that the last map has 1/32 of the image's side.

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
    cut_points = []
    for number, name in enumerate(names[1:], start=1):
        # Behind the last group of the backbone features are pooled.
        crossing = features if number == inner else features * 2.0 ** min(inner - number, 5) * (size / 32) ** 2
        share = 1.0 - _HEAD_SHARE if number == inner else (1.0 - _HEAD_SHARE) * number / inner
        cut_points.append(CutPoint(name, share, int(crossing) * _FLOAT_BYTES))
    return NetworkFacts(
        name=f"{card.name}@{size}",
        gmacs=gmacs,
        parameters=card.parameters,
        features=features,
        groups=tuple(names),
        cut_points=tuple(cut_points),
        held_bytes=_HELD_BYTES * gmacs**0.5 * (size / 224),
        utilisation=utilisation_of(card),
    )


class _Sized(Protocol):
    """A classifier of any kind."""

    @property
    def card(self) -> ModelCard: ...
    @property
    def group_names(self) -> tuple[str, ...]: ...
    @property
    def num_parameters(self) -> int: ...
    @property
    def num_features(self) -> int: ...


def classifier_facts(classifier: _Sized, *, size: int) -> NetworkFacts:
    """Facts of the card, with the groups and the parameters that the network has."""
    expected = facts_of_card(classifier.card, size=size, groups=classifier.group_names)
    return replace(expected, parameters=classifier.num_parameters, features=classifier.num_features)


def utilisation_of(card: ModelCard) -> float:
    """Share of the machine's speed at products of matrices that this kind of network reaches, by published throughput.

    On the machine of timm's table ResNet-50 runs at 275 billion MACs a second and MobileNetV2 at 57:
    ratios between networks hold on other machines too.
    """
    if card.cpu_images_per_second is None or card.gmacs is None:
        return NetworkFacts.utilisation
    return min(1.0, max(0.02, card.cpu_images_per_second * card.gmacs / 300.0))


def expected_gain(utilisation: float) -> float:
    """Throughput of ONNX Runtime by that of PyTorch for a network of this kind, where it was not measured.

    The less of the machine PyTorch uses, the more there is to gain: at utilisations of 0.19, 0.23, 0.76 and 0.92 it was
    4.8, 4.9, 1.4 and 1.9 (docs/benchmarks.md, against NHWC).
    """
    return min(5.0, max(1.0, 1.6 * math.pow(utilisation, -0.65)))
