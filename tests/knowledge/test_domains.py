"""Every domain of the plan has its values, under its own name."""

from __future__ import annotations

from typing import get_args

from headstart.knowledge.domain import Domain
from headstart.knowledge.domains import DOMAINS


def test_every_domain_has_its_values():
    assert set(DOMAINS) == set(get_args(Domain))
    assert all(name == values.name for name, values in DOMAINS.items())
