"""Linear probe on the outputs of all layer groups, compared with the plain one on the last; one is selected.

Both are fitted on the same rows, because the features of the plain head are a part of those of the other. The plain one
is selected unless the other is significantly better on images that neither was fitted on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from headstart.arrays import Floats, Labels, Positions
from headstart.measures.metrics import sharpened_log_losses
from headstart.solvers.head2toe import ColumnRows, FeatureMask, choose_features, solve_chosen, widened
from headstart.solvers.head_solver import Folds, Solver, head_problem
from headstart.solvers.linear_head import LinearHead
from headstart.solvers.rows import CheckStop, RowSource, never_stop
from headstart.training.checkpoint import Candidate


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
    check_stop: CheckStop = never_stop
    """Called repeatedly during every fit; what it raises ends the work."""
    on_step: Callable[[str], object] = lambda what: None
    """Called with what is computed next, in words."""

    @property
    def last(self) -> FeatureMask:
        """Mask (F,) of the features of the plain head."""
        return np.arange(self.train.width) < self.num_last_features


@dataclass(frozen=True)
class DepthSolution:
    """The selected head, and why it was selected."""

    kind: Literal["multi_depth", "linear"]
    head: LinearHead
    """On all features; those that it does not need have weight zero."""
    probabilities_NK: Floats  # noqa: N815 - shapes
    """Probabilities of the validation images, or out-of-fold those of the training images."""
    labels_N: Labels  # noqa: N815
    """Classes of these images."""
    why: str
    """Why this one was selected, with the figures of both."""
    sample: Positions | None = None
    """Rows of the training images with out-of-fold predictions, where not all have one."""


def solve_depths(problem: DepthProblem) -> DepthSolution:
    """The selected one of both fitted heads: the plain one unless the other is significantly better."""
    choice = choose_features(
        problem.train,
        problem.labels,
        problem.num_classes,
        problem.folds,
        solver=problem.solver,
        l2_penalties=problem.l2_penalties,
        seed=problem.seed,
        check_stop=problem.check_stop,
        on_step=problem.on_step,
    )
    problem.on_step("fitting the head on the chosen features of all depths")
    deep = solve_chosen(
        problem.train,
        problem.labels,
        problem.num_classes,
        choice,
        solver=problem.solver,
        check_stop=problem.check_stop,
    )
    problem.on_step("fitting the head on the last layer, to compare with")
    plain, plain_out_of_fold = _plain(problem, choice.sample)
    if problem.validation is not None:
        sample = None
        rows, labels = problem.validation
        of_deep, of_plain = deep.probabilities_of(rows), plain.probabilities_of(rows)
    else:
        sample = choice.sample
        labels = problem.labels if sample is None else problem.labels[sample]
        of_deep, of_plain = choice.out_of_fold_NK, plain_out_of_fold
    new, old = _candidate("multi_depth", of_deep, labels), _candidate("linear", of_plain, labels)
    p_value = new.p_value_against(old)
    figures = (
        f"{problem.validation_source}: accuracy {new.accuracy:.3f} against {old.accuracy:.3f}, "
        f"log loss at its best temperature {new.loss:.3f} against {old.loss:.3f}, p = {p_value:.2g}"
    )
    if p_value < problem.significance_level:
        features = "all features" if choice.share == 1.0 else f"the best {choice.share:.0%} of all features"
        why = f"on {features}, it is significantly better than the plain head ({figures})"
        return DepthSolution("multi_depth", deep, of_deep, labels, why, sample)
    why = f"multi_depth is not significantly better ({figures})"
    return DepthSolution("linear", plain, of_plain, labels, why, sample)


def _plain(problem: DepthProblem, sample: Positions | None) -> tuple[LinearHead, Floats]:
    """The head on the last features as one on all, and its out-of-fold probabilities on the sample."""
    rows, labels, fold_of = ColumnRows(problem.train, problem.last), problem.labels, np.asarray(problem.folds)
    set_up = partial(
        head_problem, num_classes=problem.num_classes, solver=problem.solver, check_stop=problem.check_stop
    )
    whole = set_up(rows, labels)
    validated = whole
    if sample is not None:
        validated = set_up(rows.subset(sample), labels[sample])
        fold_of = fold_of[sample]
    choice = validated.choose(fold_of, problem.l2_penalties)
    head = whole.solve(choice.l2_penalty, temperature=choice.temperature)
    return widened(head, problem.last), choice.out_of_fold_NK


def _candidate(name: str, probabilities_NK: Floats, labels_N: Labels) -> Candidate:  # noqa: N803
    """For the paired test only: without weights, because neither head is in the network yet."""
    return Candidate(
        name, probabilities_NK.argmax(axis=1) == labels_N, sharpened_log_losses(probabilities_NK, labels_N), {}
    )
