"""Multinomial logistic regression in passes over blocks of rows: memory stays flat however many rows there are.

Loss and gradient are added up block by block, always in the same order, products in single precision and sums in
double; L-BFGS on preconditioned weights does the rest. The fits of a cross-validation differ only in which rows they
leave out, so all of them are evaluated in the same pass: reading and centring a block is shared, and five narrow
products become one wide one.

The optimum is that of `in_memory.solve_rotated`: mean cross-entropy + l2_penalty / 2 * ||W||^2, features standardised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Labels, Singles
from headstart.solvers.axes import Axes
from headstart.solvers.lbfgs import PAIRS, Points, Vector, minimise_together
from headstart.solvers.linear_head import LinearHead, PenaltyChoice
from headstart.solvers.rows import RowSource

L2_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Grid of the L2 penalty; per image and on standardised features, so it means the same on any set and network."""

TOLERANCE = 1e-5
"""Largest component of the gradient at the solution."""
CHOOSING_TOLERANCE = 1e-3
"""Enough to compare penalties: the loss is then right to about 1e-6."""
MOST_PASSES = 300
"""Of a fit; 20 to 60 are usual, more at weak penalties."""
MOST_CHOOSING_PASSES = 60
"""For each penalty, all folds together, and one more to predict."""

_BIAS_CURVATURE = np.sqrt(0.1)
_TOGETHER_BYTES = 2**28
"""Of what L-BFGS remembers: with very many classes fewer folds are fitted at a time, in more passes."""
_NO_FOLD = -1


class _Loss:
    """Value and gradient of some fits; the variables are weights along the axes and biases, scaled."""

    def __init__(
        self,
        rows: RowSource,
        labels_N: Labels,  # noqa: N803 - shapes
        num_classes: int,
        axes: Axes,
        l2_penalty_P: npt.NDArray[np.float64],  # noqa: N803
        *,
        fold_of_N: npt.NDArray[np.int64],  # noqa: N803
        left_out_P: npt.NDArray[np.int64],  # noqa: N803
        weights_N: Doubles | None,  # noqa: N803
    ) -> None:
        """Fit p has the penalty `l2_penalty_P[p]` and passes over the rows of fold `left_out_P[p]`."""
        self._rows, self._labels, self._classes, self._axes = rows, labels_N, num_classes, axes
        self._fold_of, self._left_out = fold_of_N, left_out_P
        weigh = np.ones(len(labels_N)) if weights_N is None else weights_N
        self._weights_N = weigh.astype(np.float32)
        self._counts = np.array([weigh[fold_of_N != fold].sum() for fold in left_out_P])
        self._curvature_PR = np.stack([axes.curvature(l2_penalty) for l2_penalty in l2_penalty_P])
        # With v = w * curvature the Hessian in v is near the identity, so the penalty on w becomes a penalty on v /
        # curvature.
        self._penalty_PR = l2_penalty_P[:, None] / self._curvature_PR**2
        # Single precision like the blocks: a double here would turn every block into doubles when it is centred.
        self._mean = axes.mean_F.astype(np.float32)

    def weights(self, points_AV: Points, which: npt.NDArray[np.int64] | None = None) -> tuple[Points, Points]:  # noqa: N803
        """(A, K, R) weights along the axes, and (A, K) biases, of the fits `which`; None: of all."""
        scaled = points_AV[:, : -self._classes].reshape(len(points_AV), self._classes, -1)
        curvature = self._curvature_PR if which is None else self._curvature_PR[which]
        return scaled / curvature[:, None], points_AV[:, -self._classes :] / _BIAS_CURVATURE

    def points(self, weights_PKR: Points, biases_PK: Points) -> Points:  # noqa: N803
        """The variables that stand for these weights and biases."""
        scaled = (weights_PKR * self._curvature_PR[:, None]).reshape(len(weights_PKR), -1)
        return np.concatenate([scaled, biases_PK * _BIAS_CURVATURE], axis=1)

    def __call__(self, points_AV: Points, which: npt.NDArray[np.int64]) -> tuple[Vector, Points]:  # noqa: N803
        """(A,) mean losses with their penalty, and (A, V) gradients, of the fits `which`; one pass."""
        count, classes = len(points_AV), self._classes
        weights, biases = self.weights(points_AV, which)
        curvature, penalty = self._curvature_PR[which, None], self._penalty_PR[which, None]
        # Weights of all fits side by side make one (F, A * K) matrix, so that a block is multiplied once for all fits.
        flat = weights.reshape(count * classes, -1).astype(np.float32)
        # The axes are applied to the few weights, not to the many rows: rotating blocks would cost F * F a row.
        raw = np.asarray(self._axes.raw_weights(flat).T, np.float32)
        added = biases.reshape(-1).astype(np.float32)
        losses, slope, bias_slope = np.zeros(count), np.zeros((count * classes, len(raw))), np.zeros(count * classes)
        for start, block in self._rows.blocks():
            stop = start + len(block)
            centred = block - self._mean
            logits = centred @ raw
            logits += added
            # A fit counts a row unless it lies in the fold it leaves out: factor 0 removes it from loss and gradient
            # alike.
            counted = self._weights_N[start:stop, None] * (self._fold_of[start:stop, None] != self._left_out[which])
            losses += _residuals(logits.reshape(len(block), count, classes), self._labels[start:stop], counted)
            # `logits` now holds (probability - target) * weight, the residual whose product with the features is the
            # gradient.
            slope += logits.T @ centred
            # Biases sum thousands of residuals of both signs that cancel near the optimum; single precision would not
            # see the rest.
            bias_slope += logits.sum(axis=0, dtype=np.float64)
        counts = self._counts[which]
        along = self._axes.along_axes(slope.astype(np.float32)).astype(np.float64).reshape(weights.shape)
        # By the chain rule the gradient in the scaled variables is the one in the weights over the curvature.
        along /= curvature * counts[:, None, None]
        scaled = weights * curvature
        along += penalty * scaled
        bias_slope = bias_slope.reshape(count, classes) / (_BIAS_CURVATURE * counts[:, None])
        values = losses / counts + 0.5 * (penalty * scaled**2).sum(axis=(1, 2))
        return values, np.concatenate([along.reshape(count, -1), bias_slope], axis=1)


def _residuals(logits_BAK: npt.NDArray[Any], labels_B: Labels, counted_BA: npt.NDArray[np.float32]) -> Vector:  # noqa: N803
    """(A,) sums of cross-entropies times weights; turns the logits into probabilities less targets, times weights."""
    everyone = np.arange(len(labels_B))
    # Subtracting the maximum first keeps exp from overflowing and changes neither loss nor probabilities.
    np.subtract(logits_BAK, logits_BAK.max(axis=2, keepdims=True), out=logits_BAK)
    # The target's logit must be read before the array is overwritten by its exponentials.
    picked = logits_BAK[everyone, :, labels_B]
    np.exp(logits_BAK, out=logits_BAK)
    sums = logits_BAK.sum(axis=2)
    np.divide(logits_BAK, sums[:, :, None], out=logits_BAK)
    logits_BAK[everyone, :, labels_B] -= 1
    np.multiply(logits_BAK, counted_BA[:, :, None], out=logits_BAK)
    return np.asarray(((np.log(sums) - picked) * counted_BA).sum(axis=0, dtype=np.float64))


def solve_in_blocks(
    rows: RowSource,
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    axes: Axes,
    *,
    l2_penalties: Sequence[float],
    weights_N: Doubles | None = None,  # noqa: N803
) -> list[LinearHead]:
    """The head at each L2 penalty, in at most MOST_PASSES passes over the rows for all of them together.

    Args:
        rows: N rows of F features.
        labels_N: Class of each, 0..K-1.
        num_classes: K.
        axes: Of the rows, from `axes_of`.
        l2_penalties: Penalties, > 0.
        weights_N: Of the rows, 1 on average; the axes must have been found with them.
    """
    found: list[LinearHead] = []
    step = _most_together(num_classes, axes)
    for first in range(0, len(l2_penalties), step):
        some = l2_penalties[first : first + step]
        loss = _Loss(
            rows,
            labels_N,
            num_classes,
            axes,
            np.asarray(some, np.float64),
            fold_of_N=np.zeros(rows.rows, np.int64),
            # No fold is left out: all rows have fold 0, and -1 is no row's fold.
            left_out_P=np.full(len(some), _NO_FOLD),
            weights_N=weights_N,
        )
        # Start from zero, not from the neighbouring penalty: the result must not depend on which penalties are asked
        # together.
        start = np.zeros((len(some), num_classes * (len(axes.variances_R) + 1)))
        minima = minimise_together(loss, start, tolerance=TOLERANCE, max_evaluations=MOST_PASSES)
        weights, biases = loss.weights(minima.points_PV)
        found += [axes.head(w, b, l2_penalty) for w, b, l2_penalty in zip(weights, biases, some, strict=True)]
    return found


def _most_together(num_classes: int, axes: Axes) -> int:
    """Fits whose steps L-BFGS can remember at once."""
    # L-BFGS keeps a step and a gradient change, both doubles, for each of PAIRS pairs and every variable: 16 bytes.
    return max(1, int(_TOGETHER_BYTES // (16 * PAIRS * num_classes * (len(axes.variances_R) + 1))))


def choose_in_blocks(
    rows: RowSource,
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    axes: Axes,
    folds: npt.ArrayLike,
    *,
    l2_penalties: Sequence[float] = L2_PENALTIES,
    weights_N: Doubles | None = None,  # noqa: N803
) -> PenaltyChoice:
    """Cross-validate the penalty on out-of-fold predictions; the loss decides, and among equals the stronger.

    Tried from strong to weak until the loss rises, each from the solution before. At most
    len(l2_penalties) * (MOST_CHOOSING_PASSES + 1) passes over the rows, a tenth of it as a rule; with very many classes
    times the folds. The scale of a feature is taken from all rows: it is a unit, and knows no label.

    Args:
        rows: N rows of F features.
        labels_N: Class of each, 0..K-1.
        num_classes: K.
        axes: Of the rows.
        folds: Fold of each row.
        l2_penalties: Candidates.
        weights_N: Of the rows, 1 on average; of the loss that decides too.
    """
    parts, fold_of = np.unique(np.asarray(folds), return_inverse=True)
    width, everyone, losses = len(axes.variances_R), np.arange(rows.rows), dict[float, float]()
    weights, biases = np.zeros((len(parts), num_classes, width)), np.zeros((len(parts), num_classes))
    best, best_predicted = l2_penalties[-1], np.empty((0, num_classes), np.float32)
    step = _most_together(num_classes, axes)
    # Strong penalties have small, well conditioned solutions: each is a good start for the next weaker one.
    for l2_penalty in sorted(l2_penalties, reverse=True):
        for first in range(0, len(parts), step):
            some = np.arange(first, min(first + step, len(parts)))
            at = np.full(len(some), l2_penalty)
            loss = _Loss(rows, labels_N, num_classes, axes, at, fold_of_N=fold_of, left_out_P=some, weights_N=weights_N)
            start = loss.points(weights[some], biases[some])
            found = minimise_together(loss, start, tolerance=CHOOSING_TOLERANCE, max_evaluations=MOST_CHOOSING_PASSES)
            # Weights, not the scaled variables, are carried over: the scale (curvature) differs between penalties.
            weights[some], biases[some] = loss.weights(found.points_PV)
        heads = [axes.head(*fit, l2_penalty) for fit in zip(weights, biases, strict=True)]
        predicted = softmax_out_of_fold(rows, heads, fold_of)
        # Clipped: a single probability rounded to 0 would make the mean loss infinite.
        chances = -np.log(np.clip(predicted[everyone, labels_N], 1e-12, 1))
        loss_now = float((chances if weights_N is None else chances * weights_N).mean(dtype=np.float64))
        # `>=`, so that of equal losses the stronger penalty, tried first, stays.
        no_better = bool(losses) and loss_now >= min(losses.values())
        losses[l2_penalty] = loss_now
        if no_better:
            # The loss falls and then rises as the penalty weakens, and weak fits are the slow ones.
            break
        best, best_predicted = l2_penalty, predicted
    return PenaltyChoice(best, best_predicted, losses)


def softmax_out_of_fold(rows: RowSource, heads: Sequence[LinearHead], fold_of_N: npt.NDArray[np.int64]) -> Singles:  # noqa: N803
    """(N, K) probabilities of each row by the head of its own fold, in one pass."""
    found = np.empty((rows.rows, len(heads[0].bias_K)), np.float32)
    for start, block in rows.blocks():
        here = fold_of_N[start : start + len(block)]
        for fold in np.unique(here):
            found[start + np.flatnonzero(here == fold)] = heads[fold].probabilities(block[here == fold])
    return found
