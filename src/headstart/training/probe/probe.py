"""The linear probe: fits the head on frozen features, and once more on all of train for the selected checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Labels
from headstart.data.sources.reading import ImageRecord
from headstart.data.splits import deal_folds
from headstart.engine.known.classifier import AnyClassifier
from headstart.engine.known.features import linear_weight_of
from headstart.engine.store.training_images import TrainingImages
from headstart.measures.figures import SelectionMetric
from headstart.measures.metrics import log_loss
from headstart.measures.selection import Scored
from headstart.plan.plan import ProbePhase
from headstart.runs.events import Computing, HeadSelected, PenaltySampled
from headstart.runs.warnings import DataFinding
from headstart.solvers.columns import ColumnRows, FeatureMask, widened
from headstart.solvers.head_solver import HeadProblem, head_problem
from headstart.solvers.linear_head import LinearHead, PenaltyChoice
from headstart.solvers.rows import CheckStop, RowSource, never_stop
from headstart.training.activation_source import ActivationSource
from headstart.training.checkpoint import Candidate
from headstart.training.leak_findings import leak_findings
from headstart.training.probe.multi_depth import FIT_STEPS, DepthProblem, Evaluated, equal_parts, solve_depths
from headstart.training.probe.pooled_source import PooledSource


@dataclass(frozen=True)
class FittedProbe:
    """A fitted linear probe, and how it was evaluated."""

    candidate: Candidate
    """Evaluated on the validation images, or out-of-fold where there are none."""
    l2_penalty: float
    log_loss: float
    """On the same images, in nats, of the head's own probabilities."""
    engine: str | None
    """The engine that computed the features; None without an activation cache."""
    head_selected: str = ""
    """Where a multi_depth head was fitted too: which of the two heads was selected, and why."""

    @property
    def summary(self) -> str:
        """The penalty and the selected head, in words."""
        return f"fitted with L2 penalty {self.l2_penalty:g}" + (f"; {self.head_selected}" if self.head_selected else "")


def fit_probe(
    source: ActivationSource,
    phase: ProbePhase,
    *,
    seed: int,
    significance_level: float = 0.05,
    check_stop: CheckStop = never_stop,
) -> FittedProbe:
    """Fit the linear probe on the training images, write it into the network, and evaluate it.

    A multi_depth head is selected where it is better than the plain one with a p-value below `significance_level`.
    What `source.after_batch` raises ends the work before the head is written; so does what `check_stop` raises in the
    middle of a fit.
    """
    classifier, images, roles = source.classifier, source.images, source.images.roles
    pooled = PooledSource(source)
    train = pooled.rows(roles.train, what="features of train")
    if classifier.head_kind == "multi_depth":
        return _fit_depths(
            source, pooled, phase, train, seed=seed, significance_level=significance_level, check_stop=check_stop
        )
    problem, labels = _problem(train, roles.train, phase, images, seed, check_stop)
    choice = _choose(problem, roles.train, phase, images, seed)
    head = problem.solve(choice.l2_penalty, temperature=choice.temperature)
    sample, predicted = choice.sample, choice.out_of_fold_NK
    if sample is not None:
        labels = labels[sample]
        source.observer.noted(PenaltySampled(phase.name, images=len(labels), of=len(roles.train)))
    if roles.validation:
        validation = pooled.rows(roles.validation, what="features of validation")
        predicted, labels, sample = head.probabilities_of(validation), images.labels(roles.validation), None
    note_leaks(source, train, pooled)
    return fitted_head(source, phase.name, Evaluated(head, predicted, labels, sample), pooled.engine_name)


def note_leaks(
    source: ActivationSource, train: RowSource, pooled: PooledSource, last: FeatureMask | None = None
) -> None:
    """Tell the observer of images that probably belong together, by the features of the plain head.

    Args:
        source: Images, and the observer.
        train: Features of the training images.
        pooled: Computes those of test images.
        last: Which of its features are the plain head's; None: all.
    """

    def rows_of(records: Sequence[ImageRecord]) -> RowSource:
        rows = pooled.test_rows(records)
        return rows if last is None else ColumnRows(rows, last)

    for finding in leak_findings(source.images, train, rows_of):
        source.observer.noted(DataFinding.of(finding))


def fitted_head(
    source: ActivationSource, name: str, evaluated: Evaluated, engine_name: str | None, head_selected: str = ""
) -> FittedProbe:
    """A fitted head, written into the network, as a candidate.

    Args:
        source: Its classifier has a head on all features of the fitted one, or on the first of them.
        name: Of the candidate.
        evaluated: The head.
        engine_name: Of the engine that computed the features.
        head_selected: See `FittedProbe.head_selected`.
    """
    classifier, head = source.classifier, evaluated.head
    write_head(classifier, replace(head, weight_KF=head.weight_KF[:, : classifier.num_features]))
    candidate = candidate_of(name, evaluated.probabilities_NK, evaluated.labels_N, classifier, source.images.metric)
    loss = log_loss(evaluated.probabilities_NK, evaluated.labels_N)
    return FittedProbe(replace(candidate, rows=evaluated.sample), head.l2_penalty, loss, engine_name, head_selected)


def candidate_of(
    name: str,
    probabilities_NK: npt.NDArray[np.floating[Any]],  # noqa: N803
    labels_N: Labels,  # noqa: N803
    classifier: AnyClassifier,
    metric: SelectionMetric = "accuracy",
) -> Candidate:
    """A candidate: the network's weights now, and its results on labelled images.

    Args:
        name: Of the candidate.
        probabilities_NK: Its predictions.
        labels_N: Classes of the images.
        classifier: Whose weights are copied.
        metric: By which it is compared with others.
    """
    scored = Scored.of(probabilities_NK, labels_N, metric)
    return Candidate(
        name,
        scored.correct,
        scored.losses,
        classifier.state(),
        probabilities_NK.max(axis=1).astype(np.float64),
        labels=scored.labels,
        predicted=scored.predicted,
        metric=metric,
    )


def _fit_depths(
    source: ActivationSource,
    pooled: PooledSource,
    phase: ProbePhase,
    train: RowSource,
    *,
    seed: int,
    significance_level: float,
    check_stop: CheckStop,
) -> FittedProbe:
    """The multi_depth head, or the plain one where that is not significantly worse."""
    problem = depth_problem(
        source, pooled, phase, train, seed=seed, significance_level=significance_level, check_stop=check_stop
    )
    solution = solve_depths(problem)
    note_leaks(source, problem.plain_rows, pooled, problem.last)
    source.observer.noted(HeadSelected(phase.name, solution.kind, solution.why))
    note_sample(source, phase, solution.selected)
    why = f"selected the {solution.kind} head: {solution.why}"
    return fitted_head(source, phase.name, solution.selected, pooled.engine_name, why)


def note_sample(source: ActivationSource, phase: ProbePhase, evaluated: Evaluated) -> None:
    """Tell the observer if not all training images were predicted out-of-fold."""
    if evaluated.sample is not None:
        of = len(source.images.roles.train)
        source.observer.noted(PenaltySampled(phase.name, images=len(evaluated.sample), of=of))


def depth_problem(
    source: ActivationSource,
    pooled: PooledSource,
    phase: ProbePhase,
    train: RowSource,
    *,
    seed: int,
    significance_level: float,
    check_stop: CheckStop,
) -> DepthProblem:
    """The problem of the two heads on the images of a run.

    Args:
        source: Its classifier has a multi_depth head.
        pooled: Of the same classifier.
        phase: How the heads are fitted.
        train: Rows of the training images.
        seed: Of folds and samples.
        significance_level: The wider head is selected below this p-value.
        check_stop: What it raises ends a fit.
    """
    images, roles = source.images, source.images.roles
    validation = pooled.rows(roles.validation, what="features of validation") if roles.validation else None
    return DepthProblem(
        train,
        images.labels(roles.train),
        len(roles.classes),
        source.classifier.num_last_features,
        _folds(roles.train, phase, images, seed),
        validation=None if validation is None else (validation, images.labels(roles.validation)),
        validation_source=roles.validation_source,
        l2_penalties=None if phase.l2_penalty == "auto" else (phase.l2_penalty,),
        solver=phase.solver,
        significance_level=significance_level,
        seed=seed,
        weights=images.weights_of(roles.train),
        log_shares=images.log_shares,
        metric=images.metric,
        check_stop=check_stop,
        on_step=lambda step, what: source.observer.noted(Computing(what, step, FIT_STEPS)),
    )


def refit_head(
    source: ActivationSource, phase: ProbePhase, *, l2_penalty: float, seed: int, check_stop: CheckStop = never_stop
) -> None:
    """Fit the head again on all of train, with the network as it is now: validation images are not needed any more.

    A ridge head gets a new temperature out-of-fold, because scores differ with the network. A multi_depth head that
    gave the outputs of the groups no weight gives them none again. What `source.after_batch` or `check_stop` raises
    ends the work with the head as it was.
    """
    classifier, images = source.classifier, source.images
    records = images.roles.training_pool
    rows = PooledSource(source).rows(records, what="refit on all of train")
    last, scale = None, None
    if classifier.head_kind == "multi_depth":
        if bool(linear_weight_of(classifier)[:, classifier.num_last_features :].any()):
            scale = equal_parts(classifier.num_last_features, classifier.num_features)
        else:
            last = np.arange(classifier.num_features) < classifier.num_last_features
            rows = ColumnRows(rows, last)
    head = head_on(rows, records, phase, images, l2_penalty=l2_penalty, seed=seed, check_stop=check_stop, scale_F=scale)
    write_head(classifier, head if last is None else widened(head, last))


def head_on(
    rows: RowSource,
    records: Sequence[ImageRecord],
    phase: ProbePhase,
    images: TrainingImages,
    *,
    l2_penalty: float,
    seed: int,
    check_stop: CheckStop = never_stop,
    scale_F: Doubles | None = None,  # noqa: N803 - shapes
) -> LinearHead:
    """The head on some rows at a given L2 penalty; a ridge head with its best temperature out-of-fold.

    Args:
        rows: N rows of F features.
        records: The image of each row; rows of one image stay in one fold.
        phase: How the head is fitted.
        images: For labels and groups.
        l2_penalty: L2 penalty, > 0.
        seed: Of the folds.
        check_stop: What it raises ends the fit.
        scale_F: Of the standardised features; None: 1.
    """
    problem, _ = _problem(rows, records, phase, images, seed, check_stop, scale_F)
    temperature = 1.0
    if phase.solver == "ridge":
        given = phase.model_copy(update={"l2_penalty": l2_penalty})
        temperature = _choose(problem, records, given, images, seed).temperature
    return problem.solve(l2_penalty, temperature=temperature)


def _problem(
    rows: RowSource,
    records: Sequence[ImageRecord],
    phase: ProbePhase,
    images: TrainingImages,
    seed: int,
    check_stop: CheckStop,
    scale_F: Doubles | None = None,  # noqa: N803
) -> tuple[HeadProblem, Labels]:
    """The problem to be solved, and the class of each row."""
    labels = images.labels(records)
    classes, weights = len(images.roles.classes), images.weights_of(records)
    problem = head_problem(
        rows,
        labels,
        classes,
        solver=phase.solver,
        seed=seed,
        check_stop=check_stop,
        weights_N=weights,
        scale_F=scale_F,
        log_shares_K=images.log_shares,
    )
    return problem, labels


def _choose(
    problem: HeadProblem, records: Sequence[ImageRecord], phase: ProbePhase, images: TrainingImages, seed: int
) -> PenaltyChoice:
    """The L2 penalty by cross-validation in which groups stay together."""
    folds = _folds(records, phase, images, seed)
    return problem.choose(folds, None if phase.l2_penalty == "auto" else (phase.l2_penalty,))


def write_head(classifier: AnyClassifier, head: LinearHead) -> None:
    """Write a fitted head into the network."""
    classifier.write_linear(
        np.asarray(head.weight_KF, np.float32),
        np.asarray(head.bias_K, np.float32),
    )


def _folds(records: Sequence[ImageRecord], phase: ProbePhase, images: TrainingImages, seed: int) -> list[int]:
    """Fold of each image, by another draw than that of the roles."""
    return deal_folds(records, dict(images.groups), most=phase.folds, seed=seed + 2)
