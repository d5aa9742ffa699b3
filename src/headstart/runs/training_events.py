"""Events of training: phases, epochs, learning-rate searches, and estimates of the phases to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from headstart.amounts import bytes_text, count_text, duration_text
from headstart.measures.figures import METRIC_WORDS, SelectionMetric
from headstart.plan.plan import Phase, ProbePhase
from headstart.runs.event import Event


@dataclass(frozen=True)
class PhaseStarted(Event):
    """A phase begins, or goes on after a resume."""

    event: ClassVar[str] = "phase_started"
    index: int
    """Place in the plan, from 0."""
    name: str
    kind: Literal["linear_probe", "train"]
    epochs: int | None = None
    """At most; None for a linear probe."""

    @classmethod
    def of(cls, index: int, phase: Phase) -> PhaseStarted:
        """The event of a phase of a plan."""
        return cls(index, phase.name, phase.kind, None if isinstance(phase, ProbePhase) else phase.epochs)

    def sentence(self) -> str:
        """Name and kind of the phase."""
        if self.kind == "linear_probe":
            return f"phase {self.index} {self.name}: fits the head on frozen features"
        most = "" if self.epochs is None else f" for up to {count_text(self.epochs, 'epoch')}"
        return f"phase {self.index} {self.name}: trains{most}"


@dataclass(frozen=True)
class EpochDone(Event):
    """An epoch was trained and validated: one row of the table of epochs.

    A linear probe is epoch 0 of its phase; so is a step of progressive tuning as a whole, after its epochs.
    """

    event: ClassVar[str] = "epoch_done"
    phase: str
    epoch: int
    """From 1; 0 for a linear probe, and for a step as a whole."""
    train_loss: float | None
    """Mean over the epoch's steps, in nats; None for epoch 0."""
    validation_loss: float
    """Out-of-fold in train where no validation images were held out; in nats."""
    validation_accuracy: float
    """On the same images, 0..1."""
    lr: Mapping[str, float]
    """Layer group -> learning rate of the last step; empty for a linear probe."""
    improved: bool
    """Whether it is better than all epochs before."""
    seconds: float
    """With its validation pass."""
    metric: SelectionMetric = "accuracy"
    """By which epochs are selected."""
    validation_value: float | None = None
    """Of that metric, on the same images; None in runs of earlier versions."""
    movement: float | None = None
    """Largest L2 distance of a layer group from its weights before the epoch, by their norm; None for epoch 0."""

    @property
    def checkpoint(self) -> str:
        """As runs name its weights: `probe`, `tune/3`, `last_stages`."""
        return f"{self.phase}/{self.epoch}" if self.epoch else self.phase

    def sentence(self) -> str:
        """`tune 3: training loss 0.31, validation loss 0.35, validation accuracy 0.914`."""
        loss = "" if self.train_loss is None else f"training loss {self.train_loss:.4f}, "
        return (
            f"{self.phase} {self.epoch}: {loss}validation loss {self.validation_loss:.4f}, "
            f"validation accuracy {self.validation_accuracy:.4f}"
        ) + self._by_metric()

    def _by_metric(self) -> str:
        """`, balanced accuracy 0.871`; empty where accuracy or the log loss select."""
        if self.validation_value is None or self.metric in ("accuracy", "log_loss"):
            return ""
        return f", {METRIC_WORDS[self.metric]} {self.validation_value:.4f}"


@dataclass(frozen=True)
class PhaseDone(Event):
    """A phase ended: one row of the table of phases."""

    event: ClassVar[str] = "phase_done"
    name: str
    kind: Literal["linear_probe", "train"]
    trained: Sequence[str]
    """Layer groups."""
    lr: Mapping[str, float]
    """Layer group -> peak learning rate; empty for a linear probe."""
    batch_norm: str
    schedule: str | None
    epochs_run: int
    validation_accuracy: float | None
    """Of the best epoch, 0..1."""
    seconds: float
    ended: str
    """Why."""

    def sentence(self) -> str:
        """Reason for the end."""
        return f"phase {self.name} ended: {self.ended}"


@dataclass(frozen=True)
class WeightsInterpolated(Event):
    """Weights between the linear probe's network and the best epoch were validated (WiSE-FT)."""

    event: ClassVar[str] = "weights_interpolated"
    shares: Mapping[str, float]
    """Name of the candidate -> log loss on the validation images, in nats; the epoch itself first."""
    selected: str
    """The best of them."""
    images: int
    """That validate them."""

    def sentence(self) -> str:
        """`tune/7@0.6 is the best of 10 mixes of linear probe and tune/7: log loss 0.31 against 0.35 on 200 images`."""
        epoch = next(iter(self.shares))
        if self.selected == epoch:
            between = min(loss for name, loss in self.shares.items() if name != epoch)
            return (
                f"no weights between the linear probe and {epoch} are better: log loss {self.shares[epoch]:.3f}, "
                f"in between at best {between:.3f}, on {count_text(self.images, 'image')}"
            )
        return (
            f"{self.selected}, weights between the linear probe and {epoch}, is better than {epoch}: log loss "
            f"{self.shares[self.selected]:.3f} against {self.shares[epoch]:.3f} on {count_text(self.images, 'image')}"
        )


@dataclass(frozen=True)
class StepDone(Event):
    """A step of progressive tuning was compared with the best candidate before it."""

    event: ClassVar[str] = "step_done"
    phase: str
    checkpoint: str
    """Its best epoch."""
    against: str
    """The candidate before it."""
    log_loss: float
    """At its best temperature, in nats, on the images that validate both."""
    log_loss_before: float
    accuracy: float
    """On the same images, 0..1."""
    accuracy_before: float
    p_value: float
    """Of the lead in log loss; 1 where it makes significantly more errors."""
    selected: bool
    """Whether it takes the place of the candidate before it."""
    images: int
    """That validate both."""
    figures: str = ""
    """Both by the metric that selects, in words; empty in runs of earlier versions."""

    @property
    def gain(self) -> float:
        """Gain of accuracy, -1..1."""
        return self.accuracy - self.accuracy_before

    def sentence(self) -> str:
        """`last_stages/6 is significantly better than probe: accuracy 0.93 against 0.90 on 600 images, p = 0.001`."""
        what = "is" if self.selected else "is not"
        figures = self.figures or (
            f"log loss {self.log_loss:.3f} against {self.log_loss_before:.3f}, accuracy {self.accuracy:.3f} against "
            f"{self.accuracy_before:.3f}"
        )
        return (
            f"{self.checkpoint} {what} significantly better than {self.against}: {figures} on "
            f"{count_text(self.images, 'image')}, p = {self.p_value:.2g}"
        )


@dataclass(frozen=True)
class RangeTest:
    """One learning-rate range test (Smith 2017)."""

    tested: str
    """head, backbone or all."""
    groups: tuple[str, ...]
    points: tuple[tuple[float | None, ...], ...]
    """(factor, loss, baseline, noise) of each; None for what is not finite."""
    factor: float | None
    """By which the planned learning rates are multiplied; None: they stay."""
    why: str
    shape: str | None = None
    edge: float | None = None
    """The largest factor at which less than half is lost."""
    edge_lies: str | None = None
    smoothed: tuple[float, ...] = ()
    """Smoothed loss - baseline at each finite point, in nats."""


@dataclass(frozen=True)
class LearningRatesFound(Event):
    """Peak learning rates of a phase, found by range tests."""

    event: ClassVar[str] = "learning_rates_found"
    phase: str
    planned: Mapping[str, float]
    """Group -> peak learning rate before."""
    lr: Mapping[str, float]
    """Group -> peak learning rate from now on."""
    schedule: str
    tests: tuple[RangeTest, ...]
    steps: int
    """Batches that were computed."""
    seconds: float

    def sentence(self) -> str:
        """`tune: learning rates searched in 12 s: head 0.003 -> 0.0012 (x0.4), backbone 0.0003 stays: the loss ...`."""
        said = []
        for test in self.tests:
            planned = _spread([self.planned[name] for name in test.groups])
            found = _spread([self.lr[name] for name in test.groups])
            way = f"-> {found} (x{test.factor:g})" if test.factor else f"stays: {test.why}"
            said.append(f"{test.tested} {planned} {way}")
        return f"{self.phase}: learning rates searched in {duration_text(self.seconds)}: {', '.join(said)}"


def _spread(rates: Sequence[float]) -> str:
    low, high = min(rates), max(rates)
    return f"{high:.3g}" if low == high else f"{low:.3g}..{high:.3g}"


@dataclass(frozen=True)
class EstimatedPhase:
    """Time and storage of one phase, before it runs."""

    name: str
    seconds: float
    search_seconds: float = 0.0
    """Range tests of the learning rates."""
    once_seconds: float = 0.0
    """Spent once, before the first epoch; range tests included."""
    epochs: int = 0
    epoch_seconds: float | None = None
    stored_bytes: int = 0
    """Added to the activation cache."""
    activations: str | None = None
    cut_point: str | None = None
    """Layer group before which the network is cut; None where nothing is cached."""
    views: int | None = None

    def text(self) -> str:
        """`tune 2 min 10 s (frozen part 40 s once, 10 epochs of 9 s)`."""
        text = f"{self.name} {duration_text(self.seconds)}"
        if not self.epochs or self.epoch_seconds is None:
            return text
        once = f"learning-rate search {duration_text(self.search_seconds)}, " if self.search_seconds else ""
        if self.cut_point:
            once += f"frozen part {duration_text(self.once_seconds - self.search_seconds)} once, "
        return f"{text} ({once}{count_text(self.epochs, 'epoch')} of {duration_text(self.epoch_seconds)})"


_UNTESTED = {
    "measured": " (from measured speeds; not tested yet by enough runs on this machine)",
    "related": " (from speeds of other networks or a quick benchmark; not tested yet by enough runs on this machine)",
    "guessed": " (a rough guess: nothing has run on this machine yet)",
}
"""Caveat of an estimate by the origin of its figures, until runs on this machine have tested some."""


@dataclass(frozen=True)
class RuntimeEstimate(Event):
    """Estimated time, memory and storage of the phases to come."""

    event: ClassVar[str] = "estimates"
    elapsed_seconds: float
    """Since the command began."""
    phases: tuple[EstimatedPhase, ...]
    total_seconds: float
    """With the seconds before it."""
    without_tuning_seconds: float | None
    """The same if no epoch is trained because the probe cannot improve; None where that is no option."""
    previous_total_seconds: float | None
    """Total of the last estimate."""
    stored_bytes: int
    memory_bytes: int
    """Peak of the process."""
    speeds: Literal["measured", "related", "guessed"]
    low_seconds: float | None
    """Lower end of the range of the total, from the errors of earlier estimates; None without any."""
    high_seconds: float | None
    """Upper end of the range."""
    past_runs: int
    """Number of those estimates."""
    budget: str | None
    """Sentence on what the time limit will cut off; None where it cuts nothing."""
    optional_steps: int = field(default=0, kw_only=True)
    """Phases that begin only if they can pay."""

    def sentence(self) -> str:
        """`estimate: probe 6 s, tune 2 min 10 s (...), end 3 s; 2 min 20 s in total; 120 MB stored ...`."""
        phases = ", ".join(phase.text() for phase in self.phases)
        line = f"estimate: {phases}; {duration_text(self.total_seconds)} in total"
        if self.optional_steps > 1:
            line += " if every step pays"
        if self.without_tuning_seconds is not None:
            line += f", or {duration_text(self.without_tuning_seconds)} if tuning cannot improve on the linear probe"
        if self.previous_total_seconds:
            line = f"new {line} instead of {duration_text(self.previous_total_seconds)}"
        if self.stored_bytes:
            line += f"; {bytes_text(self.stored_bytes)} stored"
        line += f"; {bytes_text(self.memory_bytes)} of memory"
        if not self.past_runs or self.low_seconds is None or self.high_seconds is None:
            return line + _UNTESTED[self.speeds]
        low, high = duration_text(self.low_seconds), duration_text(self.high_seconds)
        return f"{line}; range {low} to {high}, from the errors of the last {self.past_runs} estimates on this machine"
