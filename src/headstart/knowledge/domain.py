"""Values of a domain: one record that holds all of them, and whoever uses one reads it there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from headstart.input_spec import ChannelMethod, Contrast, Resize

AugmentationName = Literal["none", "light", "standard", "strong", "trivial"]
"""Augmentation presets, from weakest to strongest (trivial: TrivialAugment)."""

Domain = Literal["photo", "medical", "satellite", "document", "industrial"]
"""Domains with values of their own."""
RequestedDomain = Literal["auto", "photo", "medical", "satellite", "document", "industrial"]
"""What a user may ask for; auto: as the images look, or unknown."""

SimilarityLevel = Literal["low", "medium", "high"]
"""Similarity of the images to those the weights were trained on."""

RULE_OF_THUMB = "rule of thumb of teaching material"
"""Source of numbers that no paper has measured."""


Flip = Literal["none", "horizontal", "all", "dihedral"]
"""Mirrored training views: left to right; up and down too; or turned by quarters as well, the eight symmetries of a
square."""


@dataclass(frozen=True, slots=True)
class DomainStrategy:
    """Strategy that a domain has where its similarity to ImageNet is low."""

    name: Literal["full", "partial"]
    least_images: int
    reason: str
    """Clause that follows the facts of the situation."""
    source: str


@dataclass(frozen=True, slots=True)
class DomainWeights:
    """Published weights that were trained on images of a domain: a candidate to probe, never a default."""

    name: str
    """Of `--model`, or what is in the file that the user has to fetch."""
    what: str
    """What they were trained on, with the source."""
    licence: str
    channels: int
    """Bands of an image that they were trained on."""
    how: str
    """The command or the address that brings them."""


@dataclass(frozen=True, slots=True)
class DomainValues:
    """Values of one domain; options that the user gives win."""

    name: Domain

    gap: Literal["unknown", "moderate", "large"]
    """How far the domain is from ImageNet's photos."""
    similarity: SimilarityLevel | None
    """Similarity where it was not measured; None: everything from low to high occurs."""
    transfer_exponent: float
    """The domain's transfer shares are `DEPTH_FACTS` raised to this power: an estimate of ours that leaves early layers
    nearly unchanged and lowers late ones most; `headstart probe` measures it."""
    usual_images: str
    advice: str
    source: str
    """Of gap and advice."""

    augmentation: AugmentationName
    augmentation_reason: str
    flip: Flip
    flip_reason: str

    few_images_augmentation: AugmentationName | None = None
    """Where layers are tuned on fewer than `choosing.FEW_IMAGES` images; None: `augmentation`."""
    few_images_reason: str = ""
    contrast: Contrast = "file"
    contrast_reason: str = ""
    """Why it is worth a word for this domain; empty: it is not."""
    channels: ChannelMethod | Literal["auto"] = "auto"
    """How images of 2 or 4 to 16 bands reach weights of three channels; auto: the ways are compared on the images."""
    channels_reason: str = ""
    resize: Resize | None = None
    """How an image becomes a square; None: as the weights want."""
    resize_reason: str = ""
    largest_input: int | None = None
    """Side of the input in pixels; less where images have fewer. None: the weights'."""
    input_reason: str = ""
    dropout: float | None = None
    """Least dropout before a trained head; None: the domain asks for none of its own."""
    strategy: DomainStrategy | None = None
    """None: the general rules of `advice.rules` hold."""
    weights: tuple[DomainWeights, ...] = ()
    """Candidates; empty: ImageNet's are the usual ones."""
    group_hint: str = ""
    """What images of one origin share, so that they stay on one side of every split."""
    words: tuple[str, ...] = ()
    """Beginnings of words in names of classes and sets that speak of this domain."""
    evidence: str = ""
    """What was measured for its values, and where."""

    def larger_input(self, resolution: int | None) -> int | None:
        """Side of the input in pixels for images of this resolution; None where the domain leaves it to the weights.

        Args:
            resolution: Median of the shorter sides in pixels; None: not known.
        """
        if self.largest_input is None or resolution is None:
            return self.largest_input
        # Networks shrink an image 32-fold. No image is enlarged: tiles of 256 px at 320 took longer and were no better
        # (docs/benchmarks.md).
        return min(self.largest_input, 32 * math.ceil(resolution / 32))

    @property
    def weights_text(self) -> str:
        """Names of the candidates with their licences; empty where there are none."""
        return ", ".join(f"{one.name} ({one.licence})" for one in self.weights)
