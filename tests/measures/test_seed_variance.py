"""Intervals of few seeds against scipy, numerical integration, and what they promise."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.measures.seed_variance import (
    MOST_TIMES_THE_IMAGES,
    SIGNIFICANCE_LEVEL,
    Spread,
    crossed_p_value,
    further_images,
    half_width,
    is_wide_by_seeds,
    seeds_prevent_a_verdict,
)

FAST = settings(max_examples=30, deadline=None)
TWO_SEEDS = Spread(
    seeds=2e-4,
    seed_dof=1,
    images=4e-4,
    image_dof=299,
    sampling=1e-4,
    seed_scale=0.014,
    seed_count=2,
    image_deviation=0.4,
)
"""Two seeds of 300 images at an accuracy of 80 %."""


def test_without_a_seed_effect_it_is_students_t() -> None:
    from scipy.stats import t

    spread = Spread(seeds=0, seed_dof=1, images=2.5e-4, image_dof=40)
    assert half_width(spread) == pytest.approx(t.ppf(0.975, 40) * math.sqrt(2.5e-4))
    assert crossed_p_value(0.03, spread) == pytest.approx(2 * t.sf(0.03 / math.sqrt(2.5e-4), 40))


@pytest.mark.parametrize("seeds", [1e-6, 2e-4, 4e-3])
def test_p_value_is_the_integral_over_the_posterior(seeds: float) -> None:
    from scipy.integrate import quad
    from scipy.stats import halfcauchy, t

    of = replace(TWO_SEEDS, seeds=seeds)

    def density(angle: float) -> float:  # the half-Cauchy distribution is uniform in the arc tangent
        variance = (of.seed_scale * math.tan(angle)) ** 2 + of.sampling
        return variance ** (-of.seed_dof / 2) * math.exp(-of.seed_dof * of.seeds / (2 * variance))

    def tail(angle: float) -> float:
        variance = (of.seed_scale * math.tan(angle)) ** 2 + of.sampling + of.images
        return 2 * float(t.sf(0.05 / math.sqrt(variance), of.image_dof)) * density(angle)

    assert halfcauchy(scale=of.seed_scale).cdf(of.seed_scale) == 0.5  # the scale is the median
    end = math.pi / 2
    expected = quad(tail, 0, end, limit=200)[0] / quad(density, 0, end, limit=200)[0]
    assert crossed_p_value(0.05, of) == pytest.approx(expected, rel=0.02)


@FAST
@given(st.floats(1e-3, 0.3), st.floats(0, 1e-2), st.floats(0, 1e-2), st.floats(0, 0.05))
def test_p_value_is_where_the_interval_reaches_zero(
    difference: float, seeds: float, images: float, scale: float
) -> None:
    spread = replace(TWO_SEEDS, seeds=seeds, images=images + 1e-7, seed_scale=scale)
    p_value = crossed_p_value(difference, spread)
    assert crossed_p_value(-difference, spread) == p_value
    if 1e-9 < p_value < 0.999:
        assert half_width(spread, p_value) == pytest.approx(difference, rel=1e-3)


@FAST
@given(st.floats(0, 1e-2), st.integers(1, 8))
def test_seeds_that_agree_by_luck_never_make_it_narrower_than_its_images(seeds: float, dof: int) -> None:
    spread = replace(TWO_SEEDS, seeds=seeds, seed_dof=dof)
    by_images = Spread(seeds=0, seed_dof=1, images=spread.by_images, image_dof=spread.image_dof)
    assert half_width(spread) >= half_width(by_images) - 1e-12


def test_two_seeds_are_useful_and_two_that_differ_much_are_believed() -> None:
    """Student's t with one degree of freedom would say 18 points of either side where seeds differ by 2."""
    assert 0.05 < half_width(TWO_SEEDS) < 0.08
    assert half_width(replace(TWO_SEEDS, seeds=0.08**2)) > 0.15
    many = replace(
        TWO_SEEDS, seeds=0.04**2 / 40, sampling=5e-6, seed_dof=39, seed_scale=0.02 / math.sqrt(40), seed_count=40
    )
    expected = 1.96 * math.sqrt(many.images + many.seeds)
    assert half_width(many) == pytest.approx(expected, rel=0.05), "with many seeds the prior plays no part"


def test_more_seeds_are_asked_for_where_they_would_help() -> None:
    assert is_wide_by_seeds(replace(TWO_SEEDS, seeds=0.05**2))
    assert not is_wide_by_seeds(replace(TWO_SEEDS, seeds=0.05**2, seed_count=5)), "five are what is asked for"
    assert not is_wide_by_seeds(replace(TWO_SEEDS, seeds=0, seed_scale=0, seed_count=1)), "one seed is another question"
    few_images = replace(TWO_SEEDS, images=0.06**2)
    assert half_width(few_images) > 0.1
    assert not is_wide_by_seeds(few_images), "images make it wide"


def test_further_images_reach_the_power_they_promise() -> None:
    rng = np.random.default_rng(8)
    effect, noise, images = 0.1, 1.0, 100
    spread = Spread(seeds=0.0, seed_dof=1.0, images=noise**2 / images, image_dof=images - 1)
    further = further_images(effect, spread, images, SIGNIFICANCE_LEVEL)
    assert further == pytest.approx((1.96 + 0.8416) ** 2 / effect**2 - images, rel=0.04)
    samples = rng.normal(effect, noise, (2000, images + further))
    found = np.abs(samples.mean(1)) / (samples.std(1) / math.sqrt(images + further)) > 1.96
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)


def test_where_images_cannot_decide_no_number_is_given() -> None:
    seeds_differ = replace(TWO_SEEDS, seeds=0.03**2, seed_dof=8, seed_count=5)
    assert further_images(0.01, seeds_differ, 300, SIGNIFICANCE_LEVEL) is None
    assert seeds_prevent_a_verdict(0.01, seeds_differ, SIGNIFICANCE_LEVEL)
    no_seeds = Spread(seeds=0, seed_dof=1, images=1e-4, image_dof=999)
    assert not seeds_prevent_a_verdict(1e-3, no_seeds, SIGNIFICANCE_LEVEL)
    assert further_images(0.5, no_seeds, 1000, SIGNIFICANCE_LEVEL) == 1


@FAST
@given(st.floats(1e-4, 0.2), st.floats(1e-4, 0.049))
def test_a_harder_question_needs_more_images_and_no_absurd_number_is_named(difference: float, level: float) -> None:
    spread = Spread(seeds=0, seed_dof=1, images=1e-4, image_dof=999)
    loose, strict = (further_images(difference, spread, 1000, each) for each in (SIGNIFICANCE_LEVEL, level))
    assert strict is None or (loose is not None and loose <= strict <= MOST_TIMES_THE_IMAGES * 1000)
