"""What a domain says is a fixed record."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from headstart.knowledge.medical import MEDICAL


def test_the_values_of_a_domain_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        MEDICAL.flip = "all"
