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

_ITERATIONS = 500
_TOLERANCE = 1e-5


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
    from scipy.optimize import minimize

    features = np.asarray(features_NF, np.float64)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation = np.where(deviation > 1e-8, deviation, 1.0)
    z_NF = (features - mean) / deviation  # noqa: N806
    count, width = z_NF.shape
    rows = np.arange(count)

    def loss_and_gradient(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        weight, bias = flat[: num_classes * width].reshape(num_classes, width), flat[num_classes * width :]
        logits = z_NF @ weight.T + bias
        top = logits.max(axis=1, keepdims=True)
        scores = np.exp(logits - top)
        sums = scores.sum(axis=1, keepdims=True)
        loss = float((top[:, 0] + np.log(sums[:, 0]) - logits[rows, labels_N]).mean())
        residual = scores / sums
        residual[rows, labels_N] -= 1
        gradient = np.concatenate([((residual.T @ z_NF) / count + strength * weight).ravel(), residual.mean(axis=0)])
        return loss + strength / 2 * float((weight**2).sum()), gradient

    start = np.zeros(num_classes * (width + 1))
    found = minimize(
        loss_and_gradient,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "gtol": _TOLERANCE, "ftol": 1e-10},
    )
    weight = found.x[: num_classes * width].reshape(num_classes, width) / deviation
    bias = found.x[num_classes * width :] - weight @ mean
    return LinearHead(weight, bias, strength)


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
    for strength in sorted(strengths, reverse=True):
        predicted = np.zeros((len(labels_N), num_classes))
        for fold in np.unique(fold_of):
            inside, outside = fold_of != fold, fold_of == fold
            head = solve_logistic(features[inside], labels_N[inside], num_classes, strength=strength)
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
