"""Metrics of a finished run: the bundle evaluated on the test set, next to its figures on the validation set."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from headstart.data.splits import DRAWN_HERE, what_is_counted
from headstart.findings import Finding
from headstart.measures.class_means import class_mean
from headstart.measures.figure_findings import (
    GAP,
    OVERCONFIDENCE,
    Sample,
    overconfidence,
    untested_classes,
    validation_gap,
)
from headstart.measures.intervals import numbered
from headstart.prediction.evaluation import EvaluatedBundle, evaluate_records
from headstart.runs.folder import Run
from headstart.runs.observers import Observer, measured_span
from headstart.runs.run_metrics import FinalFigures, RunMetrics, RunWarning, SelectedCheckpoint, ValidationFigures
from headstart.runs.warnings import DataFinding
from headstart.workflow.images import CheckedData, view_of_probe
from headstart.workflow.training.measured_causes import with_measured_causes

if TYPE_CHECKING:
    from headstart.engine.costs.timing import TimingObserver
    from headstart.prediction.predictor import CachedFeatures
    from headstart.training.best_epoch import Outcome


def final_figures(
    run: Run,
    data: CheckedData,
    outcome: Outcome,
    *,
    observer: Observer,
    timing: TimingObserver,
    cached: CachedFeatures | None,
    started: float,
) -> RunMetrics:
    """Metrics of a finished run; written to its folder with its predictions and selection.

    Args:
        run: With its bundle, which is evaluated as it lies on disk.
        data: The images.
        outcome: How training ended.
        observer: Receives progress and findings.
        timing: Estimated and measured times.
        cached: Cached features of the test images.
        started: `time.monotonic()` when the command began.
    """
    from headstart.prediction.predictor import load

    plan, roles = run.plan(), data.roles
    watch = partial(measured_span, observer, "test_images")
    evaluated = evaluate_records(load(run.bundle), roles.test, watch, cached=cached, groups=data.groups)
    observer.span_ended("test_images")
    run.write_predictions(evaluated.rows)
    run.write_selection(outcome.validation_predictions.columns(outcome.chosen))
    test = evaluated.sample("test", roles.test_source)
    validation = _validation(data, outcome)
    findings = _findings(data, outcome, evaluated, validation, test)
    findings = with_measured_causes(findings, data, model=plan.model.name, spec=view_of_probe(plan))
    for finding in findings:
        observer.noted(DataFinding.of(finding))
    seconds = {f"phase {row.name}": row.seconds for row in outcome.phases}
    metrics = RunMetrics(
        run=str(run.folder),
        bundle=str(run.bundle),
        strategy=plan.strategy,
        model=plan.model.name,
        imbalance="none" if plan.imbalance == "auto" else plan.imbalance,
        engine=plan.engine,
        findings=tuple(findings),
        test=FinalFigures(**vars(evaluated.figures), source=roles.test_source),
        validation=_validation_figures(validation, outcome, source=roles.validation_source),
        seconds={"total": time.monotonic() - started, **seconds},
        estimates=timing.comparison(),
        phases=tuple(outcome.phases),
        epochs=tuple(outcome.progress.rows),
        selected=_selected(outcome),
        warnings=(*_warnings(findings), *map(RunWarning.from_dict, outcome.progress.warnings)),
        unreadable=data.facts.unreadable,
        reasons=plan.reasons,  # with what training resolved
        stopped=outcome.stopped,
        resume=run.resume_command if outcome.stopped else None,
    )
    run.write_metrics(metrics)
    return metrics


def _validation_figures(sample: Sample | None, outcome: Outcome, *, source: str) -> ValidationFigures:
    """Figures of the selected checkpoint; its accuracy alone where no image is known."""
    if sample is None:
        return ValidationFigures(accuracy=outcome.selected_accuracy, source=source)
    return ValidationFigures(
        accuracy=sample.accuracy,
        images=len(sample.correct),
        counted=sample.counted,
        groups=sample.groups,
        accuracy_interval=sample.accuracy_interval,
        balanced_accuracy=class_mean(sample.correct, sample.labels),
        mean_confidence=sample.mean_confidence,
        log_loss=sample.log_loss,
        source=source,
    )


def _selected(outcome: Outcome) -> SelectedCheckpoint:
    """The weights in the bundle, why these, and what was trained and is not in it."""
    from headstart.training.below_probe import unused_tuning

    unused = unused_tuning(outcome.phases, outcome.chosen)
    return SelectedCheckpoint(
        outcome.chosen,
        outcome.why,
        outcome.probe_accuracy,
        unused,
        metric=outcome.metric,
        validation_value=outcome.selected_value,
    )


def _findings(
    data: CheckedData, outcome: Outcome, evaluated: EvaluatedBundle, validation: Sample | None, test: Sample
) -> list[Finding]:
    """Findings about the figures; those that decide whether to trust them come first."""
    found, classes = [], len(data.roles.classes)
    if validation is not None:
        found += validation_gap(
            validation,
            test,
            candidates=len(outcome.validation_predictions.correct),
            num_classes=classes,
            divided_by="headstart" if data.roles.test_source.startswith(DRAWN_HERE) else "user",
        )
    samples = [test] if validation is None else [test, validation]
    return [*found, *overconfidence(samples, num_classes=classes), *untested_classes(evaluated.figures.per_class)]


def _validation(data: CheckedData, outcome: Outcome) -> Sample | None:
    """Figures of the selected checkpoint on the validation images; None where an earlier version kept none."""
    predictions = outcome.validation_predictions
    if outcome.chosen not in predictions.correct or not len(predictions.images):
        return None
    known = predictions.known(outcome.chosen)
    images, labels = ([whole[row] for row in known] for whole in (predictions.images, predictions.labels))
    place = {name: index for index, name in enumerate(data.roles.classes)}
    validated = set(images)
    records = [record for record in (*data.roles.train, *data.roles.validation) if record.id in validated]
    rows = [row for row in outcome.progress.rows if row.checkpoint == outcome.chosen]
    return Sample(
        "validation",
        data.roles.validation_source,
        np.array([place[label] for label in labels], np.int64),
        predictions.correct[outcome.chosen][known],
        numbered([data.groups[name] for name in images]),
        counted=what_is_counted(records, data.groups),
        confidence=outcome.confidences,
        log_loss=rows[-1].validation_loss if rows else None,
    )


def _warnings(findings: list[Finding]) -> list[RunWarning]:
    """Findings that cast doubt on the figures themselves."""
    return [
        RunWarning(finding.what, f"{finding.evidence}; {finding.remedy}")
        for finding in findings
        if finding.what in (GAP, OVERCONFIDENCE)
    ]
