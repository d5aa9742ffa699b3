"""An estimate in parts: image counts and settings that it is made from, seconds and bytes of every phase; no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from headstart.amounts import duration_text
from headstart.engine.costs.memory import Origin
from headstart.plan.sections import AugmentationPlan

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
    """What an estimate depends on besides phases, images, network and speeds."""

    augmentation: AugmentationPlan
    batch_size: int
    store: StorePrecision = "float16"
    room_bytes: float = math.inf
    """In the activation store."""
    stored: Mapping[str, int] = field(default_factory=dict)
    """Cut point -> rows of these images and this network that are in the store already."""
    epochs_done: int = 0
    """Of the first phase, where a run goes on."""
    uncut: frozenset[str] = frozenset()
    """Cut points at which the network cannot be cut."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """Decides how many range tests a search of learning rates makes."""


@dataclass(frozen=True, slots=True)
class FrozenPrefixChoice:
    """How a phase gets the activations of its frozen prefix."""

    activations: Literal["cached", "computed"]
    """Once, into the activation cache, or in every epoch."""
    cut_point: str | None
    """None where nothing is cached."""
    views: int
    """Cached views of each training image; 0 where nothing is cached."""
    bytes: int
    """In the activation cache."""
    why: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class PhaseEstimate:
    """Seconds of wall clock of one phase, and bytes that it adds to the store."""

    name: str
    views_seconds: float = 0.0
    """Reading images and making views."""
    frozen_seconds: float = 0.0
    """Computing and storing activations of the frozen part."""
    steps_seconds: float = 0.0
    validation_seconds: float = 0.0
    other_seconds: float = 0.0
    """Fitting heads, checking, saving."""
    search_seconds: float = 0.0
    """Range tests of the learning rates, with their views and reading."""
    once_seconds: float = 0.0
    """The part of all that before the first epoch."""
    epochs: int = 0
    stored_bytes: int = 0
    choice: FrozenPrefixChoice | None = None
    unmeasured_seconds: float = 0.0
    """The part of all that in spans of the network that were never measured on this machine."""

    @property
    def seconds(self) -> float:
        """Of the whole phase."""
        passes = self.views_seconds + self.frozen_seconds + self.steps_seconds + self.validation_seconds
        return passes + self.search_seconds + self.other_seconds

    @property
    def epoch_seconds(self) -> float | None:
        """Of each epoch; None without epochs."""
        return (self.seconds - self.once_seconds) / self.epochs if self.epochs else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for events and results."""
        each, choice = self.epoch_seconds, self.choice
        return {
            "name": self.name,
            "seconds": round(self.seconds, 3),
            "search_seconds": round(self.search_seconds, 3),
            "once_seconds": round(self.once_seconds, 3),
            "epochs": self.epochs,
            "epoch_seconds": None if each is None else round(each, 3),
            "stored_bytes": self.stored_bytes,
            "activations": None if choice is None else choice.activations,
            "cut_point": None if choice is None else choice.cut_point,
            "views": None if choice is None else choice.views,
        }


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
        """Of all phases."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def stored_bytes(self) -> int:
        """Added to the store by all phases."""
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
                return f"{sentence}: it ends training while the head of {phase.name} is solved"
            epochs = int((left - phase.once_seconds) / phase.epoch_seconds) if phase.epoch_seconds > 0 else 0
            return f"{sentence}: it ends training in {phase.name} after about {epochs} of {phase.epochs} epochs"
        return f"{sentence}, but only the end will be past it"
