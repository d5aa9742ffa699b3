"""Intervals over images of which some belong together: the usual ones where none do, and honest where they do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import t

from headstart.measures.intervals import (
    chance_of_share_below,
    independent_images,
    mean_interval,
    numbered,
    share_difference_interval,
    share_interval,
    unpaired_difference_interval,
    wilson_interval,
)

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
    assert 30 < independent_images(np.arange(40) % 2 == 0, pairs) <= 40
    assert independent_images(np.ones(40, bool), pairs) == pytest.approx(20)


def test_without_errors_few_groups_count_about_as_one_image_each():
    """400 correct images of 5 patients tell no more than 5 patients: Wilson of 5 of 5, not of 400 of 400."""
    low, high = share_interval(np.ones(400, bool), np.repeat(np.arange(5), 80))
    assert (low, high) == pytest.approx(wilson_interval(5, 5))
    assert share_interval(np.ones(30, bool), np.zeros(30, int)) == pytest.approx(wilson_interval(1, 1))


def test_weights_count_images_as_copies_of_them_would():
    """Three images of weight 2 in groups of their own tell what three independent images of weight 1 tell."""
    right = np.array([True, False, True, True])
    assert independent_images(right, np.arange(4), weights_N=np.array([2.0, 2, 2, 2])) == pytest.approx(4)
    uneven = independent_images(right, np.arange(4), weights_N=np.array([3.0, 1, 1, 1]))
    assert uneven == pytest.approx(36 / 12), "Kish: squared sum of the weights over the sum of their squares"
    low, high = share_interval(right, np.arange(4), weights_N=np.array([3.0, 1, 1, 1]))
    assert low < 5 / 6 < high


def test_another_level_is_as_scipy_has_it():
    right, alone = np.repeat([True, False], (30, 10)), np.arange(40)
    reference = stats.binomtest(30, 40).proportion_ci(0.99, method="wilson")
    assert share_interval(right, alone, level=0.99) == pytest.approx((reference.low, reference.high))


def test_the_chance_of_a_low_share_is_the_binomial_tail():
    right = np.arange(10) < 8
    assert chance_of_share_below(right, np.arange(10), truth=0.97) == pytest.approx(stats.binom.cdf(8, 10, 0.97))
    twice = chance_of_share_below(np.repeat(right, 3), np.repeat(np.arange(10), 3), truth=0.97)
    assert twice == pytest.approx(stats.binom.cdf(8, 10, 0.97)), "copies of an image tell what one of them tells"
    assert chance_of_share_below(right, np.arange(10), truth=0.8) == 1.0


def test_an_unpaired_difference_is_newcombes():
    """The example of Newcombe (1998), table II: 56 of 70 and 48 of 80 give 0.0524 to 0.3339 by method 10."""
    first, second = np.repeat([True, False], (56, 14)), np.repeat([True, False], (48, 32))
    found = unpaired_difference_interval((first, np.arange(70)), (second, np.arange(80)), level=0.95)
    assert found == pytest.approx((0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize("groups", [6, 50])
@pytest.mark.parametrize("accuracy", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8])
def test_the_interval_of_a_share_holds_the_truth_whatever_the_groups(groups: int, accuracy: float, correlation: float):
    """Simulated with a beta-binomial model; `benchmarks/interval_coverage.py` has the whole table."""
    rng = np.random.default_rng(groups)
    together = np.repeat(np.arange(groups), rng.integers(1, 13, groups))
    held = 0
    for _ in range(150):
        skill = np.full(groups, accuracy)
        if correlation:
            spread = (1 - correlation) / correlation
            skill = rng.beta(spread * accuracy, spread * (1 - accuracy), groups)
        low, high = share_interval(rng.random(len(together)) < skill[together], together)
        held += low <= accuracy <= high
    assert held / 150 > 0.87, "at least 0.92 in 1,500 draws, less three standard errors of 150"


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
