"""The photo domain."""

from __future__ import annotations

from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.photo import PHOTO


def test_flips_are_right_for_photo():
    """Why: a mirrored photo is a photo, an upside-down one is not."""
    assert DOMAINS["photo"] is PHOTO
    assert PHOTO.flip == "horizontal"
    assert "photo" in PHOTO.flip_reason or "aerial" in PHOTO.flip_reason
    assert PHOTO.augmentation == "standard"
