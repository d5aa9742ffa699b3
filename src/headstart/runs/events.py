"""Events of a run: each kind with its fields and the sentence that console, report, trackers and log share.

Those of the training itself are in `training_events`, those that warn in `warnings`. A new kind is one class;
`tests/runs/test_events.py` sends every kind through every reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from headstart.amounts import count_text
from headstart.input_spec import ChannelMethod
from headstart.runs.event import Event

StopReason = Literal["budget", "signal"]
"""Why training ended before its phases did: its time was spent, or Ctrl-C or SIGTERM came."""


@dataclass(frozen=True)
class Resumed(Event):
    """A run is resumed from its last checkpoint."""

    event: ClassVar[str] = "resumed"
    phase: int
    """Place in the plan, from 0."""
    epoch: int
    """Epochs of the phase that are done."""

    def sentence(self) -> str:
        """Phase and epoch of the checkpoint."""
        return f"resumes in phase {self.phase}, after epoch {self.epoch}"


@dataclass(frozen=True)
class RunStopped(Event):
    """Training ended before its phases did, and everything is saved."""

    event: ClassVar[str] = "stopped"
    reason: StopReason

    def sentence(self) -> str:
        """Reason, and that everything is saved."""
        return f"stopped by the {self.reason}; everything is saved"


@dataclass(frozen=True)
class Stopping(Event):
    """A signal requests the run to stop; shown at once, not logged."""

    event: ClassVar[str] = "stopping"
    text: str

    def sentence(self) -> str:
        """The text."""
        return self.text


@dataclass(frozen=True)
class CheckpointSelected(Event):
    """The weights that go into the bundle."""

    event: ClassVar[str] = "checkpoint_selected"
    checkpoint: str
    """`probe` or `PHASE/EPOCH`."""
    reason: str

    def sentence(self) -> str:
        """Name and reason."""
        return f"selected checkpoint {self.checkpoint}: {self.reason}"


@dataclass(frozen=True)
class HeadSelected(Event):
    """The selected head, where a multi_depth head was compared with a linear one."""

    event: ClassVar[str] = "head_selected"
    phase: str
    head: Literal["multi_depth", "linear"]
    reason: str

    def sentence(self) -> str:
        """Name and reason."""
        return f"selected the {self.head} head: {self.reason}"


@dataclass(frozen=True)
class ChannelsSelected(Event):
    """The selected way from the bands of the images to the channels of the weights."""

    event: ClassVar[str] = "channels_selected"
    method: ChannelMethod
    reason: str

    def sentence(self) -> str:
        """Name and reason."""
        return f"selected the channels {self.method}: {self.reason}"


@dataclass(frozen=True)
class HeadFittedOnViews(Event):
    """The head was fitted once more, on augmented views, before a phase trains."""

    event: ClassVar[str] = "head_fitted_on_views"
    phase: str
    views: int
    """Augmented views of each image, besides the plain one."""
    images: int

    def sentence(self) -> str:
        """Number of views and images."""
        views = count_text(self.views, "augmented view")
        return f"{self.phase} starts from a head fitted on {views} of each of {count_text(self.images, 'image')}"


@dataclass(frozen=True)
class Computing(Event):
    """A long computation whose length is not known begins."""

    event: ClassVar[str] = "computing"
    what: str
    step: int | None = None
    """Its number among the steps of the work that it belongs to, from 1; None: it is alone."""
    steps: int | None = None
    """Number of these steps."""

    def sentence(self) -> str:
        """Name of the computation, and how far the work is."""
        return self.what if self.step is None else f"step {self.step} of {self.steps}: {self.what}"


@dataclass(frozen=True)
class PenaltySampled(Event):
    """The L2 penalty was cross-validated on a sample of the training images."""

    event: ClassVar[str] = "penalty_sampled"
    phase: str
    images: int
    of: int

    def sentence(self) -> str:
        """Size of the sample."""
        return f"the head's L2 penalty was chosen on a sample of {self.images:,} of {self.of:,} images"


@dataclass(frozen=True)
class EngineNoted(Event):
    """Why frozen features are computed by another engine than the fastest."""

    event: ClassVar[str] = "engine"
    reason: str

    def sentence(self) -> str:
        """The reason."""
        return self.reason


@dataclass(frozen=True)
class PrefixComputed(Event):
    """The engine that computed the frozen prefix of a phase."""

    event: ClassVar[str] = "prefix_computed"
    engine: str | None
    """None: nothing of the phase was cached."""

    def sentence(self) -> str:
        """Name of the engine."""
        if self.engine is None:
            return "no activations are cached: the whole network is run"
        return f"the frozen prefix is computed by {self.engine}"


@dataclass(frozen=True)
class PrefixPlanned(Event):
    """Whether a phase caches the outputs of its frozen prefix, and why."""

    event: ClassVar[str] = "prefix_planned"
    phase: str
    activations: Literal["cached", "computed"]
    """cached: computed once. computed: in every epoch."""
    cut_point: str | None
    """Layer group before which the network is cut."""
    views: int
    """Of each training image."""
    why: str

    def sentence(self) -> str:
        """Treatment of the prefix, and the reason."""
        how = f"cached before {self.cut_point}" if self.activations == "cached" else "run in every epoch"
        return f"{self.phase}: the frozen prefix is {how}: {self.why}"


@dataclass(frozen=True)
class ActivationsCached(Event):
    """Activations at the cut point are cached, and only the suffix is run from here on."""

    event: ClassVar[str] = "activations_cached"
    phase: str
    cut_point: str
    """Layer group before which the network is cut."""
    views: int
    """Of each training image."""
    engine: str
    """What computed them; `none needed` where all were there."""

    def sentence(self) -> str:
        """Number of views, cut point and engine."""
        return f"cached {count_text(self.views, 'view')} of each image before {self.cut_point} ({self.engine})"


@dataclass(frozen=True)
class NotCached(Event):
    """Activations could not be cached, so that everything is run in every epoch."""

    event: ClassVar[str] = "not_cached"
    cut_point: str
    why: str
    phase: str | None = None

    def sentence(self) -> str:
        """Reason."""
        return f"no activations are cached, the whole network is run in every epoch: {self.why}"


@dataclass(frozen=True)
class WeightsLoaded(Event):
    """Contents of a weight file of the user's."""

    event: ClassVar[str] = "weights_loaded"
    source: str
    loaded: int
    """Tensors."""
    head: str
    missing: Sequence[str] = ()
    unexpected: Sequence[str] = ()

    def sentence(self) -> str:
        """Counts, and the first missing and unexpected tensors."""
        line = f"weights: {self.loaded} tensors of {self.source}; its head: {self.head}, a new one is made"
        for what, names in (("missing", self.missing), ("unexpected", self.unexpected)):
            if names:
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                line += f"; {what}: {', '.join(names[:3])}{more}"
        return line


@dataclass(frozen=True)
class Tracking(Event):
    """A tracker writes the run."""

    event: ClassVar[str] = "tracking"
    tracker: str
    where: str

    def sentence(self) -> str:
        """Tracker and place."""
        return f"also written to {self.tracker} in {self.where}"
