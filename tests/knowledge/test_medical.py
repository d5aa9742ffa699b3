"""The medical domain."""

from __future__ import annotations

from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.medical import MEDICAL
from mirror_images import mirror_images_of


def test_no_view_of_a_medical_plan_is_ever_mirrored():
    """Left and right mean something in a body."""
    assert DOMAINS["medical"] is MEDICAL
    assert mirror_images_of("medical") == {"as it is"}
