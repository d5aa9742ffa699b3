"""Facts of domains and costs: whole, in range, and tied to the names they are about."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from checkout import ROOT
from headstart.knowledge.choosing import (
    CLOUD_CPU,
    CLOUD_GPU,
    FROM_SCRATCH,
    MEASURED,
    TRANSFER,
    depths_in,
    similarity_level,
    with_shares,
)
from headstart.knowledge.transfer import DEPTH_FACTS
from headstart.plan.plan import Domain


@pytest.mark.parametrize(
    ("value", "level"), [(0.0, "low"), (0.33, "low"), (0.34, "medium"), (0.66, "medium"), (0.67, "high"), (1.0, "high")]
)
def test_similarity_is_told_in_thirds(value: float, level: str):
    assert similarity_level(value) == level


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")])
def test_a_similarity_outside_is_refused(value: float):
    with pytest.raises(ValueError, match=r"must be in 0\.\.1"):
        similarity_level(value)


def test_photos_transfer_as_the_literature_says_and_farther_domains_less():
    assert depths_in("photo") == DEPTH_FACTS
    for moderate in ("medical", "satellite"):
        for here, photo, page in zip(depths_in(moderate), DEPTH_FACTS, depths_in("document"), strict=True):
            assert page.transfer_share < here.transfer_share < photo.transfer_share
            assert here.lr == photo.lr
    for domain in get_args(Domain):
        shares = [fact.transfer_share for fact in depths_in(domain)]
        assert all(early > late for early, late in itertools.pairwise(shares))
        lost = [1 - share / fact.transfer_share for share, fact in zip(shares, DEPTH_FACTS, strict=True)]
        assert lost == sorted(lost), "a gap takes most from the late layers"


def test_shares_can_be_the_users_own():
    assert [fact.transfer_share for fact in with_shares((1.0, 0.5, 0.2, 0.0))] == [1.0, 0.5, 0.2, 0.0]
    for wrong in ((0.5,), (1.0, 0.5, 0.2, -0.1)):
        with pytest.raises(ValueError, match="4 numbers in 0"):
            with_shares(wrong)


def test_prices_say_that_they_are_assumed():
    for price in (CLOUD_CPU, CLOUD_GPU):
        assert price.usd_per_hour > 0
        assert "assumed" in price.source
        assert "2025" in price.source
    assert FROM_SCRATCH.labelled_images == (100_000, None)
    assert TRANSFER.usd[1] < FROM_SCRATCH.usd[0]


def test_the_measured_accuracies_are_those_of_the_published_exercise():
    page = (ROOT / "docs" / "exercises.md").read_text(encoding="utf-8")
    table = page[page.index("exercise-strategies:start") : page.index("exercise-strategies:end")]
    for result in MEASURED:
        low, high = result.accuracy_interval
        assert f"| {result.strategy} | 3 | {result.accuracy:.3f} ({low:.3f}..{high:.3f}) |" in table
