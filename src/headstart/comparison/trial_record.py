"""Predictions and losses of a finished trial, read from its run folder."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.comparison.grid import Metric
from headstart.comparison.outcomes import TrialPredictions
from headstart.errors import RunError
from headstart.runs.folder import Run

_SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True, slots=True)
class TrialImages:
    """Classes of a trial and number of its images by role."""

    classes: tuple[str, ...]
    train: int
    validation: int
    """Images held out of train; 0 where validation is out-of-fold in train."""
    test: int
    validation_source: str
    test_source: str


@dataclass(frozen=True)
class TrialRecord:
    """One finished trial."""

    images: TrialImages
    test: TrialPredictions
    """Predictions for the test images."""
    validation: TrialPredictions
    """Predictions of the selected checkpoint for the validation images."""
    by_epoch: dict[str, TrialPredictions]
    """Predictions of every candidate for the validation images: `probe`, `PHASE/EPOCH`, in the order of evaluation."""
    selected: str = ""
    """Name of the selected checkpoint, one of `by_epoch`."""
    probabilities: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Test image -> probability of each class by the bundle."""
    train_losses: tuple[float, ...] = ()
    """Mean training loss of each epoch, in nats."""
    diverged: bool = False
    """Whether the training loss became NaN or infinite."""

    @property
    def method(self) -> str:
        """Way in which the validation images were classified, in words."""
        on = self.images.validation_source
        if on.startswith("out of fold") and len(self.validation.images) < self.images.train:
            return f"{on}, on a sample of it"
        return on

    @property
    def start(self) -> TrialPredictions | None:
        """Predictions of the linear probe, before anything was fine-tuned."""
        first = next(iter(self.by_epoch), "")
        return self.by_epoch[first] if first and "/" not in first else None

    @property
    def tuned(self) -> list[TrialPredictions]:
        """Predictions after each epoch."""
        return [predictions for name, predictions in self.by_epoch.items() if "/" in name]


def read_trial(run: Run) -> TrialRecord:
    """Record of a finished run.

    Raises:
        RunError: a file is missing or damaged.
    """
    metrics, data = run.metrics(), run.data()
    if metrics is None:
        raise RunError(f"{run.folder} has not ended", remedy=f"go on with: {run.resume_command}")
    groups = data.get("group_of") or {}
    test, probabilities = _test_predictions(run.table("predictions.parquet"), data["classes"], groups)
    by_epoch: dict[str, list[dict[str, Any]]] = {}
    for row in run.table("selection.parquet"):
        by_epoch.setdefault(row["epoch"], []).append(row)
    predictions = {name: _validation_predictions(rows, groups) for name, rows in by_epoch.items()}
    selected = next((name for name, rows in by_epoch.items() if rows[0]["selected"]), None)
    if selected is None:
        raise RunError(f"{run.folder / 'selection.parquet'} does not name the selected checkpoint")
    losses = (row["train_loss"] for row in metrics["epochs"])
    return TrialRecord(
        images=_images(data),
        test=test,
        validation=predictions[selected],
        by_epoch=predictions,
        selected=selected,
        probabilities=probabilities,
        train_losses=tuple(loss for loss in losses if loss is not None),
        diverged=any("stopped being a number" in row["ended"] for row in metrics["phases"]),
    )


def _images(data: Mapping[str, Any]) -> TrialImages:
    """Classes and numbers of images of a data.json."""
    train, validation, test = (int(data["roles"][role]["images"]) for role in ("train", "validation", "test"))
    return TrialImages(tuple(data["classes"]), train, validation, test, data["validation_source"], data["test_source"])


def _test_predictions(
    rows: Sequence[Mapping[str, Any]], classes: Sequence[str], groups: Mapping[str, str]
) -> tuple[TrialPredictions, dict[str, tuple[float, ...]]]:
    """(predictions, image -> probability of each class) of a predictions.parquet."""
    place = {name: index for index, name in enumerate(classes)}
    images, labels = [row["image"] for row in rows], [row["label"] for row in rows]
    probabilities = [tuple(row["probabilities"]) for row in rows]
    # Not below a bound: a probability that was rounded to 0 would make the mean log loss of all images infinite.
    losses = [
        -math.log(max(of_classes[place[label]], _SMALLEST_PROBABILITY))
        for label, of_classes in zip(labels, probabilities, strict=True)
    ]
    correct = [row["label"] == row["predicted"] for row in rows]
    test = TrialPredictions(images, labels, correct, losses, _groups_of(images, groups))
    return test, dict(zip(images, probabilities, strict=True))


def on_images(predictions: TrialPredictions, images: Collection[str]) -> TrialPredictions:
    """Predictions for these images alone, in the order of before."""
    places = [place for place, image in enumerate(predictions.images) if image in images]
    return TrialPredictions(
        [predictions.images[place] for place in places],
        [predictions.labels[place] for place in places],
        [predictions.correct[place] for place in places],
        [predictions.log_loss[place] for place in places],
        {image: group for image, group in predictions.groups.items() if image in images},
    )


def on_common_images(trials: Sequence[TrialPredictions]) -> list[TrialPredictions]:
    """Predictions for the images that all trials have; unchanged where no image is common to all.

    Trials may have lost different images or sampled others: means over different sets cannot be compared.
    """
    images = set.intersection(*(set(one.images) for one in trials)) if trials else set()
    return [on_images(one, images) for one in trials] if images else list(trials)


def value_of(predictions: TrialPredictions, metric: Metric) -> float:
    """Metric of predictions, larger is better: accuracy, mean recall of the classes, or minus the mean log loss."""
    if metric == "log_loss":
        return -sum(predictions.log_loss) / len(predictions.log_loss)
    if metric == "accuracy":
        return sum(predictions.correct) / len(predictions.correct)
    by_class: dict[str, list[bool]] = {}
    for label, correct in zip(predictions.labels, predictions.correct, strict=True):
        by_class.setdefault(label, []).append(correct)
    return sum(sum(correct) / len(correct) for correct in by_class.values()) / len(by_class)


def _validation_predictions(rows: Sequence[Mapping[str, Any]], groups: Mapping[str, str]) -> TrialPredictions:
    """Predictions of one candidate, of a selection.parquet."""
    images = [row["image"] for row in rows]
    labels, correct = [row["label"] for row in rows], [row["correct"] for row in rows]
    return TrialPredictions(images, labels, correct, [row["log_loss"] for row in rows], _groups_of(images, groups))


def _groups_of(images: Iterable[str], groups: Mapping[str, str]) -> dict[str, str]:
    return {image: groups[image] for image in images if image in groups} if groups else {}
