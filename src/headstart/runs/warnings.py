"""Warnings of a run as events: reasons why a figure may mislead, and requests that are not followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from headstart.findings import Finding, ImageGroups, Level
from headstart.runs.event import Event, EventLevel


@dataclass(frozen=True)
class WarningEvent(Event):
    """An event after which a figure may mislead, or a request is not followed."""

    @property
    def urgency(self) -> EventLevel:
        """Of all warnings."""
        return "warning"


@dataclass(frozen=True)
class DataFinding(Event):
    """A finding about the data, from the checks before and during training."""

    event: ClassVar[str] = "finding"
    level: Level
    what: str
    evidence: str
    remedy: str
    images: ImageGroups = ()

    @classmethod
    def of(cls, finding: Finding) -> DataFinding:
        """The event of a finding."""
        return cls(finding.level, finding.what, finding.evidence, finding.remedy, finding.images)

    @property
    def urgency(self) -> EventLevel:
        """That of the finding."""
        return self.level

    def sentence(self) -> str:
        """Evidence and remedy."""
        return f"{self.evidence}; {self.remedy}"


@dataclass(frozen=True)
class AdviceWarning(WarningEvent):
    """A warning of the advisor, where the strategy was `auto`."""

    event: ClassVar[str] = "advice"
    text: str

    def sentence(self) -> str:
        """The warning."""
        return self.text


@dataclass(frozen=True)
class OptionWithoutEffect(WarningEvent):
    """An option that the chosen strategy does not read."""

    event: ClassVar[str] = "option_without_effect"
    option: str
    """As the library names it."""
    strategy: str

    @property
    def why(self) -> str:
        """Reason: what the strategy does instead."""
        return f"{self.strategy} fits a linear probe in one go, without epochs"

    def sentence(self) -> str:
        """Option and reason."""
        return f"--{self.option.replace('_', '-')} has no effect: {self.why}"


@dataclass(frozen=True)
class JitterWithoutEffect(WarningEvent):
    """Channel jitter was requested in a phase that caches nothing."""

    event: ClassVar[str] = "jitter_without_effect"
    phase: str
    channel_jitter: float

    def sentence(self) -> str:
        """Phase and reason."""
        return f"channel_jitter has no effect in {self.phase}: no activations are cached there"


@dataclass(frozen=True)
class PhaseWarning(WarningEvent):
    """A warning about an epoch that does not stop the run; each kind is raised once a phase."""

    phase: str
    epoch: int
    """From 1."""

    def to_json(self) -> dict[str, Any]:
        """What metrics.json has among its warnings: kind, sentence and numbers."""
        return {"kind": self.event, "text": self.sentence(), **self.to_dict()}


@dataclass(frozen=True)
class GroupsUnchanged(PhaseWarning):
    """Layer groups of which not one bit changed in an epoch that trained them."""

    event: ClassVar[str] = "groups_unchanged"
    groups: tuple[str, ...]
    lr: Mapping[str, float]
    """Group -> peak learning rate."""

    def sentence(self) -> str:
        """Groups and their largest learning rate."""
        first, last = self.groups[0], self.groups[-1]
        named = first if len(self.groups) == 1 else f"{len(self.groups)} groups from {first} to {last}"
        return (
            f"{named} did not change by one bit in epoch {self.epoch} of {self.phase}, at a learning rate of up to "
            f"{max(self.lr.values()):.1e}: it is too small for these weights, or they get no gradient"
        )


@dataclass(frozen=True)
class BelowProbe(PhaseWarning):
    """A first tuned epoch that is worse than the linear probe it started from, beyond noise."""

    event: ClassVar[str] = "first_epoch_below_probe"
    accuracy: float
    probe_accuracy: float
    p_value: float
    lr: Mapping[str, float]
    """Group -> peak learning rate, the head last."""
    source: str | None = None
    """Of the validation images; None in runs of earlier versions."""

    def sentence(self) -> str:
        """Both accuracies, and the remedy."""
        on = f"{self.source}, " if self.source else ""
        *backbone, head = self.lr.values()
        peaks = f"head {head:g}" + (f", backbone up to {max(backbone):g}" if backbone else "")
        return (
            f"the first tuned epoch is worse than the linear probe: accuracy {self.accuracy:.3f} after "
            f"{self.probe_accuracy:.3f} ({on}p = {self.p_value:.2g}); its steps were too large for a head "
            f"that is fitted already (peak learning rates: {peaks}); choose lower learning rates"
        )


AlarmKind = Literal[
    "not_finite",
    "diverging",
    "dead_activations",
    "saturated_activations",
    "batch_norm_drift",
    "never_learns",
    "forgetting",
    "early_peak",
    "overfitting",
]
"""Names of alarms; `training/guard/alarms.py` defines each."""


@dataclass(frozen=True)
class AlarmRaised(PhaseWarning):
    """An epoch shows a sign of forgetting, collapse or overfitting."""

    event: ClassVar[str] = "alarm_raised"
    alarm: AlarmKind
    evidence: str
    remedy: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    rescues: int = 0
    """Of the phase, before the epoch."""

    def sentence(self) -> str:
        """Alarm, phase and epoch, evidence, and the remedy."""
        name = self.alarm.replace("_", " ")
        return f"alarm {name} in epoch {self.epoch} of {self.phase}: {self.evidence}; {self.remedy}"

    def to_json(self) -> dict[str, Any]:
        """What metrics.json has among its warnings; the kind is that of the alarm."""
        return {**super().to_json(), "kind": self.alarm}


@dataclass(frozen=True)
class Rescued(PhaseWarning):
    """After an alarm a phase went back to its best weights and goes on with lower learning rates."""

    event: ClassVar[str] = "rescued"
    alarm: AlarmKind
    checkpoint: str
    """Whose weights: `probe`, `PHASE/EPOCH`, or `start`."""
    lr: Mapping[str, float]
    """Group -> peak learning rate from now on, the head last."""
    number: int
    """Of the rescue in its phase, from 1."""
    most: int

    def sentence(self) -> str:
        """Checkpoint, learning rates, and how often that may happen."""
        *backbone, head = self.lr.values()
        peaks = f"head {head:.3g}" + (f", backbone up to {max(backbone):.3g}" if backbone else "")
        return (
            f"rescue {self.number} of at most {self.most} after epoch {self.epoch} of {self.phase} "
            f"({self.alarm.replace('_', ' ')}): back to the weights of {self.checkpoint}, learning rates divided by "
            f"ten (peaks: {peaks})"
        )

    def to_json(self) -> dict[str, Any]:
        """What metrics.json has among its warnings; each rescue is one of its own."""
        return {**super().to_json(), "kind": f"{self.event}_{self.number}"}


@dataclass(frozen=True)
class Diverged(WarningEvent):
    """The loss is not finite any more; the phase ends with its best epoch."""

    event: ClassVar[str] = "diverged"
    phase: str
    epoch: int
    """From 1."""

    def sentence(self) -> str:
        """Phase and epoch."""
        return f"{self.phase}: the loss was no longer finite in epoch {self.epoch}"


@dataclass(frozen=True)
class TrackerStopped(WarningEvent):
    """A tracker failed and is no longer written to; training goes on."""

    event: ClassVar[str] = "tracker_stopped"
    tracker: str
    where: str
    why: str

    def sentence(self) -> str:
        """Name and reason."""
        return f"{self.tracker} is no longer written to, training goes on: {self.why} ({self.where})"


@dataclass(frozen=True)
class RandomWeights(WarningEvent):
    """A trial of a comparison runs with random weights, because the pretrained ones cannot be had."""

    event: ClassVar[str] = "random_weights"
    why: str

    def sentence(self) -> str:
        """That only time and memory count, and why."""
        return f"random weights are used, for time and memory only: {self.why}"


@dataclass(frozen=True)
class LatencyNotMeasured(WarningEvent):
    """The latency of a network of a comparison could not be measured."""

    event: ClassVar[str] = "latency_not_measured"
    network: str
    why: str

    def sentence(self) -> str:
        """Network and reason."""
        return f"the latency of {self.network} could not be measured: {self.why}"
