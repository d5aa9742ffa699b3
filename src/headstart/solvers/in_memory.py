"""Linear heads on features in memory: pure functions, deterministic, no training loop.

`logistic` finds the same optimum where the features are too many for memory, `head_solver` decides between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Floats, Labels
from headstart.solvers.axes import Axes, own_axes
from headstart.solvers.linear_head import LinearHead, PenaltyChoice
from headstart.solvers.logistic import L2_PENALTIES, TOLERANCE, choose_in_blocks
from headstart.solvers.rows import CheckStop, MatrixRows, StoppableRows, never_stop

_ITERATIONS = 500


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
    from scipy.optimize import minimize

    count, width = rotated_NR.shape
    rows = np.arange(count)
    curvature_R = axes.curvature(l2_penalty)  # noqa: N806
    # With v = w * curvature all directions bend alike, and L-BFGS starts from the right scale.
    scaled_NR = rotated_NR / curvature_R  # noqa: N806
    weigh = np.ones(count) if weights_N is None else weights_N

    def loss_and_gradient(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        check_stop()
        weight, bias = flat[: num_classes * width].reshape(num_classes, width), flat[num_classes * width :]
        logits = scaled_NR @ weight.T + bias
        # log sum exp with the maximum taken out: exp cannot overflow.
        top = logits.max(axis=1, keepdims=True)
        scores = np.exp(logits - top)
        sums = scores.sum(axis=1, keepdims=True)
        loss = float((weigh * (top[:, 0] + np.log(sums[:, 0]) - logits[rows, labels_N])).mean())
        residual = scores / sums
        # d loss / d logits = probability - target.
        residual[rows, labels_N] -= 1
        residual *= weigh[:, None]
        # ||w||^2 = ||v / curvature||^2, so each direction has a penalty of its own in v. The bias has none.
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
        # ftol far below gtol's effect: the gradient decides when to stop.
        options={"maxiter": _ITERATIONS, "gtol": TOLERANCE, "ftol": 1e-12},
    )
    weight = found.x[: num_classes * width].reshape(num_classes, width) / curvature_R
    return axes.head(weight, found.x[num_classes * width :], l2_penalty)


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
