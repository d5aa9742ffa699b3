"""The document domain."""

from __future__ import annotations

from headstart.knowledge.document import DOCUMENT
from headstart.knowledge.domains import DOMAINS


def test_flips_are_right_for_document():
    """Why: mirrored writing is no writing."""
    assert DOMAINS["document"] is DOCUMENT
    assert DOCUMENT.flip == "none"
    assert "document" in DOCUMENT.flip_reason or "aerial" in DOCUMENT.flip_reason
    assert DOCUMENT.augmentation == "standard"
