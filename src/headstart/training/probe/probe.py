"""The linear probe: fits the head on frozen features, and once more on all of train for the selected checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Labels
from headstart.data.sources.reading import ImageRecord
from headstart.data.splits import deal_folds
from headstart.engine.known.classifier import AnyClassifier
from headstart.engine.known.features import classifier_features, linear_weight_of, pooled_part
from headstart.engine.store.activations import Precision, View, plain_view
from headstart.engine.store.index import POOLED
from headstart.engine.store.stored_rows import StoredRows
from headstart.engine.store.training_images import TrainingImages
from headstart.errors import DiskFullError, NotWritableError
from headstart.measures.metrics import log_loss, sharpened_log_losses
from headstart.plan.plan import ProbePhase
from headstart.runs.events import Computing, HeadSelected, NotCached, PenaltySampled
from headstart.runs.observers import measured_span
from headstart.runs.warnings import DataFinding
from headstart.solvers.columns import ColumnRows, FeatureMask, widened
from headstart.solvers.head_solver import HeadProblem, head_problem
from headstart.solvers.linear_head import LinearHead, PenaltyChoice
from headstart.solvers.rows import CheckStop, MatrixRows, RowSource, never_stop
from headstart.training.activation_source import ActivationSource
from headstart.training.checkpoint import Candidate
from headstart.training.leak_findings import leak_findings
from headstart.training.probe.multi_depth import FIT_STEPS, DepthProblem, DepthSolution, equal_parts, solve_depths


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
    validation_records: Sequence[ImageRecord]
    """The images that `candidate` was evaluated on, in its order."""
    head_selected: str = ""
    """Of a multi_depth head: which of the two heads was selected, and why."""

    @property
    def summary(self) -> str:
        """The penalty and the selected head, in words."""
        return f"fitted with L2 penalty {self.l2_penalty:g}" + (f"; {self.head_selected}" if self.head_selected else "")


class PooledSource:
    """Pooled features of images by the network as it is now: from the activation cache, or computed."""

    def __init__(self, source: ActivationSource) -> None:
        """Hash the network's weights once: they must not change while this is used."""
        self._source, images = source, source.images
        self._view = plain_view(images.spec, images.meter)
        self._activations = source.activations(pooled_part(source.classifier)) if images.store is not None else None
        if self._activations is not None:
            self._activations.images_to_come = len(images.roles.training_pool) + len(images.roles.test)

    @property
    def engine_name(self) -> str | None:
        """The engine that computed the features; None without an activation cache."""
        return self._activations.engine_name if self._activations else None

    def test_rows(self, records: Sequence[ImageRecord]) -> RowSource:
        """Rows of test images, in single precision: the bundle is evaluated on the same ones, not computed again."""
        return self.rows(records, what="features of test", stops="ignored", precision="float32")

    def rows(
        self,
        records: Sequence[ImageRecord],
        *,
        what: str,
        stops: Literal["heard", "ignored"] = "heard",
        view: View | None = None,
        precision: Precision | None = None,
    ) -> RowSource:
        """N rows of F features, in memory only without an activation cache; the observer receives the progress.

        Args:
            records: Of these images.
            what: Name of the work.
            stops: `ignored` does not call `after_batch`: for few images, where stopping would lose more work.
            view: Of each image; None: the one that every evaluation sees.
            precision: Of cached rows; None: the run's.
        """
        view, observer = view or self._view, self._source.observer
        advance = measured_span(observer, "features", what, len(records))
        after = self._source.after_batch if stops == "heard" else lambda engine: None
        activations = self._activations
        if activations is not None:
            # The copy shares the engine, which is made once.
            activations = replace(activations, precision=precision or activations.precision)
            try:
                reader = activations.reader(records, [view], on_images=advance, after_batch=after)
                observer.span_ended("features")
                self._activations = replace(activations, precision=self._source.images.precision)
                return StoredRows(reader)
            except (DiskFullError, NotWritableError) as error:
                observer.noted(NotCached(POOLED, str(error)))
                advance = measured_span(observer, "features", what, len(records))

        def computed(count: int) -> None:
            advance(count)
            after(None)

        classifier, spec = self._source.classifier, self._source.images.spec
        rows = classifier_features(classifier, records, spec, on_images=computed, view=view.prepare)
        observer.span_ended("features")
        return MatrixRows(rows)


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
    records: Sequence[ImageRecord] = roles.train
    predicted = choice.out_of_fold_NK
    if choice.sample is not None:
        labels, records = labels[choice.sample], [roles.train[row] for row in choice.sample]
        source.observer.noted(PenaltySampled(phase.name, images=len(labels), of=len(roles.train)))
    if roles.validation:
        validation = pooled.rows(roles.validation, what="features of validation")
        labels, records = images.labels(roles.validation), roles.validation
        predicted = head.probabilities_of(validation)
    note_leaks(source, train, pooled)
    write_head(classifier, head)
    candidate = candidate_of(phase.name, predicted, labels, classifier)
    return FittedProbe(candidate, choice.l2_penalty, log_loss(predicted, labels), pooled.engine_name, records)


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


def candidate_of(
    name: str,
    probabilities_NK: npt.NDArray[np.floating[Any]],  # noqa: N803
    labels_N: Labels,  # noqa: N803
    classifier: AnyClassifier,
) -> Candidate:
    """A candidate: the network's weights now, and its results on labelled images."""
    correct = probabilities_NK.argmax(axis=1) == labels_N
    confidences = probabilities_NK.max(axis=1).astype(np.float64)
    return Candidate(name, correct, sharpened_log_losses(probabilities_NK, labels_N), classifier.state(), confidences)


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
    return fitted_depths(source, phase, solution, pooled.engine_name)


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
        check_stop=check_stop,
        on_step=lambda step, what: source.observer.noted(Computing(what, step, FIT_STEPS)),
    )


def fitted_depths(
    source: ActivationSource, phase: ProbePhase, solution: DepthSolution, engine_name: str | None
) -> FittedProbe:
    """The selected one of two heads, written into the network: on the features of all depths, or on the last ones.

    Args:
        source: Its classifier has the head that was selected, or one on all depths.
        phase: How the heads were fitted.
        solution: The heads.
        engine_name: Of the engine that computed the features.
    """
    classifier, observer, roles = source.classifier, source.observer, source.images.roles
    selected = solution.selected
    head, predicted, labels = selected.head, selected.probabilities_NK, selected.labels_N
    write_head(classifier, replace(head, weight_KF=head.weight_KF[:, : classifier.num_features]))
    observer.noted(HeadSelected(phase.name, solution.kind, solution.why))
    records: Sequence[ImageRecord] = roles.validation or roles.train
    if not roles.validation and selected.sample is not None:
        records = [roles.train[row] for row in selected.sample]
        observer.noted(PenaltySampled(phase.name, images=len(records), of=len(roles.train)))
    candidate, loss = candidate_of(phase.name, predicted, labels, classifier), log_loss(predicted, labels)
    why = f"selected the {solution.kind} head: {solution.why}"
    return FittedProbe(candidate, head.l2_penalty, loss, engine_name, records, why)


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
