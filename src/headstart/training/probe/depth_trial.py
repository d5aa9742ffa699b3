"""A linear probe that gets a head on all depths where that is significantly better: one pass over the images for both.

For strategies whose probe is a first step: the network is tapped for the pass that the plain probe needs anyway, both
heads are fitted on the same rows, and the classifier keeps its depths only if the wider head is selected. Otherwise
network, head and results are bit for bit those of the plain probe on these rows.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from headstart.engine.known.classifier import AnyClassifier
from headstart.engine.known.depths import tapped, untap
from headstart.errors import ModelError
from headstart.plan.plan import ProbePhase
from headstart.solvers.rows import CheckStop, never_stop
from headstart.training.activation_source import ActivationSource
from headstart.training.probe.multi_depth import (
    DepthProblem,
    DepthSolution,
    evaluate_plain,
    fit_plain,
    solve_depths,
)
from headstart.training.probe.probe import (
    FittedProbe,
    PooledSource,
    depth_problem,
    fit_probe,
    fitted_depths,
    note_leaks,
)

TrialOutcome: TypeAlias = Literal["selected", "not_better", "too_long", "unreadable"]
"""Whether the wider head was selected, was not significantly better, would have taken too long, or cannot be made."""


@dataclass(frozen=True)
class DepthTrial:
    """The fitted linear probe, and whether a head on all depths took its place."""

    classifier: AnyClassifier
    """The classifier with the selected head; the network is the same object as before."""
    fitted: FittedProbe
    outcome: TrialOutcome
    why: str
    """The reason, in words."""
    seconds: float
    """Time that the wider head took beyond the plain one, without the pass over the images, which both share."""
    p_value: float | None = None
    """Of the wider head against the plain one on the same images; None where it was not fitted."""


def expected_seconds(plain_seconds: float, problem: DepthProblem) -> float:
    """Time of the wider head's fits, from that of the plain head's: products with the rows are most of both."""
    return plain_seconds * problem.train.width / problem.num_last_features


def try_depths(
    source: ActivationSource,
    phase: ProbePhase,
    *,
    seed: int,
    significance_level: float = 0.05,
    most_seconds: float = math.inf,
    check_stop: CheckStop = never_stop,
) -> DepthTrial:
    """Fit the linear probe and a head on all depths on the same rows, and write the selected one into the network.

    The network is changed in place: tapped during the work, and afterwards as the selected head needs it. What
    `source.after_batch` or `check_stop` raises ends the work, with network and head as they were.

    Args:
        source: Its classifier has a linear head.
        phase: How the heads are fitted.
        seed: Of folds and samples.
        significance_level: The wider head is selected below this p-value, if it makes fewer errors too.
        most_seconds: The wider head is not fitted where its fits will take longer, by those of the plain one.
        check_stop: Called repeatedly during every fit.
    """
    assert source.classifier.head_kind == "linear", "a head on all depths is tried in addition to a linear one"
    classifier = source.classifier
    try:
        deep = tapped(classifier, source.images.spec.size)
    except ModelError as error:
        fitted = fit_probe(source, phase, seed=seed, significance_level=significance_level, check_stop=check_stop)
        return DepthTrial(classifier, fitted, "unreadable", error.found, 0.0)
    widened, kept = replace(source, classifier=deep), False
    try:
        pooled = PooledSource(widened)
        train = pooled.rows(source.images.roles.train, what="features of train")
        problem = depth_problem(
            widened, pooled, phase, train, seed=seed, significance_level=significance_level, check_stop=check_stop
        )
        solution, seconds = _solved(problem, most_seconds)
        note_leaks(source, problem.plain_rows, pooled, problem.last)
        kept = solution.kind == "multi_depth"
    finally:
        # Also where an error or Ctrl-C leaves: nobody is given a network with another forward than its own.
        if not kept:
            untap(deep)
    selected = deep if kept else classifier
    fitted = fitted_depths(replace(source, classifier=selected), phase, solution, pooled.engine_name)
    outcome: TrialOutcome = "selected" if kept else "too_long" if solution.p_value is None else "not_better"
    return DepthTrial(selected, fitted, outcome, solution.why, seconds, solution.p_value)


def _solved(problem: DepthProblem, most_seconds: float) -> tuple[DepthSolution, float]:
    """(the selected head, seconds that the wider one took)."""
    started = time.monotonic()
    plain = fit_plain(problem)
    expected = expected_seconds(time.monotonic() - started, problem)
    if expected > most_seconds:
        why = (
            f"a head on all depths was not fitted: it would take about {expected:.0f} s, more than {most_seconds:.0f} s"
        )
        return DepthSolution("linear", evaluate_plain(problem, plain), why, None), 0.0
    started = time.monotonic()
    return solve_depths(problem, plain), time.monotonic() - started
