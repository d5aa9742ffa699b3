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


@dataclass(frozen=True)
class TrialRecord:
    """One finished trial."""

    metrics: dict[str, Any]
    data: dict[str, Any]
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

    @property
    def method(self) -> str:
        """Way in which the validation images were classified, in words."""
        on = str(self.data["validation_source"])
        if on.startswith("out of fold") and len(self.validation.images) < self.data["roles"]["train"]["images"]:
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

    @property
    def train_losses(self) -> list[float]:
        """Mean training loss of each epoch, in nats."""
        return [row["train_loss"] for row in self.metrics["epochs"] if row["train_loss"] is not None]

    @property
    def diverged(self) -> bool:
        """Whether the training loss became NaN or infinite."""
        return any("stopped being a number" in row["ended"] for row in self.metrics["phases"])


def read_trial(run: Run) -> TrialRecord:
    """Record of a finished run.

    Raises:
        RunError: a file is missing or damaged.
    """
    metrics, data = run.metrics(), run.data()
    if metrics is None:
        raise RunError(f"{run.folder} has not ended", remedy=f"go on with: {run.resume_command}")
    place = {name: index for index, name in enumerate(data["classes"])}
    test_rows = run.table("predictions.parquet")
    probabilities = [row["probabilities"][place[row["label"]]] for row in test_rows]
    groups = data.get("group_of") or {}
    test = TrialPredictions(
        [row["image"] for row in test_rows],
        [row["label"] for row in test_rows],
        [row["label"] == row["predicted"] for row in test_rows],
        [-math.log(max(p, _SMALLEST_PROBABILITY)) for p in probabilities],
        _groups_of((row["image"] for row in test_rows), groups),
    )
    by_epoch: dict[str, list[dict[str, Any]]] = {}
    for row in run.table("selection.parquet"):
        by_epoch.setdefault(row["epoch"], []).append(row)
    predictions = {name: _trial_predictions(rows, groups) for name, rows in by_epoch.items()}
    selected = next((name for name, rows in by_epoch.items() if rows[0]["selected"]), None)
    if selected is None:
        raise RunError(f"{run.folder / 'selection.parquet'} does not name the selected checkpoint")
    test_probabilities = {row["image"]: tuple(row["probabilities"]) for row in test_rows}
    return TrialRecord(metrics, data, test, predictions[selected], predictions, selected, test_probabilities)


def on_images(predictions: TrialPredictions, images: Collection[str]) -> TrialPredictions:
    """Predictions for these images alone, in the order of before."""
    kept = [place for place, image in enumerate(predictions.images) if image in images]
    return TrialPredictions(
        [predictions.images[place] for place in kept],
        [predictions.labels[place] for place in kept],
        [predictions.correct[place] for place in kept],
        [predictions.log_loss[place] for place in kept],
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


def _trial_predictions(rows: list[dict[str, Any]], groups: Mapping[str, str]) -> TrialPredictions:
    return TrialPredictions(
        [row["image"] for row in rows],
        [row["label"] for row in rows],
        [row["correct"] for row in rows],
        [row["log_loss"] for row in rows],
        _groups_of((row["image"] for row in rows), groups),
    )


def _groups_of(images: Iterable[str], groups: Mapping[str, str]) -> dict[str, str]:
    return {image: groups[image] for image in images if image in groups} if groups else {}
