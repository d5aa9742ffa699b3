"""A linear probe, and a head on all depths as a second candidate where it can pay: one pass over the images for both.

For strategies whose probe is a first step. The network is tapped for the pass that the plain probe needs anyway, both
heads are fitted on the same rows, and afterwards the network is that of the plain probe again, bit for bit: later steps
tune it, because a network whose depths are read runs its recorded steps of evaluation and cannot be trained.

Whether the second head can pay is decided without the clock: by the errors that the plain one leaves, and by MACs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from headstart.engine.known.classifier import AnyClassifier, KnownClassifier
from headstart.engine.known.depths import tapped, untap
from headstart.engine.known.finding import known_depths_classifier
from headstart.engine.store.activations import POOLED_DEPTHS
from headstart.engine.store.index import POOLED
from headstart.engine.store.run_rows import rows_of_run
from headstart.errors import ModelError
from headstart.networks.head_layers import DEPTHS, is_of_head
from headstart.plan.plan import ProbePhase
from headstart.runs.events import HeadSelected
from headstart.solvers.rows import CheckStop, never_stop
from headstart.training.activation_source import ActivationSource
from headstart.training.checkpoint import Candidate
from headstart.training.probe.depth_worth import why_too_costly, why_too_few_errors
from headstart.training.probe.multi_depth import evaluate_plain, fit_plain, fit_wider
from headstart.training.probe.pooled_source import PooledSource
from headstart.training.probe.probe import (
    FittedProbe,
    depth_problem,
    fit_probe,
    fitted_head,
    note_leaks,
    note_sample,
)

TrialOutcome: TypeAlias = Literal["selected", "not_better", "not_worth_it", "unreadable"]
"""Whether the second head was selected, was not significantly better, could not pay, or cannot be made."""


@dataclass(frozen=True)
class DepthTrial:
    """The fitted linear probe, and perhaps a head on all depths."""

    plain: FittedProbe
    """Its head is in the network."""
    deep: FittedProbe | None
    """The head on all depths; None where it was not fitted."""
    outcome: TrialOutcome
    why: str
    """The reason, in words."""
    seconds: float = 0.0
    """Time of the second head, without the pass over the images."""
    p_value: float | None = None
    """Of its lead in log loss on the same images, as a step of tuning is compared; None where it was not fitted."""

    @property
    def selected(self) -> FittedProbe | None:
        """The head on all depths, where it is the candidate to beat."""
        return self.deep if self.outcome == "selected" else None

    @property
    def summary(self) -> str:
        """The selected head, its penalty, and why."""
        kind, fitted = ("linear", self.plain) if self.selected is None else (DEPTHS, self.selected)
        return f"{fitted.summary}; selected the {kind} head: {self.why}"


@dataclass(frozen=True)
class TrialTerms:
    """The part of a plan that a trial needs in addition to its phase."""

    seed: int
    """Of folds and samples."""
    significance_level: float = 0.05
    """The head on all depths is selected below this p-value."""
    following: float | None = None
    """MACs that follow the probe for each training image; None: nothing follows."""


def try_depths(
    source: ActivationSource,
    phase: ProbePhase,
    terms: TrialTerms,
    *,
    on_plain: Callable[[FittedProbe], object] = lambda fitted: None,
    check_stop: CheckStop = never_stop,
) -> DepthTrial:
    """Fit the linear probe, and a head on all depths on the same rows where it can pay.

    The network is changed in place and back again. What `source.after_batch` or `check_stop` raises ends the work, with
    the network as it was, or with the plain head in it where that was fitted.

    Args:
        source: Its classifier has a linear head.
        phase: How the heads are fitted.
        terms: What else of the plan matters.
        on_plain: Receives the plain probe as soon as it is fitted: what stops the second head must not lose the first.
        check_stop: Called repeatedly during every fit.
    """
    assert source.classifier.head_kind == "linear", "a head on all depths is tried in addition to a linear one"
    if _reads_plain_rows_sooner(source):
        fitted = fit_probe(source, phase, seed=terms.seed, check_stop=check_stop)
        if why := why_too_few_errors(fitted.candidate, terms.significance_level):
            on_plain(fitted)
            return _noted(source, phase, DepthTrial(fitted, None, "not_worth_it", why))
    try:
        deep = tapped(source.classifier, source.images.spec.size)
    except ModelError as error:
        fitted = fit_probe(source, phase, seed=terms.seed, check_stop=check_stop)
        on_plain(fitted)
        return _noted(source, phase, DepthTrial(fitted, None, "unreadable", error.found))
    plain: FittedProbe | None = None

    def keep(fitted: FittedProbe) -> None:
        nonlocal plain
        plain = fitted
        on_plain(fitted)

    try:
        trial = _both(source, deep, phase, terms, on_plain=keep, check_stop=check_stop)
    finally:
        # Also where an error or Ctrl-C leaves: nobody is given a network with another forward than its own.
        untap(deep)
        if plain is not None:
            source.classifier.restore(plain.candidate.weights)
    return _noted(source, phase, trial)


def _reads_plain_rows_sooner(source: ActivationSource) -> bool:
    """Whether the plain probe costs less alone: its features, or a way to them without torch, are there already."""
    classifier, images = source.classifier, source.images
    train = images.roles.train
    if rows_of_run(classifier, images, POOLED_DEPTHS, train) == len(train):
        return False
    if rows_of_run(classifier, images, POOLED, train) == len(train):  # of a shortlist, perhaps
        return True
    return isinstance(classifier, KnownClassifier) and (
        known_depths_classifier(classifier, size=images.spec.size) is None
    )


def _both(
    source: ActivationSource,
    deep: AnyClassifier,
    phase: ProbePhase,
    terms: TrialTerms,
    *,
    on_plain: Callable[[FittedProbe], object],
    check_stop: CheckStop,
) -> DepthTrial:
    """The plain probe, and the other head where it can pay, on rows of the tapped network."""
    widened, level = replace(source, classifier=deep), terms.significance_level
    pooled = PooledSource(widened)
    train = pooled.rows(source.images.roles.train, what="features of train")
    problem = depth_problem(
        widened, pooled, phase, train, seed=terms.seed, significance_level=level, check_stop=check_stop
    )
    fit = fit_plain(problem)
    evaluated = evaluate_plain(problem, fit)
    note_sample(source, phase, evaluated)
    note_leaks(source, problem.plain_rows, pooled, problem.last)
    plain = fitted_head(source, phase.name, evaluated, pooled.engine_name)
    on_plain(plain)
    rows, features, classes = train.rows, train.width, problem.num_classes
    why = why_too_few_errors(plain.candidate, level)
    if why := why or why_too_costly(rows, features, classes, following=terms.following):
        return DepthTrial(plain, None, "not_worth_it", why)
    started = time.monotonic()
    wider, compared = fit_wider(problem, fit)
    before = plain.candidate
    if compared.sample is not None:
        before = fitted_head(source, phase.name, compared, None).candidate
    found = fitted_head(widened, DEPTHS, wider, pooled.engine_name)
    found = replace(found, candidate=_sharing(found.candidate, plain.candidate, deep))
    p_value = found.candidate.loss_p_value_against(before)
    return DepthTrial(
        plain,
        found,
        "selected" if p_value < level else "not_better",
        _comparison(found.candidate, before, p_value, on=problem.validation_source, level=level),
        time.monotonic() - started,
        p_value,
    )


def _sharing(deep: Candidate, plain: Candidate, classifier: AnyClassifier) -> Candidate:
    """The same candidate, whose backbone is the tensors of the plain one: memory and checkpoint hold them once."""
    sites = classifier.known.sites if isinstance(classifier, KnownClassifier) else classifier.sites
    weights = {
        name: values if is_of_head(name, sites) else plain.weights[name] for name, values in deep.weights.items()
    }
    return replace(deep, weights=weights)


def _comparison(deep: Candidate, plain: Candidate, p_value: float, *, on: str, level: float) -> str:
    """The sentence about both on the same images.

    Args:
        deep: The head on all depths.
        plain: The plain one.
        p_value: Of the first against the second.
        on: The images, in words.
        level: Below which it is significant.
    """
    found = "it is significantly better than the plain head" if p_value < level else "it is not significantly better"
    return (
        f"on the features of all depths {found} ({on}: log loss {deep.loss:.3f} against {plain.loss:.3f}, accuracy "
        f"{deep.accuracy:.3f} against {plain.accuracy:.3f}, p = {p_value:.2g})"
    )


def _noted(source: ActivationSource, phase: ProbePhase, trial: DepthTrial) -> DepthTrial:
    """The trial, noted by the observer."""
    kind: Literal["multi_depth", "linear"] = "linear" if trial.selected is None else "multi_depth"
    source.observer.noted(HeadSelected(phase.name, kind, trial.why))
    return trial
