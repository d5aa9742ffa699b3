"""Surfaces, textures and parts in front of a fixed camera."""

from __future__ import annotations

from headstart.knowledge.domain import DomainValues

INDUSTRIAL = DomainValues(
    name="industrial",
    augmentation="standard",
    augmentation_reason="surfaces: small rotations and changes of brightness are changes of position and lamp",
    flip="all",
    flip_reason="surfaces: a defect means the same in every mirror image; where orientation matters (writing, a part "
    "upside down), set augmentation.flip: none in the plan",
)
