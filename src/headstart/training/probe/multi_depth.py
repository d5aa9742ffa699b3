"""Linear probe on the outputs of all layer groups, compared with the plain one on the last; one is selected.

Both are fitted on the same rows, because the features of the plain head are a part of those of the other. The plain one
is selected unless the other is significantly better on images that neither was fitted on.

The earlier groups have fewer features than the last layer as a rule, and one L2 penalty for all would leave them little
weight. So standardised features are scaled until both parts have the same total variance. Earlier versions chose the
best 10 to 100 % of the features instead (Head2Toe, Evci et al. 2022): five times the work, and no better
(docs/benchmarks.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Floats, Labels, Positions
from headstart.measures.figures import SelectionMetric
from headstart.measures.selection import Scored
from headstart.solvers.columns import ColumnRows, FeatureMask, widened
from headstart.solvers.head_solver import Folds, HeadProblem, Solver, head_problem, stratified_sample
from headstart.solvers.linear_head import LinearHead, PenaltyChoice
from headstart.solvers.logistic import L2_PENALTIES
from headstart.solvers.ridge import RIDGE_L2_PENALTIES
from headstart.solvers.rows import CheckStop, RowSource, never_stop

CHOOSING_IMAGES = 4000
"""With more images the wider head's penalty is chosen, and it is compared out-of-fold, on a sample of so many."""
FIT_STEPS = 4
"""Of the fits of both heads, for progress."""
_STEP_OF_GRID = 10.0
"""The wider head's penalty is looked for within this factor of the plain one's."""


@dataclass(frozen=True)
class DepthProblem:
    """Data of the two heads: training rows, the rows that they are evaluated on, and the options of the fit."""

    train: RowSource
    """N rows: first the features of the plain head, then the outputs of the groups."""
    labels: Labels
    num_classes: int
    num_last_features: int
    """Number of features of the plain head."""
    folds: Folds
    """Of the training rows."""
    validation: tuple[RowSource, Labels] | None
    """Validation rows and their classes; None validates out-of-fold."""
    validation_source: str
    """Where the validation images come from, in words."""
    l2_penalties: Sequence[float] | None
    """Grid of L2 penalties; None takes the solver's own."""
    solver: Solver
    significance_level: float
    """The wider head is selected below this p-value."""
    seed: int
    weights: npt.NDArray[np.floating] | None = None
    """(N,) how much each training row counts, > 0; None counts all alike."""
    log_shares: Doubles | None = None
    """(K,) of the classes, for logit adjustment; None adjusts nothing."""
    metric: SelectionMetric = "accuracy"
    """By which both heads are compared."""
    check_stop: CheckStop = never_stop
    """Called repeatedly during every fit; what it raises ends the work."""
    on_step: Callable[[int, str], object] = lambda step, what: None
    """Called with the number of the next step, from 1 to FIT_STEPS, and with what it computes, in words."""

    @property
    def last(self) -> FeatureMask:
        """Mask (F,) of the features of the plain head."""
        return np.arange(self.train.width) < self.num_last_features

    @property
    def plain_rows(self) -> RowSource:
        """The training rows as the plain head sees them."""
        return ColumnRows(self.train, self.last)

    def of(self, rows: RowSource, *, positions: Positions | None = None, scale_F: Doubles | None = None) -> HeadProblem:  # noqa: N803 - shapes
        """The problem of a head on some columns of the training rows.

        Args:
            rows: All of them.
            positions: The training images that take part; None: all.
            scale_F: Of the features.
        """
        labels, weights = self.labels, self.weights
        if positions is not None:
            rows, labels = rows.subset(positions), labels[positions]
            weights = None if weights is None else weights[positions]
        return head_problem(
            rows,
            labels,
            self.num_classes,
            solver=self.solver,
            seed=self.seed,
            check_stop=self.check_stop,
            weights_N=weights,
            scale_F=scale_F,
            log_shares_K=self.log_shares,
        )


@dataclass(frozen=True)
class PlainFit:
    """The plain head: bit for bit that of a linear probe without depths."""

    choice: PenaltyChoice
    head: LinearHead
    """On its own features."""


@dataclass(frozen=True)
class Evaluated:
    """A fitted head and its predictions for images that it was not fitted on."""

    head: LinearHead
    """On all features; those that it does not need have weight zero."""
    probabilities_NK: Floats  # noqa: N815 - shapes
    """Probabilities of the validation images, or out-of-fold those of the training images."""
    labels_N: Labels  # noqa: N815
    """Classes of these images."""
    sample: Positions | None
    """Rows of the training images with out-of-fold predictions, where not all have one."""


@dataclass(frozen=True)
class DepthSolution:
    """The selected head, and why it was selected."""

    kind: Literal["multi_depth", "linear"]
    selected: Evaluated
    why: str
    """Why this one was selected, with the figures of both."""
    p_value: float | None
    """Of the wider head against the plain one, 1 unless it makes fewer errors; None where it was not fitted."""


def fit_plain(problem: DepthProblem) -> PlainFit:
    """The plain head, with its cross-validated penalty."""
    problem.on_step(1, "the plain head: cross-validation of its L2 penalty")
    plain = problem.of(problem.plain_rows)
    choice = plain.choose(problem.folds, problem.l2_penalties)
    problem.on_step(2, "the plain head")
    return PlainFit(choice, plain.solve(choice.l2_penalty, temperature=choice.temperature))


def solve_depths(problem: DepthProblem, plain: PlainFit | None = None) -> DepthSolution:
    """The selected one of both fitted heads: the plain one unless the other is significantly better.

    Args:
        problem: Rows and options.
        plain: The plain head where it was fitted already, on these rows, folds and weights; None fits it.
    """
    plain = fit_plain(problem) if plain is None else plain
    deep, compared = fit_wider(problem, plain)
    p_value, figures = _comparison(deep, compared, problem.metric)
    figures = f"{problem.validation_source}: {figures}"
    if p_value < problem.significance_level:
        why = f"on the features of all depths, it is significantly better than the plain head ({figures})"
        return DepthSolution("multi_depth", deep, why, p_value)
    why = f"multi_depth is not significantly better ({figures})"
    return DepthSolution("linear", evaluate_plain(problem, plain), why, p_value)


def fit_wider(problem: DepthProblem, plain: PlainFit) -> tuple[Evaluated, Evaluated]:
    """(the head on the features of all depths, the plain one evaluated on the same images).

    Args:
        problem: Rows and options.
        plain: The plain head on these rows, folds and weights.
    """
    sample = _choosing_sample(problem)
    fold_of = np.asarray(problem.folds) if sample is None else np.asarray(problem.folds)[sample]
    scale = equal_parts(problem.num_last_features, problem.train.width)
    whole = chosen = problem.of(problem.train, scale_F=scale)
    if sample is not None:
        chosen = problem.of(problem.train, positions=sample, scale_F=scale)
    problem.on_step(3, "the head on all depths: cross-validation of its L2 penalty")
    choice = chosen.choose(fold_of, _near(plain.choice.l2_penalty, problem))
    if choice.sample is not None:  # so many features that even these images were too many
        sample = choice.sample if sample is None else sample[choice.sample]
        fold_of = fold_of[choice.sample]
    problem.on_step(4, "the head on all depths")
    # In single precision, several times as fast as `solve`: a head that is new has no bits to agree with.
    (head,) = whole.solve_many([choice.l2_penalty], temperature=choice.temperature)
    old = evaluate_plain(problem, plain)
    if problem.validation is not None:
        rows, labels = problem.validation
        return Evaluated(head, head.probabilities_of(rows), labels, None), old
    labels = problem.labels if sample is None else problem.labels[sample]
    deep = Evaluated(head, choice.out_of_fold_NK, labels, sample)
    if sample is None:
        return deep, old
    # Fits on a sample are worse than fits on all: the plain head is compared by fits on the same sample.
    again = problem.of(problem.plain_rows, positions=sample).choose(fold_of, (plain.choice.l2_penalty,))
    return deep, Evaluated(old.head, again.out_of_fold_NK, labels, sample)


def evaluate_plain(problem: DepthProblem, plain: PlainFit) -> Evaluated:
    """The plain head with its predictions, bit for bit those of a linear probe without depths."""
    head = widened(plain.head, problem.last)
    if problem.validation is not None:
        rows, labels = problem.validation
        # By the narrow head on the narrow rows: with more columns a product adds up in another order.
        return Evaluated(head, plain.head.probabilities_of(ColumnRows(rows, problem.last)), labels, None)
    sample = plain.choice.sample
    return Evaluated(
        head, plain.choice.out_of_fold_NK, problem.labels if sample is None else problem.labels[sample], sample
    )


def equal_parts(num_last: int, width: int) -> Doubles:
    """(F,) scale at which the features behind the first `num_last` have the same total variance as those.

    Args:
        num_last: Features of the last layer, which come first.
        width: F, more than `num_last`.
    """
    scale = np.ones(width)
    # Standardised features have variance 1 each: n of them have n, and scaled by s they have n s^2.
    scale[num_last:] = math.sqrt(num_last / (width - num_last))
    return scale


def _choosing_sample(problem: DepthProblem) -> Positions | None:
    if problem.train.rows <= CHOOSING_IMAGES:
        return None
    return stratified_sample(problem.labels, CHOOSING_IMAGES, seed=problem.seed)


def _near(l2_penalty: float, problem: DepthProblem) -> Sequence[float]:
    """Penalties of the grid next to that of the plain head: the same images, so the optimum lies near."""
    if problem.l2_penalties is not None:
        return problem.l2_penalties
    grid = L2_PENALTIES if problem.solver == "logistic" else RIDGE_L2_PENALTIES
    most = _STEP_OF_GRID * (1 + 1e-9)  # the quotient of two steps of the grid is rounded
    return [one for one in grid if max(one / l2_penalty, l2_penalty / one) <= most]


def _comparison(deep: Evaluated, plain: Evaluated, metric: SelectionMetric) -> tuple[float, str]:
    """(p-value of the wider head, figures of both in words): the paired test on the same images."""
    one, other = (Scored.of(each.probabilities_NK, each.labels_N, metric) for each in (deep, plain))
    p_value = one.p_value_against(other)
    return p_value, f"{one.figures_against(other)}, p = {p_value:.2g}"
