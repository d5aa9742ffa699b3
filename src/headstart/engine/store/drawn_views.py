"""Name of what augmented views are drawn from, as the activation cache records it; no torch."""

from __future__ import annotations

from importlib import metadata

from headstart.plan.sections import AugmentationPlan

AUGMENT_VERSION = 4
"""Raised when the same preset, generator and pixels may become another view; part of the address of stored views."""


def views_drawn_from(augmentation: AugmentationPlan) -> str:
    """Everything that decides a random view besides its name and the image, as the cache records it."""
    version = f"augment {AUGMENT_VERSION}, torchvision {metadata.version('torchvision')}"
    return f"{augmentation.preset}, flip {augmentation.flip}, {version}"
