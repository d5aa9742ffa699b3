"""metrics.json of a run: figures on the test set, the validation of candidates, and how training went.

Training writes these types and every reader reads them. `headstart train --json` prints the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from headstart.findings import Finding
from headstart.knowledge.imbalance import Imbalance
from headstart.measures.figures import Counted, EvaluationFigures, Interval, SelectionMetric
from headstart.runs.events import StopReason
from headstart.runs.training_events import EpochDone, EstimatedPhase, PhaseDone, RuntimeEstimate
from headstart.runs.upgrade import upgraded_metrics
from headstart.runs.values import plain, plain_mapping, typed


@dataclass(frozen=True, kw_only=True)
class FinalFigures(EvaluationFigures):
    """Figures of the bundle on the test set."""

    source: str | None = None
    """Where the test images are from, in words."""
    calibrated_on: str | None = None
    """None: probabilities are not calibrated."""


@dataclass(frozen=True, kw_only=True)
class ValidationFigures:
    """Figures of the selected checkpoint on the validation images.

    All but the accuracy are None where the run was resumed from a checkpoint of an earlier version.
    """

    accuracy: float | None
    """0..1."""
    images: int | None = None
    counted: Counted = "images"
    groups: int | None = None
    """How many groups or different files the interval counts; None where it counts images."""
    accuracy_interval: Interval | None = None
    """95 %."""
    balanced_accuracy: float | None = None
    """0..1."""
    mean_confidence: float | None = None
    """Mean probability of the predicted class, 0..1."""
    log_loss: float | None = None
    """Mean, in nats."""
    source: str | None = None
    """Where the validation images are from, in words."""


@dataclass(frozen=True)
class UnusedTuning:
    """Epochs that were trained, and the linear probe was selected all the same."""

    epochs: int
    seconds: float
    text: str
    """In a sentence, with the way to save them."""


@dataclass(frozen=True)
class SelectedCheckpoint:
    """The checkpoint whose weights are in the bundle."""

    checkpoint: str
    """`probe` or `PHASE/EPOCH`."""
    reason: str
    probe_validation_accuracy: float | None = None
    """Of the linear probe on the validation images, 0..1."""
    unused_tuning: UnusedTuning | None = None
    metric: SelectionMetric = "accuracy"
    """By which it was selected."""
    validation_value: float | None = None
    """Of that metric, on the validation images; None in runs of earlier versions."""


@dataclass(frozen=True)
class RunWarning:
    """What may mislead whoever reads the figures."""

    kind: str
    """Name of the finding or event."""
    text: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """What the sentence was made of, by name."""

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Self:
        """The warning of a row of metrics.json, which holds the numbers next to kind and text."""
        numbers = {name: plain(value) for name, value in row.items() if name not in ("kind", "text")}
        return cls(row["kind"], row["text"], numbers)

    def to_dict(self) -> dict[str, Any]:
        """The row of metrics.json."""
        return {"kind": self.kind, "text": self.text, **self.numbers}


@dataclass(frozen=True)
class MeasuredPhase(EstimatedPhase):
    """Estimated and measured time of one phase."""

    measured_seconds: float | None = None
    """None: it was not run."""


@dataclass(frozen=True)
class MeasuredEstimate(RuntimeEstimate):
    """The first estimate of a run, next to the measured times of the process that ended it."""

    phases: tuple[MeasuredPhase, ...]
    measured_seconds: float
    """From the start of the command to the result."""


@dataclass(frozen=True, kw_only=True)
class RunMetrics:
    """Result of a run."""

    run: str
    """Its folder, as it was when the run ended."""
    bundle: str
    """Folder of the trained model."""
    strategy: str
    model: str
    imbalance: Imbalance = "none"
    """How classes of unequal size were balanced; with every method but none, probabilities are for classes of equal
    size."""
    engine: str | None = None
    """What computed the frozen prefix."""
    findings: tuple[Finding, ...] = ()
    """What the figures themselves give away."""
    test: FinalFigures
    validation: ValidationFigures
    seconds: Mapping[str, float]
    """`total`, and `phase NAME` of each phase."""
    estimates: MeasuredEstimate | None = None
    """None where the process that ended the run had nothing left to estimate."""
    phases: tuple[PhaseDone, ...]
    """One a phase that began."""
    epochs: tuple[EpochDone, ...]
    selected: SelectedCheckpoint
    warnings: tuple[RunWarning, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Image that was left out -> why."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Path of a value in the plan -> why it is what it is."""
    stopped: StopReason | None = None
    """None: every phase ended by itself."""
    resume: str | None = None
    """The command that resumes; None where nothing is left to do."""

    @property
    def total_seconds(self) -> float:
        """Seconds of the process that ended the run, from the command to the result."""
        return self.seconds["total"]

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """The metrics of the contents of metrics.json, whatever version wrote it.

        Raises:
            ValueError: a value is missing or of another type.
            KeyError: a row of an earlier version lacks a name.
        """
        values = upgraded_metrics(raw)
        warnings = [RunWarning.from_dict(row) for row in values.get("warnings") or ()]
        return typed(cls, {**values, "warnings": warnings})

    def to_dict(self) -> dict[str, Any]:
        """Plain values: what `headstart train --json` prints."""
        return {**plain_mapping(self), "warnings": [warning.to_dict() for warning in self.warnings]}
