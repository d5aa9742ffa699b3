"""The satellite domain."""

from __future__ import annotations

from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.satellite import SATELLITE


def test_flips_are_right_for_satellite():
    """Why: from above there is no up."""
    assert DOMAINS["satellite"] is SATELLITE
    assert SATELLITE.flip == "all"
    assert "satellite" in SATELLITE.flip_reason or "aerial" in SATELLITE.flip_reason
    assert SATELLITE.augmentation == "standard"
