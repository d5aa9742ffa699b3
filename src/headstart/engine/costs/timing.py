"""The timing observer of a run: measured time of each phase next to its estimate, and speeds for the next estimate.

It reads the spans that the loop marks, and the meter of views and stored rows; progress bars teach it nothing. Every
phase that ends is remembered at once, so that a run that is killed has taught something too.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from headstart.data.meter import MeterReading
from headstart.engine.costs.memory import remember
from headstart.engine.costs.network import PIXELS
from headstart.engine.costs.run_estimate import RunEstimates
from headstart.engine.costs.speeds import frozen_span, learn_speed, steps_span, validation_span, view_figure
from headstart.engine.prefix.onnx_session import engines_folder
from headstart.engine.store.index import POOLED
from headstart.files import stored_paths
from headstart.plan.plan import Phase, TrainPhase
from headstart.runs.event import Event
from headstart.runs.events import ActivationsCached, PrefixComputed, RunStopped
from headstart.runs.observers import ALL_EPOCHS, Observer, SpanKind
from headstart.runs.run_metrics import MeasuredEstimate, MeasuredPhase
from headstart.runs.training_events import EpochDone, PhaseDone, RuntimeEstimate
from headstart.runs.warnings import Diverged

FEWEST_IMAGES = 16
"""A span of fewer images says little of the next."""
_LEAST_SHARE = 0.1
"""Of the MACs: a part with fewer says nothing of the network's speed."""
_LEAST_BYTES = 10**7
"""Reading less says nothing of the store's speed."""


class _Mark(NamedTuple):
    """A moment of a span."""

    at: float
    meter: MeterReading


@dataclass
class _Span:
    """Marks of one span and readings of the meter; `first` and `last` are those of its advances."""

    kind: SpanKind
    began: _Mark
    first: _Mark | None = None
    """When the first images were done: everything was set up by then."""
    last: _Mark | None = None
    images: int = 0

    @property
    def seconds(self) -> float:
        """Seconds until its last advance."""
        return self.last.at - self.began.at if self.last else 0.0


class TimingObserver(Observer):
    """Watches one run; `comparison` puts the measured times next to the first estimates."""

    def __init__(self, estimates: RunEstimates, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock.

        Args:
            estimates: Of the run; learn what is measured.
            clock: Seconds that only grow.
        """
        self.estimates = estimates
        self._clock = clock
        self._announced: RuntimeEstimate | None = None
        self._measured: dict[str, float] = {}
        self._ended = clock()
        self._ended_early = False
        """Whether anything was left out, so that the total cannot be compared with its estimate."""
        self._skipped = False
        self._begin_phase(None)

    def noted(self, event: Event) -> None:
        """Estimates, cut points and engines of a phase, and whether anything is left out."""
        if isinstance(event, RuntimeEstimate):
            if self._announced is None:  # later ones know more, but the first is what was promised
                self._announced, self._ended = event, self._clock()
            self._announced = replace(self._announced, budget=event.budget)
        elif isinstance(event, ActivationsCached):
            self._start = event.cut_point
            share = self.estimates.facts.share_before(self._start)
            self._learn_frozen("frozen_part", self._start, share, event.engine)
        elif isinstance(event, PrefixComputed):
            self._engine = event.engine or ""
        elif isinstance(event, RunStopped | Diverged):
            self._ended_early = True

    def phase_started(self, index: int, phase: Phase) -> None:
        """Its clock starts."""
        self._begin_phase(phase)

    def _begin_phase(self, phase: Phase | None) -> None:
        self._phase, self._began = phase, self._clock()
        self._spans, self._start, self._engine, self._exports = list[_Span](), PIXELS, "", _exports()
        self._epochs: dict[SpanKind, list[float]] = {"training_steps": [], "validation_pass": []}
        self._gaps = list[float]()
        self._epoch_ended: float | None = None

    def span_started(self, kind: SpanKind) -> None:
        """Its clock starts; between two epochs there was nothing else to measure."""
        now = self._now()
        if self._epoch_ended is not None:
            self._gaps.append(now.at - self._epoch_ended)
            self._epoch_ended = None
        self._spans.append(_Span(kind, now))

    def span_advanced(self, images: int) -> None:
        """Count images of the span."""
        span = self._spans[-1]
        span.last = self._now()
        span.first = span.first or span.last
        span.images += images

    def span_ended(self, kind: SpanKind) -> None:
        """Seconds an image of training steps or a validation pass, without making or reading what they compute on."""
        span, now = self._spans[-1], self._now()
        if kind in self._epochs and span.images >= FEWEST_IMAGES:
            read = now.meter.read_seconds - span.began.meter.read_seconds
            seconds = now.at - span.began.at - self._view_seconds(span.began.meter, now.meter) - read
            self._epochs[kind].append(max(0.0, seconds) / span.images)

    def epoch_done(self, row: EpochDone) -> None:
        """An epoch of steps and its validation pass, or a fitted linear probe."""
        now, estimates = self._clock(), self.estimates
        if isinstance(self._phase, TrainPhase):
            self._epoch_ended = now
        elif self._phase is not None and row.phase == self._phase.name:  # not a second head on the same features
            self._learn_frozen("features", POOLED, 1.0, self._engine)
            numbers = estimates.counts.train * estimates.facts.features * max(estimates.counts.classes, 2)
            self._learn_head(numbers, now - self._began - self._in_spans())

    def phase_done(self, row: PhaseDone) -> None:
        """Its measured time goes next to its estimate, and its speeds are remembered."""
        now = self._clock()
        if self._phase is not None and row.name == self._phase.name:
            self._measured[row.name] = now - self._began
            if isinstance(self._phase, TrainPhase):
                self._learn_epochs(self._phase)
                self._ended_early |= row.ended != ALL_EPOCHS
            self._learn_meter()
            remember(self.estimates.machine, self.estimates.known)
        else:
            self._measured.setdefault(row.name, 0.0)
            self._skipped = True
        self._begin_phase(None)
        self._ended = now

    def comparison(self) -> MeasuredEstimate | None:
        """The first estimates next to the measured times, of this process; call when the run has ended.

        None where nothing was estimated, because nothing was left to do.
        """
        now, known = self._clock(), self.estimates.known
        total = now - self.estimates.started
        if self._phase is not None:  # stopped in the middle of it
            self._measured[self._phase.name] = now - self._began
        else:
            self._measured["end"] = now - self._ended
            known.learn("end_seconds", now - self._ended - self._in_spans())
            first = self._announced
            if first is not None and not self._ended_early:
                estimated = first.without_tuning_seconds if self._skipped else first.total_seconds
                if estimated is not None:
                    known.learn_estimate(first.speeds, estimated=estimated, measured=total)
            remember(self.estimates.machine, known)
        if self._announced is None:
            return None
        phases = [
            MeasuredPhase(**vars(phase), measured_seconds=None if seconds is None else round(seconds, 3))
            for phase in self._announced.phases
            for seconds in [self._measured.get(phase.name)]
        ]
        announced = vars(self._announced) | {"phases": tuple(phases)}
        return MeasuredEstimate(**announced, measured_seconds=round(total, 3))

    def _learn_frozen(self, kind: SpanKind, cut_point: str, share: float, engine: str) -> None:
        """Seconds an image of a frozen part, without views, from all spans of a kind; and of its engine's set-up."""
        known = self.estimates.known
        for number, span in enumerate(one for one in self._spans if one.kind == kind):
            if span.first is None or span.last is None or engine not in ("torch", "onnxruntime"):
                continue
            before, after = span.first.meter, span.last.meter
            made = sum(after.views[view] - before.views[view] for view in after.views)
            if made < FEWEST_IMAGES:
                continue
            if engine == "onnxruntime" and number == 0:  # later ones find it ready
                was_exported = bool(_exports() - self._exports)
                known.learn("setup_seconds" if was_exported else "reload_seconds", span.first.at - span.began.at)
            each = (span.last.at - span.first.at - self._view_seconds(before, after)) / made
            self._learn_span(frozen_span(cut_point, engine), engine, share, each)

    def _learn_span(self, name: str, speed: str, share: float, each: float) -> None:
        """Seconds an image of a span, and the speed that follows from its share of the MACs."""
        known, facts = self.estimates.known, self.estimates.facts
        known.learn(name, each, network=facts.name)
        if share >= _LEAST_SHARE and each > 0:
            learn_speed(known, speed, share * facts.gmacs / each, facts)

    def _learn_epochs(self, phase: TrainPhase) -> None:
        """The median epoch: the first one warms up, any may be disturbed."""
        known, facts, start = self.estimates.known, self.estimates.facts, self._start
        first = next(name for name in facts.groups if name in phase.lr_by_group)
        if self._gaps:
            known.learn("epoch_seconds", statistics.median(self._gaps))
        if validation := self._epochs["validation_pass"]:
            behind = 1.0 - facts.share_before(start)
            self._learn_span(validation_span(start), "forward", behind, statistics.median(validation))
        if not self._epochs["training_steps"]:
            return
        each = statistics.median(self._epochs["training_steps"])
        known.learn(steps_span(start, first), each, network=facts.name)
        trained = 1.0 - facts.share_before(first)
        frozen = facts.share_before(first) - facts.share_before(start)
        of_trained = each - frozen * facts.gmacs / self.estimates.speeds().forward
        if trained >= _LEAST_SHARE and of_trained > 0:
            learn_speed(known, "training", trained * facts.gmacs / of_trained, facts)
        elif trained < _LEAST_SHARE and frozen < _LEAST_SHARE:
            known.learn("step_seconds", each * min(self.estimates.batch_size, self.estimates.counts.train))

    def _learn_head(self, numbers: int, seconds: float) -> None:
        """Learn the seconds of any head from few numbers, the speed of the fit from many."""
        speeds, known = self.estimates.speeds(), self.estimates.known
        by_numbers = numbers / speeds.head
        if by_numbers < speeds.head_seconds:
            known.learn("head_seconds", seconds - by_numbers)
        else:
            known.learn("head", numbers / max(seconds - speeds.head_seconds, seconds / 2, 1e-9))

    def _learn_meter(self) -> None:
        meter, estimates = self.estimates.images.meter.reading(), self.estimates
        for kind, views in meter.views.items():
            if views >= FEWEST_IMAGES:
                name = view_figure(kind, pixels=estimates.images.pixels)
                estimates.known.learn(name, meter.view_seconds[kind] / views)
        if meter.read_bytes >= _LEAST_BYTES:
            estimates.known.learn("store", meter.read_bytes / max(meter.read_seconds, 1e-9))

    def _now(self) -> _Mark:
        return _Mark(self._clock(), self.estimates.images.meter.reading())

    def _in_spans(self) -> float:
        """Seconds of the spans since the phase began or the last one ended."""
        return sum(span.seconds for span in self._spans)

    def _view_seconds(self, before: MeterReading, after: MeterReading) -> float:
        """Of wall clock, with all cores at it; none where another device computes meanwhile."""
        speeds = self.estimates.speeds()
        if speeds.decoding == "in_parallel":
            return 0.0
        return sum(after.view_seconds[kind] - before.view_seconds[kind] for kind in after.views) / speeds.cores


def _exports() -> frozenset[tuple[str, int]]:
    """Exported networks that are kept, by name and file: using one leaves its file, making it gives another."""
    found = set()
    for path in stored_paths(engines_folder(), "*.onnx"):
        with contextlib.suppress(FileNotFoundError):  # another process let go of it
            found.add((path.name, path.stat().st_ino))
    return frozenset(found)
