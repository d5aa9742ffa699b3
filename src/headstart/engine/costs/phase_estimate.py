"""An estimate in parts: image counts and settings that it is made from, seconds and bytes of every phase; no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from headstart.amounts import duration_text
from headstart.engine.costs.memory import Origin
from headstart.plan.sections import AugmentationPlan
from headstart.runs.training_events import EstimatedPhase

StorePrecision: TypeAlias = Literal["float16", "float32", "off"]

TEST_ROWS = "pooled, of the test images"
"""Key of `Settings.stored`: test images are stored in single precision, and only of a frozen backbone."""


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """Numbers of images by role."""

    train: int
    """An epoch passes through them."""
    validation: int
    training_pool: int
    """Training images, and validation images held out of them: the last head is fitted on all of these."""
    test: int
    classes: int


@dataclass(frozen=True)
class Settings:
    """Settings of an estimate besides phases, images, network and speeds."""

    augmentation: AugmentationPlan
    batch_size: int
    store: StorePrecision = "float16"
    room_bytes: float = math.inf
    """In the activation store."""
    stored: Mapping[str, int] = field(default_factory=dict)
    """Cut point -> rows of these images and this network that are in the store already."""
    epochs_done: int = 0
    """Of the first phase, where a run goes on."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """Decides how many range tests a search of learning rates makes."""


@dataclass(frozen=True)
class PhaseEstimate(EstimatedPhase):
    """Estimate of one phase, before it is rounded."""

    unmeasured_seconds: float = 0.0
    """The part of all seconds in spans of the network that were never measured on this machine."""


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """Runtime and memory of the phases of a plan."""

    phases: tuple[PhaseEstimate, ...]
    """The plan's, then `end`: the last head, the bundle, and the test images."""
    memory_bytes: int
    """At the peak, of the process."""
    origin: Origin
    """measured: nearly all of it was measured on this machine with this network."""

    @property
    def seconds(self) -> float:
        """Seconds of all phases."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def stored_bytes(self) -> int:
        """Bytes that all phases add to the activation cache."""
        return sum(phase.stored_bytes for phase in self.phases)

    def cut_off(self, elapsed: float, budget_seconds: float) -> str:
        """One sentence: where a budget that is shorter than the estimate ends the training.

        Args:
            elapsed: Seconds that have passed.
            budget_seconds: Counted from the same moment.
        """
        left = budget_seconds - elapsed
        sentence = f"the budget of {duration_text(budget_seconds)} is shorter than that"
        for phase in self.phases[:-1]:
            if left >= phase.seconds:
                left -= phase.seconds
                continue
            if left < phase.once_seconds:
                return f"{sentence}: it ends training while features for {phase.name} are computed"
            if phase.epoch_seconds is None:
                return f"{sentence}: it ends training while the head of {phase.name} is fitted"
            epochs = int((left - phase.once_seconds) / phase.epoch_seconds) if phase.epoch_seconds > 0 else 0
            return f"{sentence}: it ends training in {phase.name} after about {epochs} of {phase.epochs} epochs"
        return f"{sentence}, but only the end will be past it"
