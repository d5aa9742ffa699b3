"""What a finished trial left in its run folder, as the statistics of comparisons want it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.comparison.grid import Metric
from headstart.comparison.outcomes import Answers
from headstart.errors import RunError
from headstart.runs.folder import Run

_SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class TrialRecord:
    """One finished trial."""

    metrics: dict[str, Any]
    data: dict[str, Any]
    report: Answers
    """On the images that report."""
    select: Answers
    """Of the weights that were kept, on the images that choose."""
    by_epoch: dict[str, Answers]
    """Of every candidate on the images that choose: `probe`, `PHASE/EPOCH`, in the order of judging."""
    selected: str = ""
    """Name of the selected checkpoint, one of `by_epoch`."""
    probabilities: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Test image -> what the bundle says of each class."""

    @property
    def method(self) -> str:
        """How the validation images were classified, in words."""
        on = str(self.data["selected_on"])
        if on.startswith("out of fold") and len(self.select.images) < self.data["roles"]["fit"]["images"]:
            return f"{on}, on a sample of it"
        return on

    @property
    def start(self) -> Answers | None:
        """The solved head on pretrained features, before anything was tuned."""
        first = next(iter(self.by_epoch), "")
        return self.by_epoch[first] if first and "/" not in first else None

    @property
    def tuned(self) -> list[Answers]:
        """After each epoch."""
        return [answers for name, answers in self.by_epoch.items() if "/" in name]

    @property
    def train_losses(self) -> list[float]:
        """After each epoch."""
        return [row["train_loss"] for row in self.metrics["epochs"] if row["train_loss"] is not None]

    @property
    def diverged(self) -> bool:
        """Whether the loss stopped being a number."""
        return any("stopped being a number" in row["ended"] for row in self.metrics["phases"])


def read_trial(run: Run) -> TrialRecord:
    """Read a finished run.

    Raises:
        RunError: a file is missing or damaged.
    """
    metrics, data = run.metrics(), run.data()
    if metrics is None:
        raise RunError(f"{run.folder} has not ended", remedy=f"go on with: {run.resume_command}")
    place = {name: index for index, name in enumerate(data["classes"])}
    predictions = run.table("predictions.parquet")
    probabilities = [row["probabilities"][place[row["label"]]] for row in predictions]
    groups = data.get("group_of") or {}
    report = Answers(
        [row["image"] for row in predictions],
        [row["label"] for row in predictions],
        [row["label"] == row["predicted"] for row in predictions],
        [-math.log(max(p, _SMALLEST_PROBABILITY)) for p in probabilities],
        _groups_of((row["image"] for row in predictions), groups),
    )
    by_epoch: dict[str, list[dict[str, Any]]] = {}
    for row in run.table("selection.parquet"):
        by_epoch.setdefault(row["epoch"], []).append(row)
    answers = {name: _answers(rows, groups) for name, rows in by_epoch.items()}
    kept = next((name for name, rows in by_epoch.items() if rows[0]["kept"]), None)
    if kept is None:
        raise RunError(f"{run.folder / 'selection.parquet'} does not say which weights were kept")
    said = {row["image"]: tuple(row["probabilities"]) for row in predictions}
    return TrialRecord(metrics, data, report, answers[kept], answers, kept, said)


def only(answers: Answers, images: Collection[str]) -> Answers:
    """The answers to these images, in the order of before."""
    kept = [place for place, image in enumerate(answers.images) if image in images]
    return Answers(
        [answers.images[place] for place in kept],
        [answers.labels[place] for place in kept],
        [answers.right[place] for place in kept],
        [answers.log_loss[place] for place in kept],
        {image: group for image, group in answers.groups.items() if image in images},
    )


def shared(everyone: Sequence[Answers]) -> list[Answers]:
    """Of each the answers to the images that all of them answered; as they are where they have no image in common.

    Trials may have lost images of their own, or have drawn others: a mean over the one set cannot be set beside a mean
    over the other.
    """
    images = set.intersection(*(set(one.images) for one in everyone)) if everyone else set()
    return [only(one, images) for one in everyone] if images else list(everyone)


def value_of(answers: Answers, metric: Metric) -> float:
    """How good answers are, larger is better: accuracy, mean recall of the classes, or minus the mean log loss."""
    if metric == "log_loss":
        return -sum(answers.log_loss) / len(answers.log_loss)
    if metric == "accuracy":
        return sum(answers.right) / len(answers.right)
    by_class: dict[str, list[bool]] = {}
    for label, right in zip(answers.labels, answers.right, strict=True):
        by_class.setdefault(label, []).append(right)
    return sum(sum(right) / len(right) for right in by_class.values()) / len(by_class)


def _answers(rows: list[dict[str, Any]], groups: Mapping[str, str]) -> Answers:
    return Answers(
        [row["image"] for row in rows],
        [row["label"] for row in rows],
        [row["right"] for row in rows],
        [row["log_loss"] for row in rows],
        _groups_of((row["image"] for row in rows), groups),
    )


def _groups_of(images: Iterable[str], groups: Mapping[str, str]) -> dict[str, str]:
    return {image: groups[image] for image in images if image in groups} if groups else {}
