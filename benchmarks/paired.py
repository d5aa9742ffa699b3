"""The interval of an accuracy difference when both sides answered the same images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Z95 = 1.959963984540054
MARGIN = 0.02
"""A side whose interval stays above minus this is called non-inferior."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Ours minus theirs, in shares of images, -1..1."""

    mean: float
    low: float
    high: float
    images: int

    @property
    def is_non_inferior(self) -> bool:
        """Whether the lower end is above minus two points."""
        return self.low > -MARGIN


def share_right(answers: Sequence[Sequence[int]], truth: Sequence[int]) -> npt.NDArray[np.float64]:
    """Share of the runs that classified each image correctly: several seeds are averaged an image at a time.

    Args:
        answers: (runs, images) class numbers.
        truth: (images) class numbers.
    """
    right: npt.NDArray[np.bool_] = np.asarray(answers) == np.asarray(truth)
    return np.asarray(right.mean(axis=0))


def difference(ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64]) -> Difference:
    """Mean difference of two aligned arrays of `share_right`, with its 95 % interval over images.

    With d the difference of an image, the interval is m +- 1.96 s / sqrt(n), where n, m and s are those of the images
    and of two more that make it honest for few disagreements: half an image each at +1 and -1, one at 0. With one run
    a side this is the adjusted Wald interval of matched proportions (Agresti & Min, Statistics in Medicine 2005: half
    added to each of the four cells). `mean` is that of the images alone. The interval is over images; with one run it
    knows nothing of how another seed would have come out.

    Raises:
        ValueError: the arrays are empty or differ in length.
    """
    if ours.shape != theirs.shape or ours.size == 0:
        raise ValueError(f"{ours.shape} and {theirs.shape} images: the same ones on both sides are expected")
    gap = ours - theirs
    count = gap.size + 2
    centre = float(gap.sum()) / count
    half = Z95 * math.sqrt((float((gap**2).sum()) + 1) / count - centre**2) / math.sqrt(count)
    return Difference(float(gap.mean()), centre - half, centre + half, gap.size)
