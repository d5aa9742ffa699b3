"""Variance of a mean by its sources, and intervals and p-values that hold with few seeds.

The variance of a mean over N images and S seeds has three parts:

    images that all seeds share  +  images that each seed samples by itself  +  (variance of the seed effect) / S

The first two are estimated from many images. The third is not: S seeds give S - 1 degrees of freedom, and with two
seeds Student's t would multiply the seeds' spread by 12.7 and call everything possible. Seed effects are known to be
small beside what one image differs from another, so their standard deviation gets a weakly informative prior:
half-Cauchy (Gelman 2006) with a median of `SEED_SHARE` standard deviations of one image's value, which is 2 points at
an accuracy of 80 %. The spread that was seen turns the prior into a posterior, and the interval averages over it. The
heavy tail lets seeds that do differ by much widen the interval: their spread is believed more than the prior.

`benchmarks/seed_coverage.py` simulates how often the intervals cover the truth.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

_Floats: TypeAlias = npt.NDArray[np.float64]

SIGNIFICANCE_LEVEL = 0.05
"""Chance of a wrong verdict that is accepted: of one test or, after Holm, of a family of them."""
POWER = 0.8
"""Chance with which the further images suggested would find the difference."""
SEED_SHARE = 0.05
"""Prior median of the standard deviation of a seed's effect, in standard deviations of one image's value."""
ENOUGH_SEEDS = 5
"""From so many on the seeds themselves say how much they differ."""
MOST_TIMES_THE_IMAGES = 20
"""Further images that are worth naming, in times the images at hand: a larger number helps nobody."""

_WIDE = 0.125  # of an image's standard deviation: a half interval of 5 points at an accuracy of 80 %
_BY_SEEDS = 1.5  # times what the images alone would give, from which on the seeds are what makes an interval wide
_QUANTILES = 160
_SMALLEST_P = 1e-16  # below it nothing is decided, and quantiles lose their digits


@dataclass(frozen=True, slots=True)
class Spread:
    """Variance of a mean, by where it comes from."""

    seeds: float
    """Observed variance of the mean through its seeds, >= 0: (variance between the means of seeds) / S. 0 with one."""
    seed_dof: float
    """Degrees of freedom behind `seeds`."""
    images: float
    """Part that all seeds share and only more images make smaller, >= 0."""
    image_dof: float
    sampling: float = 0.0
    """What of `seeds` the images that a seed samples by itself should give, >= 0; more images make it smaller. By luck
    it may be above `seeds`."""
    seed_scale: float = 0.0
    """Prior median of the standard deviation of the mean through its seeds, >= 0; 0 with one seed, whose effect on the
    mean is not part of what is estimated."""
    seed_count: int = 1
    image_deviation: float = 0.0
    """Standard deviation of one image's value, in a difference the quadratic mean of both sides'."""

    @property
    def by_images(self) -> float:
        """Variance that only images decide, >= 0."""
        return self.images + self.sampling


def half_width(spread: Spread, level: float = SIGNIFICANCE_LEVEL) -> float:
    """Half of the two-sided interval that misses with chance `level`; never below what the images alone give."""
    from scipy.optimize import brentq

    variances, weights = _posterior(spread)
    deviations = np.sqrt(variances)
    if float(deviations[-1]) == 0:
        return 0.0

    def excess(half: float) -> float:
        return _tail(half, deviations, weights, spread.image_dof) - level

    # The p-value of half = 0 is 1, and it falls with half: the root of p - level is bracketed by doubling.
    high = -_t_quantile(spread.image_dof, level / 2) * float(deviations[0]) or float(deviations[-1])
    while excess(high) > 0:
        high *= 2
    return float(brentq(excess, 0.0, high, xtol=1e-12, rtol=1e-9))


def crossed_p_value(difference: float, spread: Spread) -> float:
    """Two-sided chance of a mean at least this far from a truth of 0, averaged over the possible seed effects.

    It is the level whose interval around `difference` just reaches 0. It speaks of another seed and other images, not
    of the networks that were trained.
    """
    if difference == 0:
        return 1.0
    variances, weights = _posterior(spread)
    # Rounded away below 1e-16: smaller numbers would claim more digits than the quantiles have.
    return max(_tail(abs(difference), np.sqrt(variances), weights, spread.image_dof), _SMALLEST_P)


def is_wide_by_seeds(spread: Spread) -> bool:
    """Whether too few seeds make the interval too wide to be of use; more images alone would not help."""
    # With one seed nothing is known of seeds, and from ENOUGH_SEEDS on they speak for themselves.
    if not 1 < spread.seed_count < ENOUGH_SEEDS:
        return False
    half = half_width(spread)
    return half > _WIDE * spread.image_deviation and half > _BY_SEEDS * _half_by_images(spread)


def further_images(difference: float, spread: Spread, images: int, level: float) -> int | None:
    """How many more images would find a true `difference` of this size with a chance of `POWER`.

    N' images make the parts that images decide smaller by N / N'; the seed effect remains.

    Args:
        difference: As seen.
        spread: With `images` images.
        images: N.
        level: Of the test, 0..1.

    Returns:
        At least 1; None where no number of images is enough, or more than `MOST_TIMES_THE_IMAGES` N are.
    """
    factor = _detection_factor(spread, level)
    # d^2 = f (seed effect + images part * N / N') solved for N'.
    room = difference**2 - factor * _seed_effect(spread)
    shrinking = factor * spread.by_images
    if room <= 0 or shrinking > room * (MOST_TIMES_THE_IMAGES + 1):
        return None
    return max(1, math.ceil(images * shrinking / room) - images)


def seeds_prevent_a_verdict(difference: float, spread: Spread, level: float) -> bool:
    """Whether even endless images would leave a true `difference` undecided, because seeds differ too much."""
    effect = _seed_effect(spread)
    return effect > 0 and difference**2 <= _detection_factor(spread, level) * effect


def _detection_factor(spread: Spread, level: float) -> float:
    """Squared ratio of a difference that is found with `POWER` to the standard deviation of its mean."""
    variances, weights = _posterior(spread)
    deviation = math.sqrt(float(weights @ variances)) if len(weights) == 1 else math.sqrt(_median(variances, weights))
    quantile = half_width(spread, level) / deviation if deviation > 0 else -_t_quantile(spread.image_dof, level / 2)
    # A difference is found with chance POWER if it is (t + z_power) standard deviations away from 0.
    return (quantile - _t_quantile(math.inf, 1 - POWER)) ** 2


def _seed_effect(spread: Spread) -> float:
    """Posterior median of the variance of the mean through seed effects alone, >= 0."""
    variances, weights = _posterior(spread)
    return max(_median(variances, weights) - spread.by_images, 0.0)


def _half_by_images(spread: Spread) -> float:
    return -_t_quantile(spread.image_dof, SIGNIFICANCE_LEVEL / 2) * math.sqrt(spread.by_images)


def _posterior(spread: Spread) -> tuple[_Floats, _Floats]:
    """(G,) variances of the mean, one for each possible size of the seed effect, and (G,) how likely each is.

    With v the variance through seeds (sampling + effect), dof * seeds / v follows chi squared with dof degrees.
    """
    # Without a prior (one seed) there is one possible variance, that of the images.
    if spread.seed_scale <= 0:
        return np.array([spread.by_images]), np.ones(1)
    effects = (spread.seed_scale * _half_cauchy_quantiles()) ** 2
    through_seeds = np.maximum(effects + spread.sampling, 1e-300)
    # The logarithm of the chi squared density of the observed spread, up to a constant that cancels.
    logarithms = -0.5 * spread.seed_dof * (np.log(through_seeds) + spread.seeds / through_seeds)
    # Less the maximum before exp: the weights are only needed up to a factor.
    weights = np.exp(logarithms - logarithms.max())
    return effects + spread.by_images, weights / weights.sum()


@functools.cache
def _half_cauchy_quantiles() -> _Floats:
    """(G,) of a half-Cauchy distribution with median 1, at the middles of G equally likely parts."""
    # Equally likely parts: the prior needs no weights of its own, and the heavy tail has few but far points.
    shares = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    return np.asarray(np.tan(0.5 * np.pi * shares))


def _median(values: _Floats, weights: _Floats) -> float:
    """Median of ascending values."""
    return float(values[min(int(np.searchsorted(np.cumsum(weights), 0.5)), len(values) - 1)])


def _tail(distance: float, deviations: _Floats, weights: _Floats, dof: float) -> float:
    """Two-sided chance of a mean at least `distance` from the truth."""
    from scipy.special import stdtr

    with np.errstate(divide="ignore"):
        # stdtr takes no infinite degrees of freedom; 1e9 is the normal distribution to all digits.
        shares = stdtr(min(dof, 1e9), -distance / deviations) if distance else np.full_like(deviations, 0.5)
        return float(weights @ (2 * shares))


def _t_quantile(dof: float, tail: float) -> float:
    """Student's t, negative for tails below 0.5."""
    from scipy.special import stdtrit

    return float(stdtrit(min(dof, 1e9), tail))
