"""Progress bars, the table of epochs and events, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from headstart.apps.cli.text.printing import shows_bars, visible, visible_name
from headstart.plan.plan import Phase
from headstart.runs.event import Event
from headstart.runs.events import Computing, HeadSelected
from headstart.runs.observers import Observer
from headstart.runs.training_events import EpochDone, PhaseDone, PhaseStarted, RuntimeEstimate

_EPOCH_ROW = (
    "{phase:<16} {epoch:>5} {train:>10} {validation:>8} {accuracy:>7} {head:>8} {backbone:>16} {movement:>8} "
    "{seconds:>7}  {mark}"
)
_WORTH_SAYING = 1.5
"""A later estimate is shown if it differs from the one before by more than this factor."""


def _stderr() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """One line on stderr."""
    _stderr().print(f"warning: {visible_name(text)}", markup=False)


def progress() -> Callable[[str, int], Callable[[int], object]]:
    """A bar for each piece of work with a known number of images, where stderr is a terminal."""
    watcher = TrainingConsole()
    return watcher.progress


@contextmanager
def training() -> Iterator[TrainingConsole]:
    """Bars and the per-epoch table while the block runs."""
    watcher = TrainingConsole()
    try:
        yield watcher
    finally:
        watcher.close()


class TrainingConsole(Observer):
    """Shows a run as it goes on."""

    def __init__(self) -> None:
        self._console = _stderr()
        self._bar: Progress | None = None
        self._task: Any = None
        self._header_shown = False
        self._budget: str | None = None
        self._solving = False

    def progress(self, what: str, total: int) -> Callable[[int], object]:
        """Start a bar; the function that is returned advances it."""
        self.work_started(what, total)
        return self.work_done

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def work_started(self, what: str, total: int) -> None:
        """A new bar in place of the last."""
        self.close()
        if not shows_bars(self._console):
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("images"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(what, total=total)

    def work_done(self, count: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.advance(self._task, count)
            if self._bar.finished:
                self.close()
                if self._solving:  # what follows has no count, and a bar that stands still tells nothing
                    self._computing("fitting the linear probe: cross-validation of its L2 penalty")

    def _computing(self, what: str, *, step: int | None = None, steps: int | None = None) -> None:
        """The name of what is computed, with a bar of the steps that are done, or a moving one without an end."""
        self.close()
        if self._console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),  # a step may take long: it shows that work goes on
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(what, total=steps, completed=0 if step is None else step - 1)

    def phase_started(self, index: int, phase: Phase) -> None:
        """Its name, and what it does."""
        self._solving = phase.kind == "linear_probe"
        self.noted(PhaseStarted.of(index, phase))

    def epoch_done(self, row: EpochDone) -> None:
        """One line of the table."""
        if not self._header_shown:
            self._header_shown = True
            self.say(
                _EPOCH_ROW.format(
                    phase="phase",
                    epoch="epoch",
                    train="train loss",
                    validation="val loss",
                    accuracy="val acc",
                    head="head lr",
                    backbone="backbone lr",
                    movement="movement",
                    seconds="seconds",
                    mark="",
                )
            )
        rates = list(row.lr.values())
        self.say(
            _EPOCH_ROW.format(
                phase=row.phase,
                epoch=row.epoch,
                train="-" if row.train_loss is None else f"{row.train_loss:.4f}",
                validation=f"{row.validation_loss:.4f}",
                accuracy=f"{row.validation_accuracy:.4f}",
                head=f"{rates[-1]:.1e}" if rates else "probe",
                backbone=_span(rates[:-1]),
                movement="-" if row.movement is None else f"{row.movement:.1%}",
                seconds=f"{row.seconds:.1f}",
                mark="best" if row.improved else "",
            )
        )

    def phase_done(self, row: PhaseDone) -> None:
        """Why it ended."""
        self._solving = False
        self.close()
        self.noted(row)

    def noted(self, event: Event) -> None:
        """Its sentence in a line; a moving bar for a computation without a count."""
        if isinstance(event, Computing) and self._console.is_terminal:
            self._computing(event.what, step=event.step, steps=event.steps)
        elif isinstance(event, RuntimeEstimate):
            self._show_estimate(event)
        elif not isinstance(event, HeadSelected):  # of that one, the line that ends its phase says the same
            self.say(event.sentence() if event.urgency == "info" else f"{event.urgency}: {event.sentence()}")

    def _show_estimate(self, estimate: RuntimeEstimate) -> None:
        """The first one; a later one if it says something else, of the time or of the budget."""
        before, total = estimate.previous_total_seconds, estimate.total_seconds
        same = before is not None and max(before, total) <= _WORTH_SAYING * min(before, total)
        if same and bool(estimate.budget) == bool(self._budget):
            return
        self._budget = estimate.budget
        self.say(estimate.sentence())
        if self._budget:
            self.say(f"note: {self._budget}")

    def say(self, text: str) -> None:
        """One line, above the bar."""
        self._console.print(visible(text), markup=False)


def _span(rates: Sequence[float]) -> str:
    if not rates:
        return "frozen"
    low, high = min(rates), max(rates)
    return f"{low:.1e}" if low == high else f"{low:.1e}..{high:.1e}"
