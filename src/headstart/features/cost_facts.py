"""What a forecast is made from and what it says: counts, rates of a machine, terms, costs of phases; no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from headstart.plan_sections import AugmentationPlan

Way = Literal["stored", "computed"]
Origin = Literal["measured", "related", "guessed"]
StorePrecision = Literal["float16", "float32", "off"]

PIXELS = "pixels"
"""Where a phase starts that stores nothing."""
POOLED = "pooled"
"""Border of the features that a solved head reads."""


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
    decoding: Literal["shares_cores", "beside"] = "shares_cores"
    """beside: views are made while another device computes."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """Stretch of this network -> seconds an image; see `frozen_stretch`, `steps_stretch`, `judging_stretch`."""
    origin: Origin = "guessed"
    """measured: of this network on this machine. related: of other networks on it. guessed: from its speed at a
    product of matrices."""


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
    once_seconds: float = 0.0
    """How much of all that is paid once, before the first epoch."""
    epochs: int = 0
    stored_bytes: int = 0
    """Added to the store."""
    choice: Choice | None = None

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.views_seconds + self.frozen_seconds + self.steps_seconds + self.judging_seconds + self.other_seconds


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the phases of a plan will cost."""

    phases: tuple[PhaseCost, ...]
    """The plan's, then `end`: the last head, the bundle, and judging the images that report."""
    memory_bytes: int
    """At the peak, of the process."""
    origin: Origin

    @property
    def seconds(self) -> float:
        """All phases."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def stored_bytes(self) -> int:
        """Added to the store by all phases."""
        return sum(phase.stored_bytes for phase in self.phases)


def frozen_stretch(border: str, engine: str) -> str:
    """Name of the measured seconds an image that an engine takes up to a border, views and set-up not counted."""
    return f"frozen part up to {border} ({engine})"


def steps_stretch(start: str, first: str) -> str:
    """Name of the measured seconds an image of steps from PIXELS or a border, where `first` is the first to learn."""
    return f"steps from {start}, learning from {first}"


def judging_stretch(start: str) -> str:
    """Name of the measured seconds an image of judging from PIXELS or a border."""
    return f"judging from {start}"


def duration_text(seconds: float) -> str:
    """`0.4 s`, `12 s`, `2 min 10 s`, `1 h 5 min`."""
    if seconds < 9.5:
        return f"{seconds:.1f} s" if seconds < 0.95 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(whole / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def bytes_text(count: int) -> str:
    """`120 MB`, `1.5 GB`."""
    return f"{count / 1e9:.3g} GB" if count >= 999.5e6 else f"{count / 1e6:.3g} MB"
