"""Linear probes behind one interface, however many rows there are and whichever loss is minimised.

    problem = head_problem(rows, labels, num_classes, solver="logistic")
    choice = problem.choose(folds)
    head = problem.solve(choice.l2_penalty, temperature=choice.temperature)

Few rows are rotated into their own axes once, in memory. Many are passed over in blocks, and memory stays flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Labels
from headstart.solvers.axes import Axes, axes_of, own_axes, rotated
from headstart.solvers.in_memory import choose_rotated, solve_rotated
from headstart.solvers.linear_head import LinearHead, PenaltyChoice, softmax
from headstart.solvers.logistic import L2_PENALTIES, choose_in_blocks, solve_in_blocks
from headstart.solvers.ridge import Ridge
from headstart.solvers.rows import CheckStop, MatrixRows, RowSource, StoppableRows, matrix_of_rows, never_stop

Solver: TypeAlias = Literal["logistic", "ridge"]
Folds: TypeAlias = Sequence[int] | npt.NDArray[np.int64]

IN_MEMORY_BYTES = 64 * 2**20
"""Features that take no more than this in double precision are solved in memory (6,500 rows of 1,280)."""

SAMPLE_VALUES = 2**25
"""With more features than this the penalty of a logistic head is chosen on a sample of so many (26,000 rows of 1,280):
a step of the grid is a factor of ten, and that many tell it as well as all."""


class HeadProblem(Protocol):
    """The task of fitting a linear head on some rows."""

    def choose(self, folds: Folds, l2_penalties: Sequence[float] | None = None) -> PenaltyChoice:
        """Cross-validate the penalty; None takes the solver's own grid."""

    def solve(self, l2_penalty: float, *, temperature: float = 1.0) -> LinearHead:
        """The head on all rows; its logits are divided by `temperature`."""

    def solve_many(self, l2_penalties: Sequence[float], *, temperature: float = 1.0) -> list[LinearHead]:
        """The head at each of several penalties; what they share is computed once."""


def head_problem(
    rows: RowSource,
    labels_N: Labels,  # noqa: N803 - shapes
    num_classes: int,
    *,
    solver: Solver = "logistic",
    seed: int = 0,
    check_stop: CheckStop = never_stop,
    weights_N: npt.NDArray[np.floating[Any]] | None = None,  # noqa: N803
    scale_F: Doubles | None = None,  # noqa: N803
    log_shares_K: Doubles | None = None,  # noqa: N803
) -> HeadProblem:
    """The problem of a linear head on these rows; nothing is read before it is first used.

    Args:
        rows: N rows of F features.
        labels_N: Class of each, 0..K-1.
        num_classes: K.
        solver: logistic minimises cross-entropy; ridge squared error, exactly and in a fixed number of passes.
        seed: Of the sample on which the penalty is chosen where there are very many rows.
        check_stop: Called between blocks of rows, iterations and penalties; what it raises ends the work.
        weights_N: How much each row counts, > 0, in what is minimised, in what chooses the penalty, and in means and
            deviations; only their ratios matter. None counts all alike.
        scale_F: Factors > 0 of the standardised features: the L2 penalty of a feature's weights is divided by the
            square of its own. None penalises all alike.
        log_shares_K: Logit adjustment: logarithms of the classes' shares, which heads and out-of-fold probabilities
            are free of. None adjusts nothing.

    Raises:
        ValueError: a weight that is no number > 0.
    """
    weigh = None if weights_N is None else mean_one(weights_N)
    rows = StoppableRows(rows, check_stop)
    # 8 bytes a value: in memory everything is in double precision.
    small = 8 * rows.rows * rows.width <= IN_MEMORY_BYTES
    problem: HeadProblem
    if solver == "ridge" and small:
        problem = RotatedRidge(rows, labels_N, num_classes, check_stop, weigh, scale_F)
    elif solver == "ridge":
        problem = Ridge(rows, labels_N, num_classes, check_stop=check_stop, weights_N=weigh, scale_F=scale_F)
    elif small:
        problem = RotatedLogistic(rows, labels_N, num_classes, check_stop, weigh, scale_F)
    else:
        problem = LogisticInBlocks(rows, labels_N, num_classes, seed, weigh, scale_F)
    return problem if log_shares_K is None else AdjustedProblem(problem, log_shares_K)


def mean_one(weights_N: npt.NDArray[np.floating[Any]]) -> Doubles:  # noqa: N803
    """The weights over their mean.

    Raises:
        ValueError: one is no number > 0.
    """
    weigh = np.asarray(weights_N, np.float64)
    if not (np.isfinite(weigh) & (weigh > 0)).all():
        raise ValueError("weights must be finite numbers > 0")
    # Only ratios matter, so that the penalty means the same with weights as without.
    return np.asarray(weigh / weigh.mean())


@dataclass
class _Rotated:
    """Rows in memory, in their own axes; found once for the choice and the solution."""

    rows: RowSource
    labels: Labels
    num_classes: int
    check_stop: CheckStop
    weights: Doubles | None = None
    scale: Doubles | None = None

    @cached_property
    def _found(self) -> tuple[Axes, npt.NDArray[np.float64]]:
        return rotated(matrix_of_rows(self.rows), self.weights, self.scale)


class RotatedLogistic(_Rotated):
    """Logistic regression in memory."""

    def choose(self, folds: Folds, l2_penalties: Sequence[float] | None = None) -> PenaltyChoice:
        """See `choose_rotated`."""
        labels, grid = self.labels, l2_penalties or L2_PENALTIES
        return choose_rotated(
            *self._found,
            labels,
            self.num_classes,
            list(folds),
            l2_penalties=grid,
            check_stop=self.check_stop,
            weights_N=self.weights,
        )

    def solve(self, l2_penalty: float, *, temperature: float = 1.0) -> LinearHead:
        """See `solve_rotated`."""
        head = solve_rotated(
            *self._found,
            self.labels,
            self.num_classes,
            l2_penalty=l2_penalty,
            check_stop=self.check_stop,
            weights_N=self.weights,
        )
        return head.tempered(temperature)

    def solve_many(self, l2_penalties: Sequence[float], *, temperature: float = 1.0) -> list[LinearHead]:
        """The heads at several penalties, in the same passes over the rotated rows, in single precision."""
        axes, along = self._found
        own = own_axes(axes.variances_R)
        rows = StoppableRows(MatrixRows(along), self.check_stop)
        # Several penalties in blocks, not one after the other: the rotated rows are read once for all of them.
        heads = solve_in_blocks(
            rows, self.labels, self.num_classes, own, l2_penalties=l2_penalties, weights_N=self.weights
        )
        return [axes.head(head.weight_KF, head.bias_K, head.l2_penalty).tempered(temperature) for head in heads]


class RotatedRidge(_Rotated):
    """Ridge regression in memory: with fewer rows than features the statistics are as small as the rows are few."""

    @cached_property
    def _ridge(self) -> Ridge:
        axes, along = self._found
        # The axes are standardised already, so the ridge must not divide by deviations again.
        ones = np.ones(len(axes.variances_R))  # standardised before they were rotated
        rows = StoppableRows(MatrixRows(along), self.check_stop)
        return Ridge(
            rows,
            self.labels,
            self.num_classes,
            deviation_F=ones,
            check_stop=self.check_stop,
            weights_N=self.weights,
        )

    def choose(self, folds: Folds, l2_penalties: Sequence[float] | None = None) -> PenaltyChoice:
        """See `Ridge.choose`."""
        return self._ridge.choose(folds, l2_penalties)

    def solve(self, l2_penalty: float, *, temperature: float = 1.0) -> LinearHead:
        """See `Ridge.solve`."""
        head = self._ridge.solve(l2_penalty, temperature=temperature)
        return self._found[0].head(head.weight_KF, head.bias_K, l2_penalty)

    def solve_many(self, l2_penalties: Sequence[float], *, temperature: float = 1.0) -> list[LinearHead]:
        """See `Ridge.solve_many`."""
        axes, heads = self._found[0], self._ridge.solve_many(l2_penalties, temperature=temperature)
        return [axes.head(head.weight_KF, head.bias_K, head.l2_penalty) for head in heads]


@dataclass
class LogisticInBlocks:
    """Logistic regression in passes over blocks of rows."""

    rows: RowSource
    labels: Labels
    num_classes: int
    seed: int
    weights: Doubles | None = None
    scale: Doubles | None = None

    @cached_property
    def _axes(self) -> Axes:
        return axes_of(self.rows, self.weights, self.scale)

    def choose(self, folds: Folds, l2_penalties: Sequence[float] | None = None) -> PenaltyChoice:
        """See `choose_in_blocks`; on a stratified sample where there are more than SAMPLE_VALUES features."""
        grid, fold_of = l2_penalties or L2_PENALTIES, np.asarray(folds)
        wanted = SAMPLE_VALUES // self.rows.width
        if self.rows.rows <= wanted:
            return choose_in_blocks(
                self.rows, self.labels, self.num_classes, self._axes, fold_of, l2_penalties=grid, weights_N=self.weights
            )
        # The sample keeps the folds of its images, so that groups stay together in it too.
        some = stratified_sample(self.labels, wanted, seed=self.seed)
        rows, labels = self.rows.subset(some), self.labels[some]
        weigh = None if self.weights is None else self.weights[some]
        choice = choose_in_blocks(
            rows, labels, self.num_classes, self._axes, fold_of[some], l2_penalties=grid, weights_N=weigh
        )
        return replace(choice, sample=some)

    def solve(self, l2_penalty: float, *, temperature: float = 1.0) -> LinearHead:
        """See `solve_in_blocks`."""
        (head,) = self.solve_many([l2_penalty])
        return head.tempered(temperature)

    def solve_many(self, l2_penalties: Sequence[float], *, temperature: float = 1.0) -> list[LinearHead]:
        """See `solve_in_blocks`: the passes serve all of them."""
        heads = solve_in_blocks(
            self.rows, self.labels, self.num_classes, self._axes, l2_penalties=l2_penalties, weights_N=self.weights
        )
        return [head.tempered(temperature) for head in heads]


@dataclass(frozen=True)
class AdjustedProblem:
    """A problem whose heads are logit-adjusted (Menon et al. 2021): they predict for classes of equal size.

    Biases carry no penalty, so the minimum of the loss with log shares added to the logits is that of the plain loss
    with biases that are lower by the log shares: after the fact and in the loss are the same here, and weights, penalty
    and time are those of the plain problem.
    """

    problem: HeadProblem
    log_shares_K: Doubles  # noqa: N815 - shapes

    def choose(self, folds: Folds, l2_penalties: Sequence[float] | None = None) -> PenaltyChoice:
        """The choice of the plain problem, by the probabilities that it was fitted for, and adjusted ones of it."""
        choice = self.problem.choose(folds, l2_penalties)
        logits = np.log(np.clip(choice.out_of_fold_NK, 1e-12, 1)) - self.log_shares_K
        return replace(choice, out_of_fold_NK=softmax(logits))

    def solve(self, l2_penalty: float, *, temperature: float = 1.0) -> LinearHead:
        """The head of the plain problem at its temperature, adjusted."""
        return self._adjusted(self.problem.solve(l2_penalty, temperature=temperature))

    def solve_many(self, l2_penalties: Sequence[float], *, temperature: float = 1.0) -> list[LinearHead]:
        """The same at several penalties."""
        heads = self.problem.solve_many(l2_penalties, temperature=temperature)
        return [self._adjusted(head) for head in heads]

    def _adjusted(self, head: LinearHead) -> LinearHead:
        return replace(head, bias_K=head.bias_K - self.log_shares_K)


def stratified_sample(labels_N: Labels, count: int, *, seed: int) -> npt.NDArray[np.int64]:  # noqa: N803
    """About `count` positions in rising order: the same share of every class, at least two of each that has them."""
    rng = np.random.default_rng(seed)
    share = count / len(labels_N)
    chosen = []
    for label in np.unique(labels_N):
        members = np.flatnonzero(labels_N == label)
        # At least two: one to fit on and one to hold out, also of a class that the share would round to none.
        chosen.append(rng.permutation(members)[: max(2, round(share * len(members)))])
    return np.sort(np.concatenate(chosen))
