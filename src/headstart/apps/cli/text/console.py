"""What people read: progress and tables on stderr, answers as text on stdout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from headstart.amounts import bytes_text, count_text, duration_text
from headstart.apps.cli.text.printing import shows_bars, visible, visible_name
from headstart.plan.plan import Phase
from headstart.runs.observers import Observer

if TYPE_CHECKING:
    pass

_EPOCH_ROW = (
    "{phase:<16} {epoch:>5} {train:>10} {select:>11} {accuracy:>10} {head:>9} {backbone:>18} {seconds:>8}  {mark}"
)

_UNTESTED = {
    "measured": " (not tested yet: too few runs here have shown how right such figures are)",
    "related": " (from other networks or a quick benchmark; too few runs here have shown how right such figures are)",
    "guessed": " (a rough guess: nothing ran on this machine yet)",
}
"""What to say of an estimate by where its figures come from, until runs on this machine have tested some."""
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
        """Start a bar; the answer moves it on."""
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

    def _computing(self, what: str) -> None:
        """A moving bar without an end, and the name of what is computed."""
        self.close()
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(what, total=None)

    def phase_started(self, index: int, phase: Phase) -> None:
        """Its name, and what it does."""
        self._solving = phase.kind == "linear_probe"
        what = "solve the head" if phase.kind == "linear_probe" else f"train up to {phase.epochs} epochs"
        self.say(f"phase {index} {phase.name}: {what}")

    def epoch_done(self, row: Mapping[str, Any]) -> None:
        """One line of the table."""
        if not self._header_shown:
            self._header_shown = True
            self.say(
                _EPOCH_ROW.format(
                    phase="phase",
                    epoch="epoch",
                    train="train loss",
                    select="select loss",
                    accuracy="select acc",
                    head="head rate",
                    backbone="backbone rates",
                    seconds="seconds",
                    mark="",
                )
            )
        rates = list(row["rates"].values())
        self.say(
            _EPOCH_ROW.format(
                phase=row["phase"],
                epoch=row["epoch"],
                train="-" if row["train_loss"] is None else f"{row['train_loss']:.4f}",
                select=f"{row['select_loss']:.4f}",
                accuracy=f"{row['select_accuracy']:.4f}",
                head=f"{rates[-1]:.1e}" if rates else "solved",
                backbone=_span(rates[:-1]),
                seconds=f"{row['seconds']:.1f}",
                mark="best" if row["better"] else "",
            )
        )

    def phase_done(self, row: Mapping[str, Any]) -> None:
        """Why it ended."""
        self._solving = False
        self.close()
        self.say(f"phase {row['name']} ended: {row['ended']}")

    def noted(self, event: str, values: Mapping[str, Any]) -> None:
        """What was chosen and why."""
        if event == "chosen":
            self.say(f"kept {values['weights']}: {values['why']}")
        elif event == "computing":
            self._computing(values["what"])
        elif event == "resumed":
            self.say(f"going on at phase {values['phase']}, after epoch {values['epoch']}")
        elif event == "finding":
            self.say(f"{values['level']}: {values['evidence']}; {values['remedy']}")
        elif event == "advice":
            self.say(f"warning: {values['warning']}")
        elif event == "no_effect":
            self.say(
                f"warning: --{values['option'].replace('_', '-')} has no effect: {values['strategy']} solves its head"
            )
        elif event == "no_jitter":
            self.say(f"warning: channel_jitter has no effect in {values['phase']}: nothing is stored there")
        elif event == "alarm":
            self.say(f"warning: {values['text']}")
        elif event == "weights":
            self.say(_weights_line(values))
        elif event == "stored":
            views = "1 view" if values["views"] == 1 else f"{values['views']} views"
            self.say(f"stored: {views} of each image before {values['border']} ({values['engine']}); the rest is run")
        elif event == "strength_sample":
            self.say(f"note: the head's strength was chosen on a sample of {values['images']:,} of {values['of']:,}")
        elif event == "not_stored":
            self.say(f"note: not stored, so everything is run in every epoch: {values['why']}")
        elif event == "engine":
            self.say(f"note: {values['why']}")
        elif event == "estimates":
            self._show_estimates(values)
        elif event == "cost":
            self.say(
                f"{values['phase']}: activations of the frozen prefix are {values['activations']}: {values['why']}"
            )
        elif event == "rates_found":
            self.say(_found_rates_line(values))
        elif event == "tracking":
            self.say(f"tracked by {values['tracker']} in {values['where']}")
        elif event == "tracker_stopped":
            self.say(f"warning: {values['tracker']} is given up, training goes on: {values['why']} ({values['where']})")
        elif event == "stopping":
            self.say(values["how"])
        elif event == "stopped":
            self.say(f"stopping ({values['reason']}); everything is saved")

    def _show_estimates(self, values: Mapping[str, Any]) -> None:
        """The first one; a later one if it says something else, of the time or of the budget."""
        before, total = values.get("previous_total_seconds"), values["total_seconds"]
        same = before is not None and max(before, total) <= _WORTH_SAYING * min(before, total)
        if same and bool(values["budget"]) == bool(self._budget):
            return
        self._budget = values["budget"]
        self.say(_estimate_line(values))
        if self._budget:
            self.say(f"note: {self._budget}")

    def say(self, text: str) -> None:
        """One line, above the bar."""
        self._console.print(visible(text), markup=False)


def _estimate_line(values: Mapping[str, Any]) -> str:
    """`estimate: probe 6 s, tune 2 min 10 s (frozen part 40 s once, 10 epochs of 9 s), end 3 s; 120 MB stored`."""
    said = []
    for phase in values["phases"]:
        text = f"{phase['name']} {duration_text(phase['seconds'])}"
        if phase["epochs"]:
            search = phase.get("search_seconds") or 0.0
            once = f"rate search {duration_text(search)}, " if search else ""
            if phase["cut_point"]:
                once += f"frozen part {duration_text(phase['once_seconds'] - search)} once, "
            text += f" ({once}{count_text(phase['epochs'], 'epoch')} of {duration_text(phase['epoch_seconds'])})"
        said.append(text)
    line = f"estimate: {', '.join(said)}; {duration_text(values['total_seconds'])} in total"
    if (skipped := values.get("without_tuning_seconds")) is not None:
        line += f", or {duration_text(skipped)} if tuning cannot improve on the linear probe"
    if before := values.get("previous_total_seconds"):
        line = f"now {line}, not {duration_text(before)}"
    if values["stored_bytes"]:
        line += f"; {bytes_text(values['stored_bytes'])} stored"
    line += f"; {bytes_text(values['memory_bytes'])} of memory"
    if not (runs := values.get("past_runs")):
        return line + _UNTESTED[values["speeds"]]
    low, high = duration_text(values["low_seconds"]), duration_text(values["high_seconds"])
    return f"{line}; by the errors of the last {runs} estimates on this machine it is {low} to {high}"


def _found_rates_line(values: Mapping[str, Any]) -> str:
    """`tune: rates searched in 12 s: head 0.003 -> 0.0012 (x0.4), backbone 0.0003 stays: the loss does not ...`."""
    said = []
    for test in values["tests"]:
        what, factor = test["varied"], test["factor"]
        planned = _spread([values["planned"][name] for name in test["groups"]])
        found = _spread([values["rates"][name] for name in test["groups"]])
        way = f"-> {found} (x{factor:g})" if factor else f"stays: {test['why']}"
        said.append(f"{what} {planned} {way}")
    return f"{values['phase']}: rates searched in {duration_text(values['seconds'])}: {', '.join(said)}"


def _spread(rates: Sequence[float]) -> str:
    low, high = min(rates), max(rates)
    return f"{high:.3g}" if low == high else f"{low:.3g}..{high:.3g}"


def _weights_line(values: Mapping[str, Any]) -> str:
    """What a file of the user's brought: counts, and the first names of what it lacked or had besides."""
    line = f"weights: {values['loaded']} tensors of {values['source']}; its head: {values['head']}, a new one is made"
    for what in ("missing", "unexpected"):
        if names := values[what]:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            line += f"; {what}: {', '.join(names[:3])}{more}"
    return line


def _span(rates: Sequence[float]) -> str:
    if not rates:
        return "frozen"
    low, high = min(rates), max(rates)
    return f"{low:.1e}" if low == high else f"{low:.1e}..{high:.1e}"
