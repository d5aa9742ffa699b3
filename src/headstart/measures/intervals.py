"""Intervals of shares, means and differences over images of which some belong together.

Images of one patient, scene or book are alike, so 225 images of 160 patients tell less than 225 patients would. Images
that stand alone are the special case in which every group holds one image; the intervals are then the usual ones. Pure
functions of arrays; numpy, and scipy inside functions. `benchmarks/interval_coverage.py` measures their coverage.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.arrays import Floats
from headstart.measures.binomial import binomial_tail
from headstart.measures.figures import Interval

Together: TypeAlias = npt.NDArray[np.int64]
"""(N,) number of the patient, scene or book that each image is of."""
Values: TypeAlias = npt.NDArray[np.bool_] | npt.NDArray[np.floating[Any]]

LEVEL = 0.95
"""Share of intervals that hold the truth."""
_PRIOR_GROUPS = 0.25
"""Weight of one wholly correct and one wholly misclassified group of typical size that are added before the design
effect is estimated: without errors, or with few groups, the sample alone shows no correlation even where there is one.
Chosen by simulation: more would widen intervals of independent images, less would miss the truth too often."""


def numbered(groups: Sequence[str]) -> Together:
    """Group names, one an image, as numbers from 0."""
    return np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int64)


def wilson_interval(successes: int, trials: int, *, level: float = LEVEL) -> Interval:
    """Interval of a share (Wilson 1927): honest near 0 and 1 and for few trials, unlike p +- 2 s.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes of {trials} trials is no share")
    return wilson_bounds(successes / trials, trials, level)


def independent_images(
    right_N: npt.NDArray[np.bool_],  # noqa: N803 - shapes
    together_N: Together,  # noqa: N803
    *,
    weights_N: Floats | None = None,  # noqa: N803
    level: float = LEVEL,
) -> float:
    """Number of independent images that would tell a share as well as these do; never more than there are.

    The number of images over the design effect of cluster samples (Kish 1965), with the correction for few groups of
    Korn & Graubard (1998): the squared ratio of Student's t for as many images and for as many groups. The worst case
    is that all images of a group are alike; nothing below that is returned.

    Args:
        right_N: Whether each image is correct.
        together_N: Number of the group of each.
        weights_N: Of each image in the share, positive; equal if None.
        level: Of the interval this is for; t depends on it.
    """
    group_of, sizes = _groups(together_N)
    weights = np.ones(len(right_N)) if weights_N is None else np.asarray(weights_N, np.float64)
    total = float(weights.sum())
    # (sum w)^2 / sum w^2: Kish's effective number, of images and, with the groups' weights, of groups.
    images = total**2 / float((weights**2).sum())
    # Without groups of several images the design effect is 1.
    if len(sizes) == len(right_N):
        return images
    of_group = np.bincount(group_of, weights=weights)
    alike = total**2 / float((of_group**2).sum())  # as many groups of equal weight
    typical, single = total / alike, total / images  # weight of the group, and of the image, that a random image is
    # Pseudo-groups on both sides, so that a sample without errors does not claim that groups do not matter.
    added = _PRIOR_GROUPS * typical
    share = (float((weights * right_N).sum()) + added) / (total + 2 * added)
    excess = np.bincount(group_of, weights=weights * (right_N - share))
    ends = share**2 + (1 - share) ** 2
    # Variance through groups over variance as if images were independent is the inverse of the design effect.
    between = float((excess**2).sum()) + _PRIOR_GROUPS * typical**2 * ends
    within = float(((weights * (right_N - share)) ** 2).sum()) + added * single * ends
    # Few groups estimate their variance badly: Student's t instead of the normal makes up for it.
    few = (_student(images - 1, level) / _student(alike - 1, level)) ** 2
    return min(images, max(alike, images * min(1.0, within / between) * few))


def share_interval(
    right_N: npt.NDArray[np.bool_],  # noqa: N803
    together_N: Together,  # noqa: N803
    *,
    weights_N: Floats | None = None,  # noqa: N803
    level: float = LEVEL,
) -> Interval:
    """Interval of the share of correct images: Wilson's (1927) for the number of independent images.

    Args:
        right_N: Whether each image is correct.
        together_N: Number of the group of each.
        weights_N: Of each image in the share, positive; equal if None.
        level: Share of such intervals that hold the truth, 0..1.
    """
    count = independent_images(right_N, together_N, weights_N=weights_N, level=level)
    return wilson_bounds(float(np.average(right_N, weights=weights_N)), count, level)


def chance_of_share_below(right_N: npt.NDArray[np.bool_], together_N: Together, *, truth: float) -> float:  # noqa: N803
    """Chance of a share as low as this one or lower if the truth is `truth`, 0..1: the exact binomial tail.

    For images whose probabilities of being correct differ, with `truth` their mean, the tail is thinner (Hoeffding
    1956), so the chance is never told too small.

    Args:
        right_N: Whether each image is correct.
        together_N: Number of the group of each; independent images are counted.
        truth: Share, 0..1.
    """
    count, share = independent_images(right_N, together_N), float(right_N.mean())
    if share >= truth:
        return 1.0
    return binomial_tail(count * share, count, share=truth)


def unpaired_difference_interval(
    first: tuple[npt.NDArray[np.bool_], Together], second: tuple[npt.NDArray[np.bool_], Together], *, level: float
) -> Interval:
    """Interval of the difference of two shares on different images, from both intervals (Newcombe 1998, method 10).

    Args:
        first: Whether each image is correct, and the number of the group of each.
        second: The same of other images, of other groups.
        level: Share of such intervals that hold the truth, 0..1.
    """
    one, two = float(first[0].mean()), float(second[0].mean())
    (low_one, high_one), (low_two, high_two) = (share_interval(*each, level=level) for each in (first, second))
    return (
        # The square root of the sum of squared arms: intervals of two independent shares combine like variances.
        one - two - math.hypot(one - low_one, high_two - two),
        one - two + math.hypot(high_one - one, two - low_two),
    )


def share_difference_interval(wins_N: Values, together_N: Together) -> Interval:  # noqa: N803
    """Interval of the difference of two shares on the same images: adjusted Wald (Agresti & Min 2005).

    Half an image is added to each of the four cells: both right, both wrong, one of them, the other.

    Args:
        wins_N: For each image 1 where only the first is right, -1 where only the second is, else 0.
        together_N: Number of the group of each.
    """
    independent = _independent_values(wins_N, together_N)
    # (wins - losses) and (wins + losses) give mean and second moment; half an image in each cell adds 2 to the count.
    count = independent + 2
    centre = float(np.mean(wins_N)) * independent / count
    spread = (float(np.mean(np.square(wins_N))) * independent + 1) / count - centre**2
    half = _normal(LEVEL) * math.sqrt(spread / count)
    return centre - half, centre + half


def mean_interval(values_N: Values, together_N: Together, *, level: float = LEVEL) -> Interval:  # noqa: N803
    """Interval of a mean: Student's t on the sums of groups' deviations from it (cluster-robust, Liang & Zeger 1986).

    There is one degree of freedom fewer than groups; of a single group nothing is known.

    Args:
        values_N: One of each image.
        together_N: Number of the group of each.
        level: Share of such intervals that hold the truth, 0..1.
    """
    group_of, sizes = _groups(together_N)
    # Of one group there is no variance between groups.
    if len(sizes) < 2:
        return -math.inf, math.inf
    few = len(sizes) / (len(sizes) - 1)  # the sums add up to nothing, so one of them is not free
    half = _student(len(sizes) - 1, level) * math.sqrt(few * _variance_of_mean(values_N, group_of))
    mean = float(np.mean(values_N))
    return mean - half, mean + half


def wilson_bounds(share: float, count: float, level: float = LEVEL) -> Interval:
    """Interval of a share (Wilson 1927) that `count` independent images show, which need be no whole number."""
    z = _normal(level)
    spread = z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    # Rounding may leave an end a little outside 0..1.
    return max(0.0, centre - half), min(1.0, centre + half)


def _normal(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def _student(freedom: float, level: float) -> float:
    # What scipy.stats calls too; importing all of that would cost every training some 0.3 s.
    from scipy.special import stdtrit

    # Fractional degrees of freedom happen with weights; below 1 the quantile would explode.
    return float(stdtrit(max(1.0, freedom), (1 + level) / 2))


def _independent_values(values_N: Values, together_N: Together) -> float:  # noqa: N803
    """Number of images over the design effect (Kish 1965), corrected for few groups as `independent_images` is."""
    group_of, sizes = _groups(together_N)
    images, variance = len(values_N), float(np.var(values_N))
    alike = float(images**2 / (sizes**2).sum())
    if variance == 0 or len(sizes) == images:
        return alike
    few = (_student(images - 1, LEVEL) / _student(alike - 1, LEVEL)) ** 2
    return min(images, max(alike, few * variance / max(_variance_of_mean(values_N, group_of), variance / images)))


def _groups(together_N: Together) -> tuple[Together, Together]:  # noqa: N803
    """Number of the group of each image, from 0 without gaps, and the images of each group."""
    _, group_of, sizes = np.unique(together_N, return_inverse=True, return_counts=True)
    return group_of, sizes


def _variance_of_mean(values_N: Values, group_of: Together) -> float:  # noqa: N803
    # Sums of deviations over groups: images of a group that err together do not average out.
    excess = np.bincount(group_of, weights=values_N - np.mean(values_N))
    return float((excess**2).sum()) / len(values_N) ** 2
