"""What a forecast is made from and what it says: counts, rates of a machine, terms, costs of phases; no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headstart.amounts import duration_text
from headstart.plan.sections import AugmentationPlan

Way = Literal["stored", "computed"]
Origin = Literal["measured", "related", "guessed"]
StorePrecision = Literal["float16", "float32", "off"]

PIXELS = "pixels"
"""Where a phase starts that stores nothing."""
REPORTED = "pooled, of images that report"
"""What `Terms.kept` calls their rows: they are kept in single precision, and only of a backbone that rests."""

FEWEST_POINTS = 20
"""Of one test of learning rates: five a decade."""
MOST_POINTS = 50


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """How many images play which role."""

    fit: int
    """An epoch passes through them."""
    select: int
    train: int
    """fit, and select where it was taken from train: the last head is solved on them."""
    report: int
    classes: int


@dataclass(frozen=True)
class Rates:
    """How fast one network is on one machine; every figure > 0 but where it says otherwise."""

    cores: int
    plain_view: float
    """Seconds of one core to read an image and make its evaluation view."""
    varied_view: float
    """The same of a training view."""
    torch: float
    """Billions of multiply-accumulates a second of a part at rest in PyTorch."""
    onnxruntime: float
    """The same in ONNX Runtime; 0: it is not used here."""
    setup_seconds: float
    """Before ONNX Runtime answers for the first time, >= 0."""
    reload_seconds: float
    """The same where the exported network is kept from an earlier run, >= 0."""
    forward: float
    """Billions of multiply-accumulates a second of the network as it is, without gradients."""
    training: float
    """Of the forward pass, where what it runs through also learns."""
    moved: float
    """Bytes a second to and from the store."""
    solved: float
    """Images x features x classes a second, from features to a head whose penalty was cross-validated."""
    step_seconds: float
    """Of a step beside its arithmetic, >= 0."""
    epoch_seconds: float
    """Of an epoch beside steps and judging (checks, saving), >= 0."""
    end_seconds: float
    """Of the end of a run beside its images (writing the bundle, loading it), >= 0."""
    solving_seconds: float = 0.25
    """Of a solved head beside its numbers, >= 0."""
    decoding: Literal["shares_cores", "beside"] = "shares_cores"
    """beside: views are made while another device computes."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """Stretch of this network -> seconds an image; see `frozen_stretch`, `steps_stretch`, `judging_stretch`."""
    origin: Origin = "guessed"
    """measured: something of this network ran on this machine. related: other networks did, or this one was tried for a
    moment. guessed: nothing did, so the rates are those of usual cores."""


@dataclass(frozen=True)
class Terms:
    """What a plan says beside its phases, and what the store says."""

    augmentation: AugmentationPlan
    batch_size: int
    store: StorePrecision = "float16"
    room_bytes: float = math.inf
    """What the store can take."""
    kept: Mapping[str, int] = field(default_factory=dict)
    """Border -> rows that this data and this network would need and that are stored already."""
    epochs_done: int = 0
    """Of the first phase, where a run goes on."""
    uncut: frozenset[str] = frozenset()
    """Borders at which the network cannot be cut."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """Decides how many tests a search of learning rates makes."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How a phase gets what lies before its first trained group."""

    way: Way
    border: str | None
    """Where the network is cut; None where nothing is stored."""
    views: int
    """That are stored of each fit image; 0 where nothing is."""
    bytes: int
    """That are stored."""
    why: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class PhaseCost:
    """What one phase is forecast to take, in seconds of wall clock."""

    name: str
    views_seconds: float = 0.0
    """Reading images and making views."""
    frozen_seconds: float = 0.0
    """Running what rests, to store it."""
    steps_seconds: float = 0.0
    judging_seconds: float = 0.0
    other_seconds: float = 0.0
    """Solving, checking, saving."""
    search_seconds: float = 0.0
    """Range tests of the learning rates, views and reading included."""
    once_seconds: float = 0.0
    """How much of all that is paid once, before the first epoch."""
    epochs: int = 0
    stored_bytes: int = 0
    """Added to the store."""
    choice: Choice | None = None
    unmeasured_seconds: float = 0.0
    """How much of all that is run by a stretch of the network that never ran on this machine."""

    @property
    def seconds(self) -> float:
        """All of it."""
        passes = self.views_seconds + self.frozen_seconds + self.steps_seconds + self.judging_seconds
        return passes + self.search_seconds + self.other_seconds

    def to_dict(self) -> dict[str, Any]:
        """What the event `forecast` says of the phase."""
        each = (self.seconds - self.once_seconds) / self.epochs if self.epochs else None
        choice = self.choice
        return {
            "name": self.name,
            "seconds": round(self.seconds, 3),
            "search_seconds": round(self.search_seconds, 3),
            "once_seconds": round(self.once_seconds, 3),
            "epochs": self.epochs,
            "epoch_seconds": None if each is None else round(each, 3),
            "bytes": self.stored_bytes,
            "frozen_part": None if choice is None else choice.way,
            "border": None if choice is None else choice.border,
            "views": None if choice is None else choice.views,
        }


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the phases of a plan will cost."""

    phases: tuple[PhaseCost, ...]
    """The plan's, then `end`: the last head, the bundle, and judging the images that report."""
    memory_bytes: int
    """At the peak, of the process."""
    origin: Origin
    """measured: nearly all of it was measured on this machine with this network. Else as in `Rates`."""

    @property
    def seconds(self) -> float:
        """All phases."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def stored_bytes(self) -> int:
        """Added to the store by all phases."""
        return sum(phase.stored_bytes for phase in self.phases)

    def cut_off(self, elapsed: float, budget_seconds: float) -> str:
        """One sentence: where a budget that is shorter than the forecast ends the training.

        Args:
            elapsed: Seconds that have passed.
            budget_seconds: Counted from the same moment.
        """
        left = budget_seconds - elapsed
        sentence = f"the budget of {duration_text(budget_seconds)} is shorter than that"
        for cost in self.phases[:-1]:
            if left < cost.seconds:
                if left < cost.once_seconds:
                    return f"{sentence}: it ends training while features for {cost.name} are computed"
                if cost.epochs == 0:
                    return f"{sentence}: it ends training while the head of {cost.name} is solved"
                each = (cost.seconds - cost.once_seconds) / cost.epochs
                epochs = int((left - cost.once_seconds) / each) if each > 0 else 0
                return f"{sentence}: it ends training in {cost.name} after about {epochs} of {cost.epochs} epochs"
            left -= cost.seconds
        return f"{sentence}, but only the end will be past it"


def points_for(phase_steps: int) -> int:
    """How many steps one range test of a phase learns for: a sixth of the phase's, but 20 at least and 50 at most.

    A head and a backbone are tested one after the other, so that both take a third of the phase's steps or less, and
    100 at most; in phases of fewer than 120 steps more than a third, because fewer points would miss the edge.

    Args:
        phase_steps: Optimizer steps of the whole phase, > 0.
    """
    return min(MOST_POINTS, max(FEWEST_POINTS, phase_steps // 6))


def frozen_stretch(border: str, engine: str) -> str:
    """Name of the measured seconds an image that an engine takes up to a border, views and set-up not counted."""
    return f"frozen part up to {border} ({engine})"


def steps_stretch(start: str, first: str) -> str:
    """Name of the measured seconds an image of steps from PIXELS or a border, where `first` is the first to learn."""
    return f"steps from {start}, learning from {first}"


def judging_stretch(start: str) -> str:
    """Name of the measured seconds an image of judging from PIXELS or a border."""
    return f"judging from {start}"
