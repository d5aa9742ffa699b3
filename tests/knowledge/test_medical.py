"""The medical domain."""

from __future__ import annotations

from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.medical import MEDICAL


def test_flips_are_right_for_medical():
    """Why: left and right mean something in a body."""
    assert DOMAINS["medical"] is MEDICAL
    assert MEDICAL.flip == "none"
    assert "medical" in MEDICAL.flip_reason or "aerial" in MEDICAL.flip_reason
    assert MEDICAL.augmentation == "standard"
