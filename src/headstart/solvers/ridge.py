"""Ridge regression onto classes, solved from additive statistics of the rows: exact, without iterations.

One target a class, 1 for its images and 0 for the others, all of them and the features centred. With C the covariance
of standardised features and T theirs with the targets, W = (C + l2_penalty I)^-1 T minimises
mean ||y - W^T z||^2 + l2_penalty * ||W||^2: scikit-learn's Ridge with alpha = N * l2_penalty on standardised features.
With weights every mean is a weighted one.

One pass adds up the statistics of every fold (`moments`), those of a fold taken from those of all give each fit of the
cross-validation, and one pass a penalty scores the rows that it left out. A penalty is judged by the log loss of these
scores at the temperature that suits them best, as a logistic head is by its log loss: squared error asks how near
scores are to 0 and 1, not whether they tell classes apart, and it cannot be compared between the two solvers. The
temperature becomes part of the weights, and so the head answers with probabilities like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Labels, Singles
from headstart.measures.temperature import ONE_IMAGE_A_CLASS, best_temperature
from headstart.solvers.linear_head import LinearHead, PenaltyChoice, softmax
from headstart.solvers.moments import Moments, moments_by_part
from headstart.solvers.rows import CheckStop, RowSource, never_stop

RIDGE_L2_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""Grid of the penalty on standardised features, per image."""

_TOGETHER_BYTES = 2**28
"""Of statistics that are held at once; where the folds' together are larger, each fold takes a pass of its own."""
_SHARPNESS = (1e-2, 1e4)
"""Bounds of 1 / temperature: scores lie near 0..1."""


class Ridge:
    """One-vs-rest ridge regression on some rows."""

    def __init__(
        self,
        rows: RowSource,
        labels_N: Labels,  # noqa: N803
        num_classes: int,
        *,
        deviation_F: Doubles | None = None,  # noqa: N803
        check_stop: CheckStop = never_stop,
        weights_N: Doubles | None = None,  # noqa: N803
        scale_F: Doubles | None = None,  # noqa: N803
    ) -> None:
        """Nothing is read yet.

        Args:
            rows: N rows of F features.
            labels_N: Class of each, 0..K-1.
            num_classes: K.
            deviation_F: What features are divided by before they are penalised; None: their standard deviations
                over all rows.
            check_stop: Called after each fit; what it raises ends the work. Passes over the rows are for them to stop.
            weights_N: Of the rows, 1 on average.
            scale_F: Standardised features are multiplied by theirs; None: by 1.
        """
        self._check_stop, self._weights, self._scale = check_stop, weights_N, scale_F
        self._rows, self._labels, self._classes = rows, labels_N, num_classes
        self._deviation = deviation_F
        self._all: Moments | None = None

    def solve(self, l2_penalty: float, *, temperature: float = 1.0) -> LinearHead:
        """The head at one L2 penalty, its logits divided by `temperature`; at most one pass."""
        (head,) = self.solve_many([l2_penalty], temperature=temperature)
        return head

    def solve_many(self, l2_penalties: Sequence[float], *, temperature: float = 1.0) -> list[LinearHead]:
        """The head at each L2 penalty, from one decomposition of the statistics; at most one pass."""
        if self._all is None:
            (self._all,) = self._moments(np.zeros(self._rows.rows, np.int64), 1)
        heads = self._fits(self._all, self._deviation_of(self._all), l2_penalties)
        return [head.tempered(temperature) for head in heads]

    def choose(self, folds: npt.ArrayLike, l2_penalties: Sequence[float] | None = None) -> PenaltyChoice:
        """Cross-validate; the lowest out-of-fold log loss at its best temperature decides, among equals the stronger.

        Passes over the rows: one for the statistics (one a fold and one more where they are large), and one for each
        penalty from strong to weak until the loss rises. Memory: folds * F * F doubles or 256 MB, whichever is less,
        and F * F; folds * l2_penalties * K * F floats; N * K floats for the answer.

        Args:
            folds: Fold of each row.
            l2_penalties: Candidates; None takes RIDGE_L2_PENALTIES.
        """
        parts, fold_of = np.unique(np.asarray(folds), return_inverse=True)
        # Strong to weak, as in `logistic`: the loss falls and then rises, and the rest of the grid is not tried.
        tried = sorted(l2_penalties or RIDGE_L2_PENALTIES, reverse=True)
        heads = [self._fits(moments, self._deviation, tried) for moments in self._training(fold_of, len(parts))]
        losses: dict[float, float] = {}
        best = (tried[0], np.empty((0, self._classes), np.float32), 1.0)
        for number, l2_penalty in enumerate(tried):
            scores = self._out_of_fold([of_fold[number] for of_fold in heads], fold_of)
            temperature, loss = best_temperature(
                scores, self._labels, _SHARPNESS, self._weights, soften=ONE_IMAGE_A_CLASS
            )
            # Of equal losses the stronger penalty, which was tried first.
            no_better = bool(losses) and loss >= min(losses.values())
            losses[l2_penalty] = loss
            if no_better:
                break
            best = (l2_penalty, scores, temperature)
        l2_penalty, scores, temperature = best
        predicted = softmax(scores / np.float32(temperature))
        return PenaltyChoice(l2_penalty, predicted, losses, temperature=temperature)

    def _fits(self, moments: Moments, deviation_F: Doubles | None, l2_penalties: Sequence[float]) -> list[LinearHead]:  # noqa: N803
        """One head for each L2 penalty; with many features a fit takes seconds."""
        heads = []
        for head in _fits(moments, deviation_F, l2_penalties):
            self._check_stop()
            heads.append(head)
        return heads

    def _deviation_of(self, moments: Moments) -> Doubles:
        if self._deviation is None:
            self._deviation = moments.deviation_F / (1.0 if self._scale is None else self._scale)
        return self._deviation

    def _moments(self, part_of: npt.NDArray[np.int64], parts: int) -> list[Moments]:
        return moments_by_part(self._rows, self._labels, self._classes, part_of, parts, self._weights)

    def _training(self, fold_of: npt.NDArray[np.int64], folds: int) -> Iterator[Moments]:
        """Moments of the rows outside each fold in turn."""
        # Where all folds' matrices do not fit, each fold takes a pass of its own, and memory stays at two of them.
        at_once = folds * self._rows.width**2 * 8 <= _TOGETHER_BYTES
        by_fold = self._moments(fold_of, folds) if at_once else self._moments(np.zeros_like(fold_of), 1)
        self._all = by_fold[0]
        for other in by_fold[1:]:
            self._all = self._all + other
        # Deviations of all rows, in every fold: a unit of measurement, in which no label takes part.
        self._deviation_of(self._all)
        for fold in range(folds):
            own = by_fold[fold] if at_once else self._moments(np.where(fold_of == fold, 0, 1), 1)[0]
            # Statistics of all rows minus those of the fold are those of its training rows: no pass over them is
            # needed.
            yield self._all - own

    def _out_of_fold(self, heads: Sequence[LinearHead], fold_of: npt.NDArray[np.int64]) -> Singles:
        """(N, K) out-of-fold scores of the rows."""
        found = np.empty((self._rows.rows, self._classes), np.float32)
        for start, block in self._rows.blocks():
            here = fold_of[start : start + len(block)]
            for fold in np.unique(here):
                head = heads[fold]
                found[start + np.flatnonzero(here == fold)] = block[here == fold] @ head.weight_KF.T + head.bias_K
        return found


def _fits(moments: Moments, deviation_F: Doubles | None, l2_penalties: Sequence[float]) -> Iterator[LinearHead]:  # noqa: N803
    """One head for each L2 penalty."""
    from scipy.linalg.lapack import dposv

    deviation = moments.deviation_F if deviation_F is None else deviation_F
    covariance = moments.scatter()
    # The correlation matrix times deviations: (C + l2 I) is in units of standardised features.
    covariance /= moments.count * deviation[:, None] * deviation
    targets = moments.targets_scatter() / (moments.count * deviation[:, None])
    shares, diagonal = moments.class_counts_K / moments.count, np.arange(len(covariance))
    plain = covariance[diagonal, diagonal].copy()
    for l2_penalty in l2_penalties:
        # Only the diagonal changes from penalty to penalty.
        covariance[diagonal, diagonal] = plain + l2_penalty
        # C + l2 I is positive definite, so Cholesky does, at half the cost of LU; `scipy.linalg.solve` would check the
        # matrix and estimate its condition too, which takes as long again. The transpose is the same matrix, in the
        # order that LAPACK takes without another copy.
        solved = dposv(covariance.T, targets)[1] if len(plain) else targets
        weight = solved.T / deviation
        # Targets and features are centred, so the bias is the class share less what the mean features score.
        yield LinearHead(weight, shares - weight @ moments.mean_F, l2_penalty)
