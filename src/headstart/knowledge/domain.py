"""What a domain says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AugmentationName = Literal["none", "light", "standard", "strong", "trivial"]
"""How far training views may vary."""

Domain = Literal["photo", "medical", "satellite", "document", "industrial"]
"""Kinds of images that have defaults of their own."""


@dataclass(frozen=True, slots=True)
class DomainValues:
    """Defaults for one kind of images; anything the user sets wins."""

    name: Domain
    augmentation: AugmentationName
    augmentation_reason: str
    flip: Literal["none", "horizontal", "all"]
    flip_reason: str
