"""Linear heads on stored features: pure functions, deterministic, no training loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Matrix: TypeAlias = npt.NDArray[np.floating[Any]]
Labels: TypeAlias = npt.NDArray[np.int64]

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Grid of the L2 penalty; per image and on standardised features, so it means the same on any set and network."""

_SOFTMAX_CURVATURE = 0.1
"""Typical p * (1 - p) of a class probability: scales the preconditioner, not the solution."""

_ITERATIONS = 500
_TOLERANCE = 1e-5
"""Largest component of the gradient at the solution."""
_CHOOSING_TOLERANCE = 1e-3
"""Enough to compare penalties: the loss is then right to about 1e-6."""


@dataclass(frozen=True, slots=True)
class LinearHead:
    """A solved head in the units of the raw features."""

    weight_KF: Matrix  # noqa: N815 - shapes
    bias_K: Matrix  # noqa: N815
    strength: float

    def probabilities(self, features_NF: Matrix) -> Matrix:  # noqa: N803
        """(N, K) softmax of the logits."""
        return softmax(features_NF @ self.weight_KF.T + self.bias_K)


@dataclass(frozen=True, slots=True)
class StrengthChoice:
    """What cross-validation found."""

    strength: float
    out_of_fold_NK: Matrix  # noqa: N815
    """Probabilities of each image from the fit that did not see it, at the chosen strength."""
    losses: dict[float, float]
    """Strength -> mean out-of-fold log loss in nats."""


def softmax(logits_NK: Matrix) -> Matrix:  # noqa: N803
    """Rows of probabilities."""
    shifted = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class _Basis:
    """Standardised features in the axes of their own covariance, where the problem is well conditioned."""

    mean_F: Matrix  # noqa: N815
    deviation_F: Matrix  # noqa: N815
    axes_FR: Matrix  # noqa: N815
    """Orthonormal; directions without variance are left out, the solution has no weight there."""
    variances_R: Matrix  # noqa: N815
    rotated_NR: Matrix  # noqa: N815


def _basis_of(features_NF: Matrix) -> _Basis:  # noqa: N803
    features = np.asarray(features_NF, np.float64)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation = np.where(deviation > 1e-8, deviation, 1.0)
    z_NF = (features - mean) / deviation  # noqa: N806
    count, width = z_NF.shape
    if count < width:  # the same axes from the smaller of the two matrices
        variances, across = np.linalg.eigh(z_NF @ z_NF.T / count)
        kept = _with_variance(variances)
        axes = z_NF.T @ (across[:, kept] / np.sqrt(count * variances[kept]))
    else:
        variances, axes = np.linalg.eigh(z_NF.T @ z_NF / count)
        kept = _with_variance(variances)
        axes = axes[:, kept]
    return _Basis(mean, deviation, axes, variances[kept], z_NF @ axes)


def _with_variance(variances: Matrix) -> npt.NDArray[np.bool_]:
    return np.asarray(variances > 1e-9 * max(float(variances[-1]), 1e-9))


def _solve_in(
    basis: _Basis,
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    strength: float,
    *,
    tolerance: float = _TOLERANCE,
) -> LinearHead:
    """L-BFGS on weights scaled by the square root of a bound on their curvature: some ten times fewer iterations."""
    from scipy.optimize import minimize

    count, width = basis.rotated_NR.shape
    rows = np.arange(count)
    curvature_R = np.sqrt(_SOFTMAX_CURVATURE * basis.variances_R + strength)  # noqa: N806
    scaled_NR = basis.rotated_NR / curvature_R  # noqa: N806

    def loss_and_gradient(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        weight, bias = flat[: num_classes * width].reshape(num_classes, width), flat[num_classes * width :]
        logits = scaled_NR @ weight.T + bias
        top = logits.max(axis=1, keepdims=True)
        scores = np.exp(logits - top)
        sums = scores.sum(axis=1, keepdims=True)
        loss = float((top[:, 0] + np.log(sums[:, 0]) - logits[rows, labels_N]).mean())
        residual = scores / sums
        residual[rows, labels_N] -= 1
        penalty = strength / curvature_R**2
        gradient = np.concatenate(
            [((residual.T @ scaled_NR) / count + penalty * weight).ravel(), residual.mean(axis=0)]
        )
        return loss + 0.5 * float((penalty * weight**2).sum()), gradient

    found = minimize(
        loss_and_gradient,
        np.zeros(num_classes * (width + 1)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "gtol": tolerance, "ftol": 1e-12},
    )
    scaled = found.x[: num_classes * width].reshape(num_classes, width)
    weight = (scaled / curvature_R) @ basis.axes_FR.T / basis.deviation_F
    bias = found.x[num_classes * width :] - weight @ basis.mean_F
    return LinearHead(weight, bias, strength)


def solve_logistic(
    features_NF: Matrix,  # noqa: N803
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    *,
    strength: float,
) -> LinearHead:
    """Multinomial logistic regression, solved with L-BFGS.

    Minimises mean cross-entropy + strength / 2 * ||W||^2 over weights of features standardised to mean 0 and
    deviation 1 (the bias is free); standardisation is folded into the returned weights. Equal to scikit-learn's
    LogisticRegression with C = 1 / (N * strength) on standardised features.

    Args:
        features_NF: N images x F features.
        labels_N: Class of each, 0..K-1.
        num_classes: K.
        strength: Penalty, > 0.
    """
    return _solve_in(_basis_of(features_NF), labels_N, num_classes, strength)


def choose_strength(
    features_NF: Matrix,  # noqa: N803
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    folds: Sequence[int],
    *,
    strengths: Sequence[float] = STRENGTHS,
    on_fit: Callable[[], object] = lambda: None,
) -> StrengthChoice:
    """Cross-validate the penalty on out-of-fold predictions; the loss decides, and among equals the stronger.

    Args:
        features_NF: N x F.
        labels_N: Class of each.
        num_classes: K.
        folds: Fold of each image, from `splits.deal`, so that groups stay together.
        strengths: Candidates; tried from strong to weak until the loss rises.
        on_fit: Called after each fit, for progress.
    """
    features, fold_of = np.asarray(features_NF, np.float64), np.asarray(folds)
    rows, losses = np.arange(len(labels_N)), dict[float, float]()
    best, best_predicted = strengths[-1], np.empty((0, num_classes))
    bases = {fold: _basis_of(features[fold_of != fold]) for fold in np.unique(fold_of)}
    for strength in sorted(strengths, reverse=True):
        predicted = np.zeros((len(labels_N), num_classes))
        for fold, basis in bases.items():
            inside, outside = fold_of != fold, fold_of == fold
            head = _solve_in(basis, labels_N[inside], num_classes, strength, tolerance=_CHOOSING_TOLERANCE)
            predicted[outside] = head.probabilities(features[outside])
            on_fit()
        loss = float(-np.log(np.clip(predicted[rows, labels_N], 1e-12, 1)).mean())
        no_better = bool(losses) and loss >= min(losses.values())
        losses[strength] = loss
        if no_better:
            # The loss falls and then rises as the penalty weakens, and weak fits are the slow ones.
            break
        best, best_predicted = strength, predicted
    return StrengthChoice(best, best_predicted, losses)
