"""Keeps the account of a run: what each phase took beside its forecast, and from it what the next forecast knows.

It only watches: from the moments that observers are told, and from what views and stored rows took, it takes apart
where the time went. Every phase that ends is taken in under $HEADSTART_HOME, so that a run that is killed has taught
something too.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.data.meter import Amounts, ViewKind
from headstart.engine.costs.forecast import Costs
from headstart.engine.costs.memory import remember
from headstart.engine.costs.terms import PIXELS, frozen_stretch, judging_stretch, steps_stretch
from headstart.engine.prefix.onnx_engine import engines_folder
from headstart.engine.store.index import POOLED
from headstart.files import kept_paths
from headstart.plan.plan import Phase, ProbePhase, TrainPhase
from headstart.runs.observers import ALL_EPOCHS, Observer

FEWEST_IMAGES = 16
"""A stretch of fewer images says little of the next."""
_LEAST_SHARE = 0.1
"""Of the arithmetic: what lies behind a later border says nothing of its rate."""
_LEAST_BYTES = 10**7
"""Reading less says nothing of the store's rate."""
_VIEW_KINDS: tuple[ViewKind, ...] = ("plain", "varied")


def phase_row(
    phase: ProbePhase | TrainPhase, rows: Sequence[Mapping[str, Any]], *, head: str, reason: str
) -> dict[str, Any]:
    """What was trained, at which peak rates, for how long, and why it ended.

    Args:
        phase: Which one.
        rows: Of all epochs of the run.
        head: Name of the last layer group.
        reason: Why it ended.
    """
    mine = [row for row in rows if row["phase"] == phase.name]
    rates = phase.lr_by_group if isinstance(phase, TrainPhase) else {}
    return {
        "name": phase.name,
        "kind": phase.kind,
        "trained": list(rates) or [head],
        "learning_rates": rates,
        "batch_norm": phase.batch_norm if isinstance(phase, TrainPhase) else "pretrained_statistics",
        "schedule": phase.schedule.name if isinstance(phase, TrainPhase) else None,
        "epochs_run": len(mine) if phase.kind == "train" else 0,
        "select_accuracy": max((r["select_accuracy"] for r in mine), default=None),
        "seconds": sum(r["seconds"] for r in mine),
        "ended": reason,
    }


@dataclass
class _Work:
    """Something with a known number of images, from its beginning to the last that was told of it."""

    began: float
    spent_began: Amounts
    first: float | None = None
    """When the first images were told: everything was set up by then."""
    last: float = 0.0
    first_images: int = 0
    images: int = 0
    spent_first: Amounts | None = None
    spent_last: Amounts | None = None


class Ledger(Observer):
    """Watches one run. `comparison` says in the end how right the forecast was."""

    def __init__(self, costs: Costs, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the account.

        Args:
            costs: Of the run; learns what is measured.
            clock: Seconds that only grow.
        """
        self.costs = costs
        self._clock = clock
        self._forecast: Mapping[str, Any] = {}
        self._took: dict[str, float] = {}
        self._phase: Phase | None = None
        self._began = self._ended = clock()
        self._work: list[_Work] = []
        self._start, self._engine = PIXELS, ""
        self._exports = _exports()
        self._ended_early = False
        """Whether anything was left out, so that the estimate of the whole cannot be compared with what it took."""
        self._skipped = False
        self._steps: list[float] = []
        self._judging: list[float] = []
        self._gaps: list[float] = []
        self._epoch_ended: float | None = None

    def noted(self, event: str, values: Mapping[str, Any]) -> None:
        """The forecast, and which way a phase took."""
        if event == "forecast":
            if not self._forecast:  # later ones know more, but the first is what was promised
                self._forecast, self._ended = values, self._clock()
            self._forecast = {**self._forecast, "budget": values["budget"]}
        elif event == "stored":
            self._start = values["border"]
            self._filled(values["border"], values["engine"])
        elif event == "computed_by":
            self._engine = values["engine"]
        elif event in ("stopped", "diverged"):
            self._ended_early = True

    def phase_started(self, index: int, phase: Phase) -> None:
        """Its clock starts."""
        self._phase, self._began = phase, self._clock()
        self._work, self._start, self._engine, self._exports = [], PIXELS, "", _exports()
        self._steps, self._judging, self._gaps, self._epoch_ended = [], [], [], None

    def work_started(self, what: str, total: int) -> None:
        """What was before has ended."""
        now = self._clock()
        if self._epoch_ended is not None:
            self._gaps.append(now - self._epoch_ended)
            self._epoch_ended = None
        self._work.append(_Work(now, self.costs.images.spent.so_far(), last=now))

    def work_done(self, count: int) -> None:
        """Some images further."""
        if not self._work:
            return
        work, now, spent = self._work[-1], self._clock(), self.costs.images.spent.so_far()
        if work.first is None:
            work.first, work.first_images, work.spent_first = now, count, spent
        work.last, work.spent_last = now, spent
        work.images += count

    def epoch_done(self, row: Mapping[str, Any]) -> None:
        """An epoch of steps and judging, or a solved head."""
        now = self._clock()
        if isinstance(self._phase, TrainPhase) and len(self._work) >= 2:
            steps, judging = self._work[-2:]
            told_before = steps.first_images  # of an epoch that goes on
            self._take(self._steps, steps, steps.images - told_before, until=judging.began, spent=judging.spent_began)
            spent = self.costs.images.spent.so_far()
            self._take(self._judging, judging, judging.images, until=now, spent=spent)
            self._work, self._epoch_ended = [], now
        elif self._phase is not None and self._phase.kind == "linear_probe":
            for work in self._work:
                self._computed(work, POOLED, 1.0, self._engine)
            counts = self.costs.counts
            numbers = counts.fit * self.costs.facts.features * max(counts.classes, 2)
            self._learn_solving(numbers, now - self._began - sum(work.last - work.began for work in self._work))

    def phase_done(self, row: Mapping[str, Any]) -> None:
        """What it took goes beside its forecast; what it taught is kept."""
        now = self._clock()
        if self._phase is not None and row["name"] == self._phase.name:
            self._took[row["name"]] = now - self._began
            if isinstance(self._phase, TrainPhase):
                self._learn_epochs(self._phase)
                self._ended_early |= row.get("ended", ALL_EPOCHS) != ALL_EPOCHS
            self._learn_views()
            remember(self.costs.machine, self.costs.known)
            self._phase = None
        else:
            self._took.setdefault(row["name"], 0.0)
            self._skipped = True
        self._ended, self._work = now, []

    def comparison(self) -> dict[str, Any]:
        """The forecast with `took_seconds` beside it, of this process; call when the run has ended."""
        now = self._clock()
        if self._phase is not None:  # stopped in the middle of it
            self._took[self._phase.name] = now - self._began
        else:
            self._took["end"] = now - self._ended
            self.costs.known.learn("end_seconds", now - self._ended - sum(w.last - w.began for w in self._work))
            self._learn_estimate(now - self.costs.started)
            remember(self.costs.machine, self.costs.known)
        phases = [
            {**phase, "took_seconds": round(self._took[phase["name"]], 3) if phase["name"] in self._took else None}
            for phase in self._forecast.get("phases", ())
        ]
        return {**self._forecast, "phases": phases, "took_seconds": round(now - self.costs.started, 3)}

    def _learn_estimate(self, took: float) -> None:
        """How right the first estimate was, where everything was done that it counted."""
        estimated = self._forecast.get("futile_seconds" if self._skipped else "total_seconds")
        if not self._ended_early and estimated is not None:
            self.costs.known.learn_estimate(self._forecast["rates"], estimated=estimated, took=took)

    def _filled(self, border: str, engine: str) -> None:
        """Frozen parts were computed: all work of the phase so far."""
        share = self.costs.facts.share_before(border)
        for work in self._work:
            self._computed(work, border, share, engine)
        self._work = []

    def _computed(self, work: _Work, border: str, share: float, engine: str) -> None:
        """Seconds an image of a frozen part, without the views; and of setting its engine up."""
        if work.first is None or work.spent_first is None or work.spent_last is None:
            return
        made = _views_between(work.spent_first, work.spent_last)
        if made < FEWEST_IMAGES or engine not in ("torch", "onnxruntime"):
            return
        costs, setup = self.costs, work.first - work.began
        if engine == "onnxruntime" and work is self._work[0]:  # later ones find it ready
            costs.known.learn("setup_seconds" if _exports() - self._exports else "reload_seconds", setup)
        each = (work.last - work.first - self._view_seconds(work.spent_first, work.spent_last)) / made
        costs.known.learn_stretch(costs.facts, frozen_stretch(border, engine), each)
        if share >= _LEAST_SHARE and each > 0:
            costs.known.learn(engine, share * costs.facts.gmacs / each, network=costs.facts)

    def _take(self, seconds: list[float], work: _Work, images: int, *, until: float, spent: Amounts) -> None:
        """Seconds an image of steps or judging, without making or reading what they compute on."""
        if images < FEWEST_IMAGES:
            return
        outside = self._view_seconds(work.spent_began, spent) + spent.moved_seconds - work.spent_began.moved_seconds
        seconds.append(max(0.0, until - work.began - outside) / images)

    def _learn_epochs(self, phase: TrainPhase) -> None:
        """The median epoch: the first one warms up, any may be disturbed."""
        costs, facts = self.costs, self.costs.facts
        first = next(name for name in facts.groups if name in phase.lr_by_group)
        behind = 1.0 - facts.share_before(first)
        if self._gaps:
            costs.known.learn("epoch_seconds", statistics.median(self._gaps))
        if self._judging:
            each = statistics.median(self._judging)
            share = 1.0 if self._start == PIXELS else 1.0 - facts.share_before(self._start)
            costs.known.learn_stretch(facts, judging_stretch(self._start), each)
            if share >= _LEAST_SHARE and each > 0:
                costs.known.learn("forward", share * facts.gmacs / each, network=facts)
        if not self._steps:
            return
        each = statistics.median(self._steps)
        costs.known.learn_stretch(facts, steps_stretch(self._start, first), each)
        rests = 1.0 - behind - (0.0 if self._start == PIXELS else facts.share_before(self._start))
        learning = each - rests * facts.gmacs / costs.rates().forward
        if behind >= _LEAST_SHARE and learning > 0:
            costs.known.learn("training", behind * facts.gmacs / learning, network=facts)
        elif behind < _LEAST_SHARE and rests < _LEAST_SHARE:
            costs.known.learn("step_seconds", each * min(costs.batch_size, costs.counts.fit))

    def _learn_solving(self, numbers: int, seconds: float) -> None:
        """Of few numbers the seconds say what any head takes, of many how fast numbers go."""
        rates = self.costs.rates()
        by_numbers = numbers / rates.solved
        if by_numbers < rates.solving_seconds:
            self.costs.known.learn("solving_seconds", seconds - by_numbers)
        else:
            self.costs.known.learn("solved", numbers / max(seconds - rates.solving_seconds, seconds / 2, 1e-9))

    def _learn_views(self) -> None:
        spent, costs = self.costs.images.spent.so_far(), self.costs
        for kind in _VIEW_KINDS:
            if spent.views[kind] >= FEWEST_IMAGES:
                costs.known.learn_view(kind, spent.view_seconds[kind] / spent.views[kind], pixels=costs.images.pixels)
        if spent.moved_bytes >= _LEAST_BYTES:
            costs.known.learn("moved", spent.moved_bytes / max(spent.moved_seconds, 1e-9))

    def _view_seconds(self, before: Amounts, after: Amounts) -> float:
        """Of wall clock, with all cores at it; nothing where another device computes meanwhile."""
        rates = self.costs.rates()
        if rates.decoding == "beside":
            return 0.0
        return sum(after.view_seconds[kind] - before.view_seconds[kind] for kind in _VIEW_KINDS) / rates.cores


def _views_between(before: Amounts, after: Amounts) -> int:
    return sum(after.views[kind] - before.views[kind] for kind in _VIEW_KINDS)


def _exports() -> frozenset[tuple[str, int]]:
    """Exported networks that are kept, by name and file: using one leaves its file, making it gives another."""
    found = set()
    for path in kept_paths(engines_folder(), "*.onnx"):
        with contextlib.suppress(FileNotFoundError):  # another process let go of it
            found.add((path.name, path.stat().st_ino))
    return frozenset(found)
