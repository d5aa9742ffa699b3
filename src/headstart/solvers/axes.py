"""Axes in which a linear head on standardised features is well conditioned: those of the features' covariance.

In them the loss bends about as much as a feature varies, so that dividing by the square root of that makes a few steps
of L-BFGS enough. Whatever the axes are, as long as they are at right angles, the optimum is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Floats
from headstart.solvers.linear_head import LinearHead
from headstart.solvers.moments import SMALLEST_DEVIATION, moments_of
from headstart.solvers.rows import RowSource

WIDEST_ROTATED = 4096
"""More features keep their own axes: finding better ones takes a time that grows with the cube of their number."""

_SOFTMAX_CURVATURE = 0.1
"""Typical p * (1 - p) of a class probability: scales the preconditioner, not the solution."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Standardised features z = (x - mean) / deviation, seen along R axes at right angles."""

    mean_F: Doubles  # noqa: N815 - shapes
    deviation_F: Doubles  # noqa: N815
    """Of the features, divided by their scale where they have one."""
    variances_R: Doubles  # noqa: N815
    """Of z along each axis."""
    axes_FR: Floats | None  # noqa: N815
    """None: the features' own axes."""

    def curvature(self, l2_penalty: float) -> Doubles:
        """(R,) square root of about how much the loss bends along each axis."""
        # The Hessian along an axis is about p (1 - p) * variance + l2_penalty; its square root scales a coordinate to
        # curvature 1.
        return np.asarray(np.sqrt(_SOFTMAX_CURVATURE * np.maximum(self.variances_R, 0) + l2_penalty))

    def raw_weights(self, weight_KR: Floats) -> Floats:  # noqa: N803
        """(K, F) weights of raw features that mean the same as weights along the axes."""
        # w_raw = D^-1 V w_axes, because x' w_raw must equal z' V w_axes with z = (x - mean) / deviation.
        along = weight_KR if self.axes_FR is None else weight_KR @ self.axes_FR.T
        return np.asarray(along / self.deviation_F.astype(along.dtype))

    def along_axes(self, gradient_KF: Floats) -> Floats:  # noqa: N803
        """(K, R) slope in weights along the axes from the slope in weights of raw, centred features."""
        # The transpose of `raw_weights`: gradients map back by the chain rule.
        scaled = gradient_KF / self.deviation_F.astype(gradient_KF.dtype)
        return np.asarray(scaled if self.axes_FR is None else scaled @ self.axes_FR)

    def head(self, weight_KR: Floats, bias_K: Floats, l2_penalty: float) -> LinearHead:  # noqa: N803
        """The head on raw features of one on the axes, whose features are centred."""
        # Rotated features are centred, so the mean of the raw ones moves into the bias.
        weight = self.raw_weights(weight_KR)
        return LinearHead(weight, bias_K - weight @ self.mean_F, l2_penalty)


def rotated(
    features_NF: Floats,  # noqa: N803
    weights_N: Doubles | None = None,  # noqa: N803
    scale_F: Doubles | None = None,  # noqa: N803
) -> tuple[Axes, Doubles]:
    """The axes of features in memory, without those that nothing varies along, and (N, R) features along them.

    With fewer rows than features there are fewer axes than rows, and they come from the smaller of two matrices.
    Means, deviations and axes count each row as often as its weight says. Standardised features are multiplied by their
    scale.
    """
    # In double precision: eigenvectors of a badly conditioned matrix need the digits.
    z_NF = np.array(features_NF, np.float64)  # noqa: N806
    if weights_N is None:
        mean, deviation = z_NF.mean(axis=0), z_NF.std(axis=0)
    else:
        mean = np.average(z_NF, axis=0, weights=weights_N)
        deviation = np.sqrt(np.average((z_NF - mean) ** 2, axis=0, weights=weights_N))
    # A constant feature is divided by 1, not by 0: it becomes 0 and takes no part.
    deviation = np.where(deviation > SMALLEST_DEVIATION, deviation, 1.0)
    deviation = deviation if scale_F is None else deviation / scale_F
    np.subtract(z_NF, mean, out=z_NF)
    np.divide(z_NF, deviation, out=z_NF)
    count, width = z_NF.shape
    # Rows scaled by the root of their weight, so that Z'Z is the weighted sum.
    weighed_NF = z_NF if weights_N is None else z_NF * np.sqrt(weights_N)[:, None]  # noqa: N806
    # Z Z' and Z'Z have the same nonzero eigenvalues; with few rows the N x N one is cheaper.
    if count < width:
        variances, across = np.linalg.eigh(weighed_NF @ weighed_NF.T / count)
        kept = _with_variance(variances)
        # Eigenvectors of Z'Z from those of Z Z': v = Z'u / sqrt(N lambda).
        axes = weighed_NF.T @ (across[:, kept] / np.sqrt(count * variances[kept]))
    else:
        variances, axes = np.linalg.eigh(weighed_NF.T @ weighed_NF / count)
        kept = _with_variance(variances)
        axes = axes[:, kept]
    return Axes(mean, deviation, variances[kept], axes), z_NF @ axes


def _with_variance(variances: Floats) -> npt.NDArray[np.bool_]:
    # Directions without variance are rounding; dividing by their eigenvalue would blow it up.
    return np.asarray(variances > 1e-9 * max(float(variances[-1]), 1e-9))


def axes_of(
    rows: RowSource,
    weights_N: Doubles | None = None,  # noqa: N803
    scale_F: Doubles | None = None,  # noqa: N803
) -> Axes:
    """The axes of rows that need not lie in memory, in one pass; all are kept, in single precision.

    Takes F x F doubles; above WIDEST_ROTATED features these keep their own axes, and it takes a few F. Standardised
    features are multiplied by their scale.
    """
    scale = np.ones(rows.width) if scale_F is None else scale_F
    if rows.width > WIDEST_ROTATED:
        return _unrotated(rows, np.ones(rows.rows) if weights_N is None else weights_N, scale)
    moments = moments_of(rows, np.zeros(rows.rows, np.int64), 1, weights_N)
    mean, deviation = moments.mean_F, moments.deviation_F / scale
    correlations = moments.scatter()
    correlations /= moments.count * deviation[:, None] * deviation
    # In single precision: these axes only precondition, any orthonormal set has the same optimum.
    variances, axes = np.linalg.eigh(correlations.astype(np.float32))
    return Axes(mean, deviation, variances.astype(np.float64), axes)


def _unrotated(rows: RowSource, weights_N: Doubles, scale_F: Doubles) -> Axes:  # noqa: N803
    shift, sums, squares = np.zeros(rows.width), np.zeros(rows.width), np.zeros(rows.width)
    for start, block in rows.blocks():
        # The mean of the first block is near the mean of all: sums of centred values lose no digits to a large offset.
        if start == 0:
            shift = block.mean(axis=0, dtype=np.float64)
        centred = block - shift
        weigh = weights_N[start : start + len(block)]
        sums += weigh @ centred
        squares += np.einsum("i,ij,ij->j", weigh, centred, centred)
    away = sums / rows.rows
    deviation = np.sqrt(np.maximum(squares / rows.rows - away**2, 0))
    varies = deviation > SMALLEST_DEVIATION
    return Axes(shift + away, np.where(varies, deviation, 1.0) / scale_F, varies * scale_F**2, None)


def own_axes(variances_R: Doubles) -> Axes:  # noqa: N803
    """Of features that were rotated already."""
    return Axes(np.zeros(len(variances_R)), np.ones(len(variances_R)), variances_R, None)
