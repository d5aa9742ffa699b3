"""Variances and tests against closed forms, scipy and small simulations whose truth is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.measures.paired import (
    Crossed,
    crossed,
    holm,
    image_covariance,
    interval,
    mcnemar_p_value,
    pigeonhole,
    sign_flip_p_values,
    spread_of,
    spread_of_difference,
)
from headstart.measures.seed_variance import SIGNIFICANCE_LEVEL, crossed_p_value, half_width

FAST = settings(max_examples=40, deadline=None)


def table(values: object) -> Crossed:
    array = np.asarray(values, np.float64)
    return crossed(array, np.zeros(array.shape[1], np.int64))


def equals(rng: np.random.Generator, seeds: int, images: int, shift: float) -> tuple[Crossed, Crossed]:
    """Two equally good recipes: images are hard or easy, suit one side, have luck; seeds are better as a whole."""
    base = rng.normal(1.3, 1, images)
    sides = []
    for _ in range(2):
        own, luck = rng.normal(0, 0.3, images), rng.normal(0, 0.3, (seeds, images))
        sides.append(table(base + own + luck + rng.normal(0, shift, (seeds, 1)) > 0))
    return sides[0], sides[1]


@FAST
@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_equals_binomial_test(only_a: int, only_b: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(only_a, only_a + only_b, 0.5).pvalue if only_a + only_b else 1.0
    assert mcnemar_p_value(only_a, only_b) == pytest.approx(expected, abs=1e-12)


def test_holm_as_by_hand() -> None:
    # 0.01 * 4, 0.02 * 3, 0.03 * 2 = 0.06 as the one before, 0.4 * 1
    corrected, levels = holm([0.03, 0.01, 0.4, 0.02])
    assert corrected.tolist() == pytest.approx([0.06, 0.04, 0.4, 0.06])
    assert levels.tolist() == pytest.approx([0.025, 0.0125, 0.05, 0.05 / 3])
    assert holm([])[0].size == 0


@FAST
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lies_between_nothing_and_bonferroni(p_values: list[float]) -> None:
    corrected, _ = holm(p_values)
    assert all(p <= c <= min(1.0, p * len(p_values)) + 1e-12 for p, c in zip(p_values, corrected, strict=True))
    pairs = itertools.combinations(zip(p_values, corrected, strict=True), 2)
    assert all(ca <= cb if pa <= pb else ca >= cb for (pa, ca), (pb, cb) in pairs if pa != pb)
    assert np.array_equal(np.sort(corrected), np.sort(holm(p_values[::-1])[0]))


def test_signs_equal_all_their_combinations() -> None:
    rng = np.random.default_rng(3)
    contributions = np.zeros((2, 9))
    contributions[0], contributions[1, 2:8] = rng.normal(0.4, 1, 9), rng.normal(1.2, 1, 6)
    for row, p_value in zip(contributions, sign_flip_p_values(contributions), strict=True):
        sums = [abs(np.dot(signs, row)) for signs in itertools.product((-1, 1), repeat=9)]
        expected = np.mean(np.array(sums) >= abs(row.sum()) - 1e-9)
        assert p_value == pytest.approx(expected, abs=4 * math.sqrt(expected / 9999))
    assert sign_flip_p_values(np.zeros((1, 4))).tolist() == [1.0]
    assert sign_flip_p_values(np.ones((1, 40))).tolist() == [1e-4]


def test_weights_give_every_class_and_every_seed_the_same() -> None:
    nan = math.nan
    values = np.array([[1, 1, 1, 0], [1, nan, nan, 1], [nan, 0, nan, nan]], np.float64)
    found = crossed(values, np.array([0, 0, 0, 1]))
    assert found.seed_means.tolist() == [0.5, 1.0, 0.0]
    assert found.weights.sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    assert not found.is_complete


def test_covariance_of_seeds_is_that_of_their_means() -> None:
    values = np.random.default_rng(0).normal(size=(3, 50))
    assert image_covariance(table(values)) == pytest.approx(np.cov(values) / 50)
    # by class: the variance of a stratified mean, and none between the classes
    strata = np.arange(50) % 2
    shifted = crossed(values + 10 * strata, strata)
    by_hand = sum(np.cov(values[:, strata == k]) / 25 for k in (0, 1)) / 4
    assert image_covariance(shifted) == pytest.approx(by_hand)


def test_seeds_that_share_no_image_share_no_variance() -> None:
    values = np.random.default_rng(1).normal(size=(2, 80))
    values[0, 40:] = values[1, :40] = np.nan
    spread = spread_of(table(values))
    assert spread.images == 0
    assert spread.seeds == pytest.approx(np.var([values[0, :40].mean(), values[1, 40:].mean()], ddof=1) / 2)


def test_many_images_of_seeds_that_agree_are_a_paired_test_over_images() -> None:
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(6)
    rows = rng.normal(size=(2, 200))
    a, b = (table(np.repeat(row[None], 3, axis=0)) for row in rows)
    expected = ttest_rel(rows[0], rows[1]).pvalue
    assert crossed_p_value(a.mean - b.mean, spread_of_difference(a, b)) == pytest.approx(expected, rel=1e-3)


def test_nothing_apart_is_no_difference_and_no_doubt_is_one() -> None:
    same = table(np.ones((2, 30)))
    assert crossed_p_value(0.0, spread_of_difference(same, same)) == 1.0
    apart = spread_of_difference(same, table(np.zeros((2, 30))), 1.0)
    assert crossed_p_value(1.0, apart) < 1e-12
    # nothing was seen to differ on 30 images; that is no proof that nothing does
    assert 1 / 32 < half_width(spread_of_difference(same, same, 1.0)) < 3 / 30


@pytest.mark.parametrize(("seeds", "shift"), [(2, 0.0), (2, 0.1), (3, 0.3)])
def test_equals_are_told_apart_in_five_percent_at_most(seeds: int, shift: float) -> None:
    rng = np.random.default_rng(11)
    p_values = []
    for _ in range(150):
        a, b = equals(rng, seeds, 200, shift)
        p_values.append(crossed_p_value(a.mean - b.mean, spread_of_difference(a, b, 1.0)))
    most = SIGNIFICANCE_LEVEL + 2 * math.sqrt(SIGNIFICANCE_LEVEL / 150)
    assert np.mean(np.array(p_values) < SIGNIFICANCE_LEVEL) <= most


def test_images_alone_would_take_the_luck_of_seeds_for_skill() -> None:
    """The reason for the crossed test: signs over images, averaged over three seeds that differ by two points."""
    rng = np.random.default_rng(12)
    averaged = []
    for _ in range(60):
        a, b = equals(rng, 3, 300, 0.2)
        averaged.append(((a.values - b.values) * a.weights).mean(axis=0))
    assert np.mean(sign_flip_p_values(np.array(averaged)) < SIGNIFICANCE_LEVEL) > 0.3


@pytest.mark.parametrize(("seeds", "shift"), [(1, 0.0), (3, 0.15)])
def test_interval_covers_the_truth(seeds: int, shift: float) -> None:
    rng = np.random.default_rng(21)
    covered = 0
    for _ in range(80):
        a, b = equals(rng, seeds, 120, shift)
        apart = Crossed(a.values - b.values, a.weights, a.strata)
        low, high = interval(apart.mean, pigeonhole([apart])[0], spread_of_difference(a, b, 1.0))
        covered += low <= 0 <= high
    assert 0.9 <= covered / 80 <= 1.0


def test_bootstrap_has_the_spread_of_crossed_effects_and_is_the_same_every_time() -> None:
    """Owen's expectation for pure image and pure seed effects: (1 - 1/N) and (1 - 1/S) of their variances."""
    rng = np.random.default_rng(4)
    seeds, images = rng.normal(0, 1, (4, 1)), rng.normal(0, 3, (1, 90))
    samples = pigeonhole([table(seeds + images)])[0]
    assert samples.var() == pytest.approx(seeds.var() / 4 + images.var() / 90, rel=0.1)
    assert np.array_equal(samples, pigeonhole([table(seeds * 0 + 1), table(seeds + images)])[1])


def test_bootstrap_by_class_never_leaves_what_a_share_can_be() -> None:
    """9 of 10 images are of one class; all are right, so every sample is right too, whichever are drawn."""
    strata = np.array([0] * 90 + [1] * 10)
    assert pigeonhole([crossed(np.ones((2, 100)), strata)])[0] == pytest.approx(np.ones(2000))


def test_images_missing_in_a_seed_are_left_out_of_its_samples() -> None:
    values = np.full((2, 60), 3.0)
    values[0, ::2] = np.nan
    assert pigeonhole([table(values)])[0] == pytest.approx(np.full(2000, 3.0))


def test_groups_of_one_change_nothing_and_copies_count_once() -> None:
    """Every image four times over, each copy in the group of its original: as sure as the originals, not four times."""
    rng = np.random.default_rng(31)
    values, strata = rng.normal(size=(3, 60)), np.zeros(60, np.int64)
    alone = crossed(values, strata)
    assert crossed(values, strata, np.arange(60)).groups is None
    copied = crossed(np.repeat(values, 4, axis=1), np.repeat(strata, 4), np.repeat(np.arange(60), 4))
    assert image_covariance(copied) == pytest.approx(image_covariance(alone))
    one, four = spread_of(alone, 2.0), spread_of(copied, 2.0)
    assert (four.images, four.image_dof, four.sampling) == pytest.approx((one.images, one.image_dof, one.sampling))
    ungrouped = spread_of(crossed(np.repeat(values, 4, axis=1), np.repeat(strata, 4)))
    assert ungrouped.images < 0.5 * spread_of(copied).images
    assert pigeonhole([copied])[0].size == 0
    low, high = interval(copied.mean, np.empty(0), four)
    assert (high - low) / 2 == pytest.approx(half_width(one))
