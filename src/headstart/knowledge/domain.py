"""Default values of a domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AugmentationName = Literal["none", "light", "standard", "strong", "trivial"]
"""Augmentation presets, from weakest to strongest (trivial: TrivialAugment)."""

Domain = Literal["photo", "medical", "satellite", "document", "industrial"]
"""Domains with default values of their own."""


@dataclass(frozen=True, slots=True)
class DomainValues:
    """Default values of one domain; options that the user gives win."""

    name: Domain
    augmentation: AugmentationName
    augmentation_reason: str
    flip: Literal["none", "horizontal", "all"]
    flip_reason: str
