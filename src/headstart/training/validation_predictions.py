"""Results of each candidate on every validation image, so that runs can be compared by paired tests; rows of phases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.arrays import Positions
from headstart.data.sources.reading import ImageRecord
from headstart.plan.plan import ProbePhase, TrainPhase
from headstart.runs.training_events import EpochDone, PhaseDone


def phase_row(phase: ProbePhase | TrainPhase, rows: Sequence[EpochDone], *, head: str, reason: str) -> PhaseDone:
    """Row of the table of phases: what was trained, with which peak learning rates, for how long, why it ended.

    Args:
        phase: Which one.
        rows: Of all epochs of the run.
        head: Name of the last layer group.
        reason: Why it ended.
    """
    names = phase.candidates if isinstance(phase, ProbePhase) else (phase.name,)
    mine = [row for row in rows if row.phase in names]
    lr = phase.lr_by_group if isinstance(phase, TrainPhase) else {}
    return PhaseDone(
        name=phase.name,
        kind=phase.kind,
        trained=list(lr) or [head],
        lr=lr,
        batch_norm=phase.batch_norm if isinstance(phase, TrainPhase) else "pretrained_statistics",
        schedule=phase.schedule.name if isinstance(phase, TrainPhase) else None,
        epochs_run=sum(row.epoch > 0 for row in mine) if phase.kind == "train" else 0,
        validation_accuracy=max((row.validation_accuracy for row in mine), default=None),
        seconds=sum(row.seconds for row in mine),
        ended=reason,
    )


@dataclass
class ValidationPredictions:
    """The validation images, and each candidate's results on them, in the order of the validation passes."""

    images: tuple[str, ...] = ()
    """Ids of the validation images, or of the training images that were predicted out-of-fold."""
    labels: tuple[str, ...] = ()
    correct: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Name of a candidate (`probe` or `PHASE/EPOCH`) -> (N,) which images it classifies correctly."""
    losses: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """The same -> (N,) log loss of each at the temperature that suits the candidate, in nats."""

    def add(
        self,
        name: str,
        records: Sequence[ImageRecord],
        correct: npt.NDArray[np.bool_],
        losses: npt.NDArray[np.float64],
        rows: Positions | None = None,
    ) -> None:
        """Remember a candidate; all candidates of a run are evaluated on the same images, or on some of them.

        Args:
            name: `probe` or `PHASE/EPOCH`.
            records: All images that validate.
            correct: (N,) which are classified correctly.
            losses: (N,) log losses.
            rows: Positions of these N images among the records; None: all.

        Raises:
            ValueError: other images than before, or not one prediction for each.
        """
        images = tuple(record.id for record in records)
        if rows is not None:
            whole, unknown = np.zeros(len(images), np.bool_), np.full(len(images), np.nan)
            whole[rows], unknown[rows] = correct, losses
            correct, losses = whole, unknown
        if len(correct) != len(images) or (self.images and images != self.images):
            raise ValueError(
                f"{name} was evaluated on {len(correct)} images, not on the {len(self.images)} of the others"
            )
        if not self.images:
            self.images, self.labels = images, tuple(record.label for record in records)
        self.correct[name], self.losses[name] = correct, losses.astype(np.float32)

    def columns(self, selected: str) -> dict[str, npt.NDArray[Any]]:
        """Columns image, label, epoch, correct, log_loss and selected, with one entry for each image and candidate.

        Args:
            selected: Name of the selected candidate.
        """
        count, names = len(self.images), list(self.correct)
        image, label = (np.array(one, object) for one in (self.images, self.labels))
        correct, loss = (list(one.values()) for one in (self.correct, self.losses))
        columns = {
            "image": np.tile(image, len(names)),
            "label": np.tile(label, len(names)),
            "epoch": np.repeat(np.array(names, object), count),
            "correct": np.concatenate([np.empty(0, np.bool_), *correct]),
            "log_loss": np.concatenate([np.empty(0, np.float32), *loss]).astype(np.float64),
            "selected": np.repeat(np.array([name == selected for name in names], np.bool_), count),
        }
        # A step need not have predicted every image.
        known = ~np.isnan(columns["log_loss"])
        return columns if known.all() else {name: column[known] for name, column in columns.items()}

    def known(self, name: str) -> Positions:
        """Positions of the images that a candidate was evaluated on."""
        return np.flatnonzero(~np.isnan(self.losses[name]))

    def to_raw(self) -> dict[str, Any]:
        """Plain values and arrays for the checkpoint."""
        return {
            "images": list(self.images),
            "labels": list(self.labels),
            "correct": self.correct,
            "losses": self.losses,
        }

    @classmethod
    def from_raw(cls, raw: dict[str, Any] | None) -> ValidationPredictions:
        """Predictions from `to_raw`; empty where a checkpoint is older than this record."""
        if raw is None:
            return cls()
        correct = {name: tensor.numpy() for name, tensor in raw["correct"].items()}
        losses = {name: tensor.numpy() for name, tensor in raw["losses"].items()}
        return cls(tuple(raw["images"]), tuple(raw["labels"]), correct, losses)
