"""Additive statistics of rows of features: counts, sums and products, added up over blocks in double precision.

Everything ridge regression needs to know of the rows, and what preconditions logistic regression. Those of a part can
be subtracted from those of all, so that cross-validation passes over the rows once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Labels
from headstart.solvers.rows import RowSource

SMALLEST_DEVIATION = 1e-8
"""A feature that varies less is constant: dividing by its deviation would make noise of it."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over some rows x, of x - shift: near the mean nothing is lost to rounding.

    With weights every row counts as often as its weight says.
    """

    shift_F: Doubles  # noqa: N815 - shapes
    """The same for all that are added or subtracted."""
    class_counts_K: Doubles  # noqa: N815
    class_sums_KF: Doubles  # noqa: N815
    """Sum of x - shift over the rows of each class: X^T Y for targets that are 1 in their class, else 0."""
    products_FF: Doubles  # noqa: N815
    """Sum of (x - shift)(x - shift)^T."""

    @property
    def count(self) -> float:
        """Number of rows."""
        return float(self.class_counts_K.sum())

    @property
    def mean_F(self) -> Doubles:  # noqa: N802
        """(F,) mean of the rows."""
        return np.asarray(self.shift_F + self.class_sums_KF.sum(axis=0) / self.count)

    @property
    def deviation_F(self) -> Doubles:  # noqa: N802
        """(F,) standard deviations; 1 where a feature is constant."""
        # Var = E[(x - shift)^2] - (mean - shift)^2; with the shift near the mean the difference does not cancel.
        variances = np.diagonal(self.products_FF) / self.count - (self.mean_F - self.shift_F) ** 2
        # Rounding can leave a tiny negative variance.
        deviations = np.sqrt(np.maximum(variances, 0))
        return np.where(deviations > SMALLEST_DEVIATION, deviations, 1.0)

    def scatter(self) -> Doubles:
        """(F, F) sum of (x - mean)(x - mean)^T."""
        away = self.mean_F - self.shift_F
        # Sum (x - mean)(x - mean)' = sum (x - shift)(x - shift)' - n d d' with d = mean - shift.
        return np.asarray(self.products_FF - self.count * np.outer(away, away))

    def targets_scatter(self) -> Doubles:
        """(F, K) sum of (x - mean)(y - mean of y)^T."""
        away = self.mean_F - self.shift_F
        # Centring the targets changes nothing here: sum (x - mean) is zero, so their mean drops out.
        return np.asarray((self.class_sums_KF - np.outer(self.class_counts_K, away)).T)

    def __sub__(self, other: Moments) -> Moments:
        """Of the rows that are not among the other's."""
        return replace(
            self,
            class_counts_K=self.class_counts_K - other.class_counts_K,
            class_sums_KF=self.class_sums_KF - other.class_sums_KF,
            products_FF=self.products_FF - other.products_FF,
        )

    def __add__(self, other: Moments) -> Moments:
        """Of the rows of both."""
        return replace(
            self,
            class_counts_K=self.class_counts_K + other.class_counts_K,
            class_sums_KF=self.class_sums_KF + other.class_sums_KF,
            products_FF=self.products_FF + other.products_FF,
        )


def moments_by_part(
    rows: RowSource,
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    part_of_N: npt.ArrayLike,  # noqa: N803
    parts: int,
    weights_N: Doubles | None = None,  # noqa: N803
) -> list[Moments]:
    """Moments of each part, in one pass over the rows; memory is parts x F x F doubles.

    Args:
        rows: N rows of F features.
        labels_N: Class of each, 0..K-1.
        num_classes: K.
        part_of_N: Part of each, 0..parts-1; another number leaves the row out.
        parts: How many parts there are.
        weights_N: Of the rows; None counts each once.
    """
    part_of = np.asarray(part_of_N)
    width = rows.width
    shift = np.zeros(width)
    counts, sums = np.zeros((parts, num_classes)), np.zeros((parts, num_classes, width))
    # Fortran order, because BLAS then adds in place.
    products = [np.zeros((width, width), order="F") for _ in range(parts)]
    for start, block in rows.blocks():
        # One shift for all parts: only sums about the same point can be added and subtracted.
        if start == 0:
            shift = block.mean(axis=0, dtype=np.float64)
        centred = block - shift
        weigh = None if weights_N is None else weights_N[start : start + len(block)]
        here, classes = part_of[start : start + len(block)], labels_N[start : start + len(block)]
        for part in range(parts):
            inside = here == part
            mine = centred if inside.all() else centred[inside]
            own = None if weigh is None else weigh[inside]
            # The root of the weight on both sides of the product gives the weight once.
            _add_products(products[part], mine if own is None else mine * np.sqrt(own)[:, None])
            for label in np.unique(classes[inside]):
                of_class = classes[inside] == label
                counts[part, label] += np.count_nonzero(of_class) if own is None else own[of_class].sum()
                sums[part, label] += mine[of_class].sum(axis=0) if own is None else own[of_class] @ mine[of_class]
    return [Moments(shift, *each) for each in zip(counts, sums, map(_mirrored, products), strict=True)]


def moments_of(
    rows: RowSource,
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    weights_N: Doubles | None = None,  # noqa: N803
) -> Moments:
    """Moments of all rows; see `moments_by_part`."""
    return moments_by_part(rows, labels_N, num_classes, np.zeros(rows.rows, np.int64), 1, weights_N)[0]


def _add_products(total_FF: Doubles, rows_BF: Doubles) -> None:  # noqa: N803
    """Add X^T X to the upper triangle of `total_FF`, without a matrix in between."""
    if not rows_BF.size:
        return
    from scipy.linalg.blas import dsyrk

    # dsyrk computes one triangle: half of the work of a general product.
    added = dsyrk(1.0, rows_BF.T, beta=1.0, c=total_FF, overwrite_c=1)
    # scipy copies where `c` does not suit BLAS; the sum then has to be written back.
    if added is not total_FF and not np.shares_memory(added, total_FF):
        total_FF[...] = added


def _mirrored(upper_FF: Doubles) -> Doubles:  # noqa: N803
    """A symmetric matrix from its upper triangle, in place."""
    for row in range(len(upper_FF)):
        upper_FF[row + 1 :, row] = upper_FF[row, row + 1 :]
    return upper_FF
