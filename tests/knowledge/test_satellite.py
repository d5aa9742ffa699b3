"""The satellite domain."""

from __future__ import annotations

from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.satellite import SATELLITE
from mirror_images import mirror_images_of


def test_views_of_a_satellite_plan_are_mirrored_and_turned_in_every_way():
    """Seen from above there is no up."""
    assert DOMAINS["satellite"] is SATELLITE
    upright = {"as it is", "left to right", "upside down", "both"}
    assert mirror_images_of("satellite") == upright | {f"{way}, turned" for way in upright}
