"""The photo domain."""

from __future__ import annotations

from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.photo import PHOTO
from mirror_images import mirror_images_of


def test_half_the_views_of_a_photo_plan_are_mirrored_left_to_right():
    """A mirrored scene is as likely as the scene, an upside-down one is not."""
    assert DOMAINS["photo"] is PHOTO
    assert mirror_images_of("photo") == {"as it is", "left to right"}
