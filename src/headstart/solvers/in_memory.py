"""Linear heads on features in memory: pure functions, deterministic, no training loop.

`logistic` finds the same optimum where the features are too many for memory, `head_solver` decides between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from headstart.solvers.axes import Axes, own_axes, rotated
from headstart.solvers.linear_head import Labels, LinearHead, Matrix, PenaltyChoice, softmax
from headstart.solvers.logistic import L2_PENALTIES, TOLERANCE, choose_in_blocks
from headstart.solvers.moments import Weights
from headstart.solvers.rows import CheckStop, MatrixRows, StoppableRows, never_stop

_ITERATIONS = 500


def solve_logistic(
    features_NF: Matrix,  # noqa: N803 - shapes
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    *,
    l2_penalty: float,
    weights_N: Weights | None = None,  # noqa: N803
) -> LinearHead:
    """Multinomial logistic regression, solved with L-BFGS.

    Minimises mean cross-entropy + l2_penalty / 2 * ||W||^2 over weights of features standardised to mean 0 and
    deviation 1 (the bias is free); standardisation is folded into the returned weights. Equal to scikit-learn's
    LogisticRegression with C = 1 / (N * l2_penalty) on standardised features. With weights the cross-entropy, means and
    deviations are weighted ones: the same as repeating each image as often as its weight says.

    Args:
        features_NF: N images x F features.
        labels_N: Class of each, 0..K-1.
        num_classes: K.
        l2_penalty: Penalty, > 0.
        weights_N: Of the images, 1 on average.
    """
    axes, rotated_NR = rotated(features_NF, weights_N)  # noqa: N806
    return solve_rotated(axes, rotated_NR, labels_N, num_classes, l2_penalty=l2_penalty, weights_N=weights_N)


def solve_rotated(
    axes: Axes,
    rotated_NR: Matrix,  # noqa: N803
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    *,
    l2_penalty: float,
    check_stop: CheckStop = never_stop,
    weights_N: Weights | None = None,  # noqa: N803
) -> LinearHead:
    """The same for features that were rotated into their axes already: L-BFGS in double precision.

    Weights are scaled by the square root of about how much the loss bends: some ten times fewer iterations. What
    `check_stop` raises between two of them ends the solve.
    """
    from scipy.optimize import minimize

    count, width = rotated_NR.shape
    rows = np.arange(count)
    curvature_R = axes.curvature(l2_penalty)  # noqa: N806
    scaled_NR = rotated_NR / curvature_R  # noqa: N806
    weigh = np.ones(count) if weights_N is None else weights_N

    def loss_and_gradient(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        check_stop()
        weight, bias = flat[: num_classes * width].reshape(num_classes, width), flat[num_classes * width :]
        logits = scaled_NR @ weight.T + bias
        top = logits.max(axis=1, keepdims=True)
        scores = np.exp(logits - top)
        sums = scores.sum(axis=1, keepdims=True)
        loss = float((weigh * (top[:, 0] + np.log(sums[:, 0]) - logits[rows, labels_N])).mean())
        residual = scores / sums
        residual[rows, labels_N] -= 1
        residual *= weigh[:, None]
        penalty = l2_penalty / curvature_R**2
        gradient = np.concatenate(
            [((residual.T @ scaled_NR) / count + penalty * weight).ravel(), residual.mean(axis=0)]
        )
        return loss + 0.5 * float((penalty * weight**2).sum()), gradient

    found = minimize(
        loss_and_gradient,
        np.zeros(num_classes * (width + 1)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "gtol": TOLERANCE, "ftol": 1e-12},
    )
    weight = found.x[: num_classes * width].reshape(num_classes, width) / curvature_R
    return axes.head(weight, found.x[num_classes * width :], l2_penalty)


def choose_l2_penalty(
    features_NF: Matrix,  # noqa: N803
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    folds: Sequence[int],
    *,
    l2_penalties: Sequence[float] = L2_PENALTIES,
    on_fit: Callable[[], object] = lambda: None,
    weights_N: Weights | None = None,  # noqa: N803
) -> PenaltyChoice:
    """Cross-validate the penalty on out-of-fold predictions; the loss decides, and among equals the stronger.

    Args:
        features_NF: N x F.
        labels_N: Class of each.
        num_classes: K.
        folds: Fold of each image, from `splits.deal`, so that groups stay together.
        l2_penalties: Candidates; tried from strong to weak until the loss rises.
        on_fit: Called after each fit, for progress.
        weights_N: Of the images, 1 on average; of the loss that decides too.
    """
    axes, rotated_NR = rotated(features_NF, weights_N)  # noqa: N806
    return choose_rotated(
        axes, rotated_NR, labels_N, num_classes, folds, l2_penalties=l2_penalties, on_fit=on_fit, weights_N=weights_N
    )


def choose_rotated(
    axes: Axes,
    rotated_NR: Matrix,  # noqa: N803
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    folds: Sequence[int],
    *,
    l2_penalties: Sequence[float] = L2_PENALTIES,
    on_fit: Callable[[], object] = lambda: None,
    check_stop: CheckStop = never_stop,
    weights_N: Weights | None = None,  # noqa: N803
) -> PenaltyChoice:
    """The same for features that were rotated into their axes already: all folds share them, in single precision."""
    own = own_axes(axes.variances_R)
    rows = StoppableRows(MatrixRows(rotated_NR), check_stop)
    return choose_in_blocks(
        rows, labels_N, num_classes, own, folds, l2_penalties=l2_penalties, on_fit=on_fit, weights_N=weights_N
    )


__all__ = [
    "L2_PENALTIES",
    "Labels",
    "LinearHead",
    "Matrix",
    "PenaltyChoice",
    "choose_l2_penalty",
    "choose_rotated",
    "softmax",
    "solve_logistic",
    "solve_rotated",
]
