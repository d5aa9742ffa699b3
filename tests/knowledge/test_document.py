"""The document domain."""

from __future__ import annotations

from headstart.knowledge.document import DOCUMENT
from headstart.knowledge.domains import DOMAINS
from mirror_images import mirror_images_of


def test_no_view_of_a_document_plan_is_ever_mirrored():
    """Mirrored writing is no writing."""
    assert DOMAINS["document"] is DOCUMENT
    assert mirror_images_of("document") == {"as it is"}
