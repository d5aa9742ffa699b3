"""A head on the outputs of all layer groups beside the plain one on the last: both are solved, one is kept.

Both are solved on the same rows, because what the plain head reads is a part of what the other reads. The plain one
stays unless the other is better beyond noise on images that neither was fitted to.
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
    """What is to be solved, and what judges it."""

    train: RowSource
    """N rows: what the plain head reads first, then the outputs of the groups."""
    labels: Labels
    num_classes: int
    num_last_features: int
    """Of the features, those that the plain head reads."""
    folds: Folds
    """Of the training rows."""
    validation: tuple[RowSource, Labels] | None
    """Validation rows and their classes; None validates out-of-fold."""
    validation_source: str
    """Where the validation images come from, in words."""
    strengths: Sequence[float] | None
    """Candidates of the penalty; None takes the solver's own grid."""
    solver: Solver
    significance_level: float
    """The wider head is kept below this p-value."""
    seed: int
    check_stop: CheckStop = never_stop
    """Called again and again in every solve; what it raises ends the work."""
    on_step: Callable[[str], object] = lambda what: None
    """Called with what is computed next, in words."""

    @property
    def last(self) -> FeatureMask:
        """Which features the plain head reads."""
        return np.arange(self.train.width) < self.num_last_features


@dataclass(frozen=True)
class DepthSolution:
    """The head that is kept."""

    kept: Literal["multi_depth", "linear"]
    head: LinearHead
    """On all features; those that it does not need have weight zero."""
    judged_NK: Floats  # noqa: N815 - shapes
    """Probabilities of the validation images."""
    labels_N: Labels  # noqa: N815
    """Classes of these images."""
    why: str
    """Why this one was kept, with the figures of both."""
    sample: Positions | None = None
    """Rows of the training images that validated out-of-fold, where these were not all of them."""


def solve_depths(problem: DepthProblem) -> DepthSolution:
    """Solve both heads, and keep the plain one unless the other is better beyond noise."""
    choice = choose_features(
        problem.train,
        problem.labels,
        problem.num_classes,
        problem.folds,
        solver=problem.solver,
        l2_penalties=problem.strengths,
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
        deep_says, plain_says = deep.probabilities_of(rows), plain.probabilities_of(rows)
    else:
        sample = choice.sample
        labels = problem.labels if sample is None else problem.labels[sample]
        deep_says, plain_says = choice.out_of_fold_NK, plain_out_of_fold
    new, old = _candidate("multi_depth", deep_says, labels), _candidate("linear", plain_says, labels)
    p_value = new.p_value_against(old)
    figures = (
        f"{problem.validation_source}: accuracy {new.accuracy:.3f} to {old.accuracy:.3f}, "
        f"log loss at its best temperature {new.loss:.3f} to {old.loss:.3f}, p = {p_value:.2g}"
    )
    if p_value < problem.significance_level:
        features = "all features" if choice.share == 1.0 else f"the best {choice.share:.0%} of all features"
        why = f"on {features}, it beats the plain head beyond noise ({figures})"
        return DepthSolution("multi_depth", deep, deep_says, labels, why, sample)
    why = f"multi_depth does not beat it beyond noise ({figures})"
    return DepthSolution("linear", plain, plain_says, labels, why, sample)


def _plain(problem: DepthProblem, sample: Positions | None) -> tuple[LinearHead, Floats]:
    """The head on the last features as one on all, and its out-of-fold probabilities on the sample."""
    rows, labels, fold_of = ColumnRows(problem.train, problem.last), problem.labels, np.asarray(problem.folds)
    set_up = partial(
        head_problem, num_classes=problem.num_classes, solver=problem.solver, check_stop=problem.check_stop
    )
    whole = set_up(rows, labels)
    asked = whole
    if sample is not None:
        asked = set_up(rows.subset(sample), labels[sample])
        fold_of = fold_of[sample]
    choice = asked.choose(fold_of, problem.strengths)
    head = whole.solve(choice.l2_penalty, temperature=choice.temperature)
    return widened(head, problem.last), choice.out_of_fold_NK


def _candidate(name: str, judged_NK: Floats, labels_N: Labels) -> Candidate:  # noqa: N803
    """For the paired test only: without weights, because neither head is in the network yet."""
    return Candidate(name, judged_NK.argmax(axis=1) == labels_N, sharpened_log_losses(judged_NK, labels_N), {})
