"""What every candidate said of the images that choose, so that runs can be compared image by image afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from headstart.data.sources import ImageRecord


@dataclass
class Judged:
    """The images that choose, and how each candidate did on them, in the order of judging."""

    images: tuple[str, ...] = ()
    """Ids; the select images, or those judged out of fold."""
    labels: tuple[str, ...] = ()
    correct: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Name of a candidate (`probe` or `PHASE/EPOCH`) -> (N,) which images it has right."""
    losses: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """The same -> (N,) log loss of each at the temperature that suits the candidate, in nats."""

    def add(
        self,
        name: str,
        records: Sequence[ImageRecord],
        correct: npt.NDArray[np.bool_],
        losses: npt.NDArray[np.float64],
    ) -> None:
        """Remember a candidate; all candidates of a run are judged on the same images.

        Raises:
            ValueError: other images than before, or not one answer for each.
        """
        images = tuple(record.id for record in records)
        if len(correct) != len(images) or (self.images and images != self.images):
            raise ValueError(f"{name} was judged on {len(correct)} images, not on the {len(self.images)} of the others")
        self.images, self.labels = images, tuple(record.label for record in records)
        self.correct[name], self.losses[name] = correct, losses.astype(np.float32)

    def rows(self, kept: str) -> list[dict[str, Any]]:
        """One row for each image and candidate: image, label, epoch, right, log_loss, kept."""
        return [
            {
                "image": image,
                "label": label,
                "epoch": name,
                "right": bool(right),
                "log_loss": float(loss),
                "kept": name == kept,
            }
            for name in self.correct
            for image, label, right, loss in zip(
                self.images, self.labels, self.correct[name], self.losses[name], strict=True
            )
        ]

    def to_raw(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "images": list(self.images),
            "labels": list(self.labels),
            "correct": {name: torch.from_numpy(array) for name, array in self.correct.items()},
            "losses": {name: torch.from_numpy(array) for name, array in self.losses.items()},
        }

    @classmethod
    def from_raw(cls, raw: dict[str, Any] | None) -> Judged:
        """What `to_raw` kept; nothing from a checkpoint that is older than this record."""
        if raw is None:
            return cls()
        correct = {name: tensor.numpy() for name, tensor in raw["correct"].items()}
        losses = {name: tensor.numpy() for name, tensor in raw["losses"].items()}
        return cls(tuple(raw["images"]), tuple(raw["labels"]), correct, losses)
