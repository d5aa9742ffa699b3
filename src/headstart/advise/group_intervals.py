"""95 % intervals over images of which some belong together: those of one patient, scene or book are alike.

Images that stand alone are the special case in which every group holds one; the intervals are then the usual ones.
Pure functions of arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Together: TypeAlias = npt.NDArray[np.int64]
"""(N,) number of the patient, scene or book that each image is of."""
Values: TypeAlias = npt.NDArray[np.bool_] | npt.NDArray[np.floating[Any]]

_Z95 = 1.959963984540054  # 97.5 % point of the standard normal


def numbered(groups: Sequence[str]) -> Together:
    """Names of groups, one an image, as numbers from 0."""
    return np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int64)


def independent_images(values_N: Values, together_N: Together) -> float:  # noqa: N803 - shapes
    """Number of images that stand alone whose mean would vary as the mean of these does; never more than there are.

    The number of images over the design effect of cluster samples (Kish 1965). Where no image differs from another, it
    is as if all images of a group were one.

    Args:
        values_N: What was found for each image.
        together_N: Number of the group of each.
    """
    group_of, sizes = _groups(together_N)
    images, variance = len(values_N), float(np.var(values_N))
    if variance == 0:
        return float(images**2 / (sizes**2).sum())
    return variance / max(_variance_of_mean(values_N, group_of), variance / images)


def share_interval(right_N: npt.NDArray[np.bool_], together_N: Together) -> tuple[float, float]:  # noqa: N803
    """Of the share of images told rightly: Wilson's interval (1927) for the number of independent images.

    Args:
        right_N: Whether each image was told rightly.
        together_N: Number of the group of each.
    """
    share, count = float(right_N.mean()), independent_images(right_N, together_N)
    spread = _Z95**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = _Z95 / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(0.0, centre - half), min(1.0, centre + half)


def share_difference_interval(wins_N: Values, together_N: Together) -> tuple[float, float]:  # noqa: N803
    """Of the difference of two shares on the same images: adjusted Wald (Agresti & Min 2005), for independent images.

    Half an image is added to each of the four cells: both right, both wrong, one of them, the other.

    Args:
        wins_N: For each image 1 where only the first is right, -1 where only the second is, else 0.
        together_N: Number of the group of each.
    """
    independent = independent_images(wins_N, together_N)
    count = independent + 2
    centre = float(np.mean(wins_N)) * independent / count
    spread = (float(np.mean(np.square(wins_N))) * independent + 1) / count - centre**2
    half = _Z95 * math.sqrt(spread / count)
    return centre - half, centre + half


def mean_interval(values_N: Values, together_N: Together) -> tuple[float, float]:  # noqa: N803
    """Of a mean: Student's t on the sums of what groups differ from it (cluster-robust, Liang & Zeger 1986).

    There is one degree of freedom fewer than groups; of a single group nothing is known.

    Args:
        values_N: One of each image.
        together_N: Number of the group of each.
    """
    from scipy.stats import t

    group_of, sizes = _groups(together_N)
    if len(sizes) < 2:
        return -math.inf, math.inf
    few = len(sizes) / (len(sizes) - 1)  # the sums add up to nothing, so one of them is not free
    half = float(t.ppf(0.975, len(sizes) - 1)) * math.sqrt(few * _variance_of_mean(values_N, group_of))
    mean = float(np.mean(values_N))
    return mean - half, mean + half


def _groups(together_N: Together) -> tuple[Together, Together]:  # noqa: N803
    """Number of the group of each image, from 0 without gaps, and the images of each group."""
    _, group_of, sizes = np.unique(together_N, return_inverse=True, return_counts=True)
    return group_of, sizes


def _variance_of_mean(values_N: Values, group_of: Together) -> float:  # noqa: N803
    excess = np.bincount(group_of, weights=values_N - np.mean(values_N))
    return float((excess**2).sum()) / len(values_N) ** 2
