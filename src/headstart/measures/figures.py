"""Figures of merit of a classifier on labelled images, as typed values: what `headstart evaluate` prints. No numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Counted: TypeAlias = Literal["images", "groups", "files"]
"""What an interval counts: images; groups (patients, scenes, pages); or different files, where some are copies."""
Interval: TypeAlias = tuple[float, float]
SelectionMetric: TypeAlias = Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss"]
"""Metric by which training selects epochs and candidates, and which is shown first."""

METRIC_WORDS: Mapping[SelectionMetric, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log loss",
}
"""Name of a metric in a sentence."""


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """Figures of one class; a share of no images is None."""

    precision: float | None
    """Of the images that were predicted as this class, the share that are; 0..1."""
    recall: float | None
    """Of the images of this class, the share that were predicted as it; 0..1."""
    f1: float | None
    """Harmonic mean of both, 0..1."""
    images: int
    """Of this class."""
    recall_interval: Interval | None
    """95 %."""
    predicted: int | None = None
    """Images that were predicted as this class; None in runs of earlier versions."""
    precision_interval: Interval | None = None
    """95 %."""


@dataclass(frozen=True, kw_only=True)
class EvaluationFigures:
    """All figures of a classifier on labelled images; fields with a default are missing in runs of earlier versions."""

    images: int
    accuracy: float
    """Share of the images that are classified correctly, 0..1."""
    accuracy_interval: Interval
    """95 %."""
    counted: Counted = "images"
    groups: int | None = None
    """How many groups or different files the intervals count; None where they count images."""
    balanced_accuracy: float
    """Mean recall of the classes, 0..1."""
    balanced_accuracy_interval: Interval | None = None
    """95 %."""
    macro_f1: float | None = None
    """Mean F1 of the classes that have images, 0..1."""
    macro_f1_interval: Interval | None = None
    """95 %."""
    log_loss: float
    """Mean, in nats."""
    log_loss_interval: Interval | None = None
    """95 %; None where it has no bound."""
    uniform_log_loss: float | None = None
    """Of equal probabilities for all classes, in nats."""
    mean_confidence: float | None = None
    """Mean probability of the predicted class, 0..1."""
    ece: float | None = None
    """Expected calibration error, 0..1; None: not measured."""
    per_class: Mapping[str, ClassFigures]
    """Class -> its figures, in the order of the probabilities."""
    confusion: tuple[tuple[int, ...], ...]
    """(K, K) images: a row for each true class, a column for each predicted one."""
