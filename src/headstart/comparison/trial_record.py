"""Predictions and losses of a finished trial, read from its run folder."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from headstart.comparison.grid import Metric
from headstart.comparison.outcomes import TrialPredictions
from headstart.errors import RunError
from headstart.runs.folder import Run
from headstart.runs.run_data import RunData
from headstart.runs.tables import SELECTION_FILE, CandidatePredictions, PredictedImage

_SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class TrialRecord:
    """One finished trial."""

    data: RunData
    """Its classes and images by role."""
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
        on = self.data.validation_source
        if on.startswith("out of fold") and len(self.validation.images) < self.data.counts("train").images:
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
    test, probabilities = _test_predictions(run.predictions(), data)
    candidates = run.selection()
    by_epoch = {one.checkpoint: _validation_predictions(one, data.group_of) for one in candidates}
    selected = next((one.checkpoint for one in candidates if one.is_selected), None)
    if selected is None:
        raise RunError(f"{run.folder / SELECTION_FILE} does not name the selected checkpoint")
    return TrialRecord(
        data=data,
        test=test,
        validation=by_epoch[selected],
        by_epoch=by_epoch,
        selected=selected,
        probabilities=probabilities,
        train_losses=tuple(row.train_loss for row in metrics.epochs if row.train_loss is not None),
        diverged=any("stopped being a number" in row.ended for row in metrics.phases),
    )


def _test_predictions(
    rows: Sequence[PredictedImage], data: RunData
) -> tuple[TrialPredictions, dict[str, tuple[float, ...]]]:
    """(predictions for the test images, image -> probability of each class)."""
    place = {name: index for index, name in enumerate(data.classes)}
    images, labels = [row.image for row in rows], [row.label for row in rows]
    # Not below a bound: a probability that was rounded to 0 would make the mean log loss of all images infinite.
    losses = [-math.log(max(row.probabilities[place[row.label]], _SMALLEST_PROBABILITY)) for row in rows]
    correct = [row.is_correct for row in rows]
    test = TrialPredictions(images, labels, correct, losses, _groups_of(images, data.group_of))
    return test, {row.image: row.probabilities for row in rows}


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


def _validation_predictions(one: CandidatePredictions, groups: Mapping[str, str]) -> TrialPredictions:
    """Predictions of one candidate."""
    return TrialPredictions(
        list(one.images), list(one.labels), list(one.correct), list(one.log_losses), _groups_of(one.images, groups)
    )


def _groups_of(images: Iterable[str], groups: Mapping[str, str]) -> dict[str, str]:
    return {image: groups[image] for image in images if image in groups} if groups else {}
