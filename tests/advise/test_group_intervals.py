"""Intervals over images of which some belong together: the usual ones where none do, and honest where they do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from headstart.advise.group_intervals import (
    independent_images,
    mean_interval,
    numbered,
    share_difference_interval,
    share_interval,
)
from headstart.evaluate.metrics import wilson_interval

Z95 = 1.959963984540054

bools = st.lists(st.booleans(), min_size=2, max_size=40)
wins = st.lists(st.sampled_from((-1.0, 0.0, 1.0)), min_size=2, max_size=40)


def matched(values: np.ndarray) -> tuple[float, float]:
    """The adjusted Wald interval of Agresti & Min (2005), written out for images that stand alone."""
    count = len(values) + 2
    first, second = (values > 0).sum() + 0.5, (values < 0).sum() + 0.5
    centre = (first - second) / count
    half = Z95 * math.sqrt((first + second) - (first - second) ** 2 / count) / count
    return centre - half, centre + half


def test_groups_are_numbered_by_name():
    assert numbered(["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]


@given(bools)
def test_the_interval_of_images_that_stand_alone_is_wilsons(told: list[bool]):
    right = np.array(told)
    found = share_interval(right, np.arange(len(right)))
    assert found == pytest.approx(wilson_interval(int(right.sum()), len(right)))


@given(bools, st.integers(2, 6))
def test_copies_of_images_narrow_no_interval(told: list[bool], copies: int):
    right, together = np.repeat(told, copies), np.repeat(np.arange(len(told)), copies)
    assert share_interval(right, together) == pytest.approx(wilson_interval(sum(told), len(told)))
    if 0 < sum(told) < len(told):
        low, high = share_interval(right, np.arange(len(right)))
        assert share_interval(right, together)[0] < low < high < share_interval(right, together)[1]


@given(wins, st.integers(1, 5))
def test_the_difference_of_shares_is_that_of_matched_proportions(told: list[float], copies: int):
    """Copies of an image that belong together tell what one of them tells."""
    values = np.array(told)
    together = np.repeat(np.arange(len(values)), copies)
    assert share_difference_interval(np.repeat(values, copies), together) == pytest.approx(matched(values))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=40), st.integers(1, 5))
def test_the_mean_has_students_interval_over_groups(told: list[float], copies: int):
    values = np.array(told)
    half = float(t.ppf(0.975, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    found = mean_interval(np.repeat(values, copies), np.repeat(np.arange(len(values)), copies))
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=1e-9)


def test_of_a_single_group_nothing_is_known_of_the_mean():
    assert mean_interval(np.array([1.0, 2.0]), np.array([7, 7])) == (-math.inf, math.inf)


@given(bools, st.data())
def test_there_are_never_more_independent_images_than_images(told: list[bool], data: st.DataObject):
    together = np.array(data.draw(st.lists(st.integers(0, 5), min_size=len(told), max_size=len(told))))
    assert 0 < independent_images(np.array(told), together) <= len(told) + 1e-9


def test_alike_images_of_a_group_count_as_one_and_unlike_ones_as_many():
    pairs = np.arange(40) // 2
    assert independent_images(np.arange(40) // 2 % 2 == 0, pairs) == pytest.approx(20)
    assert independent_images(np.arange(40) % 2 == 0, pairs) == pytest.approx(40)
    assert independent_images(np.ones(40, bool), pairs) == pytest.approx(20)


def test_intervals_cover_the_truth_where_images_of_a_group_are_alike():
    """Sixty patients with one to nineteen images: each interval holds the truth 95 times of 100, without groups not."""
    rng = np.random.default_rng(0)
    together = np.repeat(np.arange(60), rng.integers(1, 20, 60))
    alone = np.arange(len(together))
    covered = {(name, kind): 0 for name in ("share", "mean", "difference") for kind in ("together", "alone")}
    for _ in range(400):
        skill, shift = rng.beta(2, 1, 60)[together], rng.normal(0, 1, 60)[together]
        right = rng.random(len(together)) < skill
        gaps = shift + rng.normal(0, 1, len(together))
        won = np.where(rng.random(len(together)) < 0.3, np.sign(shift), 0.0)  # either may win a patient: 0 on average
        for kind, groups in (("together", together), ("alone", alone)):
            for name, (low, high), truth in (
                ("share", share_interval(right, groups), 2 / 3),
                ("mean", mean_interval(gaps, groups), 0.0),
                ("difference", share_difference_interval(won, groups), 0.0),
            ):
                covered[name, kind] += low <= truth <= high
    assert {name: round(count / 400, 2) for (name, kind), count in covered.items() if kind == "together"} == {
        "share": pytest.approx(0.95, abs=0.04),
        "mean": pytest.approx(0.95, abs=0.04),
        "difference": pytest.approx(0.95, abs=0.04),
    }
    assert all(count / 400 < 0.9 for (_, kind), count in covered.items() if kind == "alone")
