"""Linear heads on features in memory: pure functions, deterministic, no training loop.

`logistic` finds the same optimum where the features are too many for memory, `head_solver` decides between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Floats, Labels
from headstart.solvers.axes import Axes, own_axes
from headstart.solvers.lbfgs import DOUBLE_ROUNDING, Points, Vector, minimise_together
from headstart.solvers.linear_head import LinearHead, PenaltyChoice
from headstart.solvers.logistic import L2_PENALTIES, TOLERANCE, choose_in_blocks
from headstart.solvers.rows import CheckStop, MatrixRows, StoppableRows, never_stop

_MOST_EVALUATIONS = 1_000
"""Of a fit; 50 to 500 are usual, most at weak penalties."""


def solve_rotated(
    axes: Axes,
    rotated_NR: Floats,  # noqa: N803
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    *,
    l2_penalty: float,
    check_stop: CheckStop = never_stop,
    weights_N: Doubles | None = None,  # noqa: N803
) -> LinearHead:
    """Multinomial logistic regression on features that were rotated into their axes: L-BFGS in double precision.

    Minimises mean cross-entropy + l2_penalty / 2 * ||W||^2 over weights of features standardised to mean 0 and
    deviation 1 (the bias is free); standardisation is folded into the returned weights. Equal to scikit-learn's
    LogisticRegression with C = 1 / (N * l2_penalty) on standardised features. With weights the cross-entropy, means and
    deviations are weighted ones: the same as repeating each image as often as its weight says.

    Weights are scaled by the square root of about how much the loss bends: some ten times fewer iterations. What
    `check_stop` raises between two of them ends the solve.
    """
    loss = _Loss(axes, rotated_NR, labels_N, num_classes, l2_penalty, check_stop, weights_N)
    # scipy's L-BFGS-B took eight times as long here: with ten thousand variables its own steps cost more than the loss.
    found = minimise_together(
        loss,
        np.zeros((1, num_classes * (rotated_NR.shape[1] + 1))),
        tolerance=TOLERANCE,
        max_evaluations=_MOST_EVALUATIONS,
        rounding=DOUBLE_ROUNDING,
    )
    return axes.head(*loss.weights(found.points_PV[0]), l2_penalty)


class _Loss:
    """Value and gradient of the one fit in double precision; the variables are scaled weights and biases."""

    def __init__(
        self,
        axes: Axes,
        rotated_NR: Floats,  # noqa: N803
        labels_N: Labels,  # noqa: N803
        num_classes: int,
        l2_penalty: float,
        check_stop: CheckStop,
        weights_N: Doubles | None,  # noqa: N803
    ) -> None:
        """See `solve_rotated`."""
        self._labels, self._classes, self._check_stop = labels_N, num_classes, check_stop
        self._curvature_R = axes.curvature(l2_penalty)
        # With v = w * curvature all directions bend alike, and L-BFGS starts from the right scale.
        self._scaled_NR = rotated_NR / self._curvature_R
        # ||w||^2 = ||v / curvature||^2, so each direction has a penalty of its own in v. The bias has none.
        self._penalty_R = l2_penalty / self._curvature_R**2
        self._weights_N = np.ones(len(labels_N)) if weights_N is None else weights_N

    def weights(self, point_V: Vector) -> tuple[Doubles, Doubles]:  # noqa: N803
        """(K, R) weights along the axes and (K,) biases of a point."""
        scaled, bias = self._parts(point_V)
        return scaled / self._curvature_R, bias

    def _parts(self, point_V: Vector) -> tuple[Doubles, Doubles]:  # noqa: N803
        return point_V[: -self._classes].reshape(self._classes, -1), point_V[-self._classes :]

    def __call__(self, points_AV: Points, _: npt.NDArray[np.int64]) -> tuple[Vector, Points]:  # noqa: N803
        """(1,) loss with its penalty, and (1, V) gradient, at the point of the only fit."""
        self._check_stop()
        weight, bias = self._parts(points_AV[0])
        rows = np.arange(len(self._labels))
        logits = self._scaled_NR @ weight.T + bias
        # log sum exp with the maximum taken out: exp cannot overflow.
        top = logits.max(axis=1, keepdims=True)
        scores = np.exp(logits - top)
        sums = scores.sum(axis=1, keepdims=True)
        losses = top[:, 0] + np.log(sums[:, 0]) - logits[rows, self._labels]
        # d loss / d logits = probability - target.
        residual = scores / sums
        residual[rows, self._labels] -= 1
        residual *= self._weights_N[:, None]
        slope = (residual.T @ self._scaled_NR) / len(rows) + self._penalty_R * weight
        value = (self._weights_N * losses).mean() + 0.5 * (self._penalty_R * weight**2).sum()
        return np.array([value]), np.concatenate([slope.ravel(), residual.mean(axis=0)])[None]


def choose_rotated(
    axes: Axes,
    rotated_NR: Floats,  # noqa: N803
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    folds: Sequence[int],
    *,
    l2_penalties: Sequence[float] = L2_PENALTIES,
    check_stop: CheckStop = never_stop,
    weights_N: Doubles | None = None,  # noqa: N803
) -> PenaltyChoice:
    """Cross-validate the penalty on rotated features, which all folds share, in single precision.

    The out-of-fold loss decides, and among equals the stronger penalty; see `choose_in_blocks`.
    """
    # The axes take features as they are: centred, of deviation 1 before the rotation.
    own = own_axes(axes.variances_R)
    rows = StoppableRows(MatrixRows(rotated_NR), check_stop)
    return choose_in_blocks(rows, labels_N, num_classes, own, folds, l2_penalties=l2_penalties, weights_N=weights_N)
