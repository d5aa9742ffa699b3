"""Figures of a run that the checks of finished runs read, as plain numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headstart.runs.record import RunRecord
from headstart.runs.training_events import EpochDone

CONFIDENT = 0.95
"""Probability from which a wrong prediction points to its label."""


@dataclass(frozen=True, kw_only=True)
class RunFigures:
    """One run."""

    name: str
    source: str
    """DATA."""
    num_classes: int
    train_images: int
    fewest_images: int | None = None
    """Training images of the smallest class; None where the run does not say."""
    largest_share: float | None = None
    """Accuracy of always predicting the largest class of the test set, 0..1."""
    phases: Mapping[str, tuple[EpochDone, ...]] = field(default_factory=dict)
    """Phase -> its epochs, without probes and steps as a whole."""
    probe_accuracy: float | None = None
    """Of the linear probe on the validation images, 0..1."""
    selected: str | None = None
    validation_accuracy: float | None = None
    validation_images: int = 0
    test_accuracy: float | None = None
    test_interval: tuple[float, float] | None = None
    test_images: int = 0
    findings: Mapping[str, str] = field(default_factory=dict)
    """Kind -> evidence, of the findings on data and figures."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """Kind -> sentence."""
    peak_lr: float | None = None
    """Highest learning rate of a pretrained layer group."""
    augmentation: str = "standard"
    confident_mistakes: int = 0
    """Test images misclassified with a probability of at least CONFIDENT."""
    mistakes: int = 0
    predicted_share: float | None = None
    """Share of the test images that get the class predicted most."""
    state: str = "finished"
    resume: str = ""

    @property
    def last(self) -> EpochDone | None:
        """The last trained epoch."""
        rows = self.last_phase
        return rows[-1] if rows else None

    @property
    def last_phase(self) -> tuple[EpochDone, ...]:
        """Epochs of the phase that was trained last; empty where none was."""
        return list(self.phases.values())[-1] if self.phases else ()


def figures_of(record: RunRecord) -> RunFigures:
    """Figures of a record, however far the run came."""
    metrics = record.metrics
    phases: dict[str, list[EpochDone]] = {}
    for epoch in record.epochs:
        if epoch.number > 0:
            phases.setdefault(epoch.row.phase, []).append(epoch.row)
    counts = record.data.counts("train").classes
    found = [*record.data.findings, *(metrics.findings if metrics else ())]
    wrong = [one for one in record.predictions if not one.is_correct]
    predicted = Counter(one.predicted for one in record.predictions)
    lrs = [lr for phase in record.phases for group, lr in phase.lr.items() if group != "head"]
    return RunFigures(
        name=record.name,
        source=record.data.source,
        num_classes=len(record.classes),
        train_images=record.images("train"),
        fewest_images=min(counts.values()) if counts else None,
        largest_share=record.largest_share,
        phases={name: tuple(rows) for name, rows in phases.items()},
        probe_accuracy=_probe(record),
        selected=metrics.selected.checkpoint if metrics else None,
        validation_accuracy=metrics.validation.accuracy if metrics else None,
        validation_images=record.validation_images,
        test_accuracy=metrics.test.accuracy if metrics else None,
        test_interval=metrics.test.accuracy_interval if metrics else None,
        test_images=metrics.test.images if metrics else 0,
        findings={one.what: one.evidence for one in found},
        warnings={one.kind: one.text for one in metrics.warnings} if metrics else {},
        peak_lr=max(lrs, default=None),
        augmentation=record.plan.augmentation.preset,
        confident_mistakes=sum(one.probability >= CONFIDENT for one in wrong),
        mistakes=len(wrong),
        predicted_share=_share(predicted),
        state=record.state,
        resume=record.resume_command if record.state in ("stopped", "interrupted") else "",
    )


def _probe(record: RunRecord) -> float | None:
    rows: Sequence[EpochDone] = [epoch.row for epoch in record.epochs if epoch.row.checkpoint == "probe"]
    return rows[0].validation_accuracy if rows else None


def _share(predicted: Counter[str]) -> float | None:
    return max(predicted.values()) / predicted.total() if predicted else None
