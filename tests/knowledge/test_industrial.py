"""The industrial domain."""

from __future__ import annotations

from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.industrial import INDUSTRIAL


def test_flips_are_right_for_industrial():
    """Why: a defect is one in every mirror image; nothing is said of a body, and who needs one side is told how."""
    assert DOMAINS["industrial"] is INDUSTRIAL
    assert INDUSTRIAL.flip == "all"
    assert "augmentation.flip: none" in INDUSTRIAL.flip_reason
    assert "body" not in INDUSTRIAL.flip_reason + INDUSTRIAL.augmentation_reason
    assert INDUSTRIAL.augmentation == "standard"
