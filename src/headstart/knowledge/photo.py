"""Everyday photographs."""

from __future__ import annotations

from headstart.knowledge.domain import DomainValues

PHOTO = DomainValues(
    name="photo",
    augmentation="standard",
    augmentation_reason="photos: crops, small rotations and colour changes do not alter what is shown",
    flip="horizontal",
    flip_reason="photos: a mirrored scene is as likely as the scene, an upside-down one is not",
)
