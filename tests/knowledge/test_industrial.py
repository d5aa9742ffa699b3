"""The industrial domain."""

from __future__ import annotations

from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.industrial import INDUSTRIAL
from mirror_images import mirror_images_of


def test_views_of_an_industrial_plan_are_mirrored_in_every_way():
    """A defect means the same in every mirror image."""
    assert DOMAINS["industrial"] is INDUSTRIAL
    assert mirror_images_of("industrial") == {"as it is", "left to right", "upside down", "both"}


def test_who_needs_one_orientation_is_told_how():
    assert "augmentation.flip: none" in INDUSTRIAL.flip_reason
