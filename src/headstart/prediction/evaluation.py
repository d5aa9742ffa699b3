"""Evaluation of a bundle on labelled images: figures, predictions image by image, and what they give away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from headstart.amounts import accuracy_text
from headstart.data.sources.reading import ImageRecord
from headstart.data.splits import named_group, what_is_counted
from headstart.findings import Finding
from headstart.measures.figures import ClassFigures, EvaluationFigures, Interval
from headstart.measures.intervals import numbered
from headstart.plan.plan import Phase, ProbePhase
from headstart.runs.progress import Progress
from headstart.runs.tables import PredictedImage
from headstart.runs.values import plain_mapping

if TYPE_CHECKING:
    from headstart.measures.figure_findings import Sample
    from headstart.prediction.predictor import CachedFeatures, Predictor

Seen = Literal["leave_out", "include"]
"""leave_out: images the bundle was trained or validated on are not evaluated. include: they are."""


@dataclass(frozen=True)
class SeenCounts:
    """Images of DATA that the bundle was trained or validated on."""

    known: bool
    """Whether the bundle holds hashes of its images."""
    train: int | None = None
    """Number of images it was trained on; None where that is not known."""
    validation: int | None = None
    left_out: int = 0
    policy: Seen = "leave_out"


@dataclass(frozen=True)
class RepeatedRun:
    """The run whose test set was evaluated again."""

    run: str
    """Its folder."""
    accuracy: float | None
    """As the run measured it, 0..1; None where it has no figures."""


@dataclass(frozen=True, kw_only=True, repr=False)
class EvaluateResult:
    """Figures of a bundle on labelled images."""

    figures: EvaluationFigures
    bundle: Path
    """Its folder."""
    findings: tuple[Finding, ...] = ()
    """What may mislead, each with what to do about it."""
    place: str
    """Where the images are from, in words."""
    group_pattern: str | None = None
    """Pattern that named the groups; None where the source names them, or there are none."""
    seen: SeenCounts
    repeats: RepeatedRun | None = None
    """None where DATA was given."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Image that was left out -> why."""

    @property
    def accuracy(self) -> float:
        """Share of the images that are classified correctly, 0..1."""
        return self.figures.accuracy

    @property
    def interval(self) -> Interval:
        """95 % interval of the accuracy."""
        return self.figures.accuracy_interval

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes, 0..1."""
        return self.figures.balanced_accuracy

    @property
    def images(self) -> int:
        """Images that were evaluated."""
        return self.figures.images

    @property
    def per_class(self) -> Mapping[str, ClassFigures]:
        """Class -> images, precision, recall, F1 and their intervals."""
        return self.figures.per_class

    @property
    def confusion(self) -> tuple[tuple[int, ...], ...]:
        """(K, K) images: a row for each true class, a column for each predicted one."""
        return self.figures.confusion

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: what `headstart evaluate --json` prints."""
        return {
            "findings": [finding.to_dict() for finding in self.findings],
            **plain_mapping(self.figures),
            "bundle": str(self.bundle),
            "evaluated_on": self.place,
            "group_pattern": self.group_pattern,
            "seen": plain_mapping(self.seen),
            "repeats": None if self.repeats is None else plain_mapping(self.repeats),
            "unreadable": dict(self.unreadable),
        }

    def __repr__(self) -> str:
        return f"EvaluateResult({accuracy_text(self.accuracy, self.interval, self.images)}, {self.bundle})"


@dataclass(frozen=True)
class EvaluatedBundle:
    """Predictions of a bundle for labelled images, and their figures."""

    figures: EvaluationFigures
    rows: list[PredictedImage]
    """One an image."""
    labels: npt.NDArray[np.int64]
    """(N,)."""
    together: npt.NDArray[np.int64]
    """(N,) number of the group of each."""

    def sample(self, name: str, place: str) -> Sample:
        """The same for findings.

        Args:
            name: `test`, or what the images are.
            place: Where they are from, in words.
        """
        from headstart.measures.figure_findings import Sample

        confidence = np.array([row.probability for row in self.rows])
        correct = np.array([row.is_correct for row in self.rows])
        counted, loss = self.figures.counted, self.figures.log_loss
        return Sample(name, place, self.labels, correct, self.together, counted, confidence, loss)

    def findings(self, place: str) -> list[Finding]:
        """What the figures of these images alone give away."""
        from headstart.measures.figure_findings import overconfidence, untested_classes

        classes = self.figures.per_class
        return [*overconfidence([self.sample("test", place)], num_classes=len(classes)), *untested_classes(classes)]


def evaluate_records(
    predictor: Predictor,
    records: Sequence[ImageRecord],
    progress: Progress,
    *,
    cached: CachedFeatures | None = None,
    groups: Mapping[str, str] | None = None,
) -> EvaluatedBundle:
    """Predictions of a bundle for labelled images, and their figures.

    Args:
        predictor: The bundle.
        records: The images.
        progress: Told how far it is.
        cached: Where features of the images are cached.
        groups: Image id -> group, which intervals count; every image stands alone if None.
    """
    from headstart.measures.metrics import evaluation_figures

    groups = {record.id: record.id for record in records} if groups is None else groups
    probabilities = predictor.probabilities(records, on_images=progress("evaluate", len(records)), cached=cached)
    index = {name: i for i, name in enumerate(predictor.classes)}
    labels = np.array([index[record.label] for record in records], np.int64)
    together, counted = numbered([groups[r.id] for r in records]), what_is_counted(records, groups)
    rows = [
        PredictedImage(r.id, r.label, predictor.classes[int(p.argmax())], tuple(p.tolist()), named_group(groups[r.id]))
        for r, p in zip(records, probabilities, strict=True)
    ]
    figures = evaluation_figures(probabilities, labels, predictor.classes, together=together, counted=counted)
    return EvaluatedBundle(figures, rows, labels, together)


def cached_features(
    phases: Sequence[Phase], selected: str | None, store: str, weights: str, digests: Mapping[str, str]
) -> CachedFeatures | None:
    """The activation cache, if the selected checkpoint has the pretrained backbone; else None.

    Args:
        phases: Of the plan.
        selected: Name of the selected checkpoint.
        store: Whether activations are cached; `off` caches none.
        weights: Of the plan; random ones are shared with no other run.
        digests: Image id -> hash of its bytes.
    """
    from headstart.engine.store.store import ActivationStore
    from headstart.prediction.predictor import CachedFeatures

    is_frozen = all(isinstance(phase, ProbePhase) or phase.unfreeze == 0 for phase in phases)
    fitted = {name for phase in phases if isinstance(phase, ProbePhase) for name in phase.candidates}
    tuned = not is_frozen and selected not in fitted
    if store == "off" or tuned or weights == "random":
        return None
    return CachedFeatures(ActivationStore(), {name: bytes.fromhex(digest) for name, digest in digests.items()})
