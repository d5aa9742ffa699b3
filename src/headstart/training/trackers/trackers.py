"""Trackers: observers that write a run into TensorBoard or MLflow too.

    --track tensorboard, --track mlflow:URI -> Tracker -> a sink for each place

The step is the number of the epoch, counted over all phases; a linear probe is one epoch. It never repeats and never
goes back: a resume finds out from the run's own events which number an epoch has, and from the place which steps lie
there already. Figures and sentences are written, never images or weights.

A place that fails is given up with one warning, and training goes on.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from headstart.errors import DiskFullError, HeadstartError, Interrupted, nearest, require
from headstart.files import write_json
from headstart.plan.plan import Phase
from headstart.runs.event import Event
from headstart.runs.events import Tracking
from headstart.runs.folder import Run
from headstart.runs.observers import Observer
from headstart.runs.run_metrics import RunMetrics
from headstart.runs.settings import flat
from headstart.runs.training_events import EpochDone, PhaseDone, PhaseStarted
from headstart.runs.warnings import TrackerStopped
from headstart.training.trackers.sinks import Mlflow, Sink, Status, TensorBoard, mlflow_settings

TrackerName = Literal["tensorboard", "mlflow"]

SINKS: dict[TrackerName, type[TensorBoard] | type[Mlflow]] = {"tensorboard": TensorBoard, "mlflow": Mlflow}
"""All trackers."""

_MEMORY = "trackers.json"
_SCHEMA = 1
_MARKER = "validation_loss"
"""Every epoch has it, so the last step of this one is the last step of all."""
_REPORTED = "test/accuracy"
_DATABASE = re.compile(r".+\.(db|sqlite3?)")


@dataclass(frozen=True)
class TrackerChoice:
    """One requested tracker."""

    name: TrackerName
    where: str | None = None
    """Folder or URI; None is the default next to the run."""
    memory: Mapping[str, Any] | None = None
    """`Sink.memory` of the process that began."""

    @classmethod
    def parse(cls, text: str) -> TrackerChoice:
        """`tensorboard`, `tensorboard:FOLDER`, `mlflow`, `mlflow:URI` or `mlflow:FILE.db`.

        Raises:
            HeadstartError: no such tracker, or no place of its kind.
        """
        name, colon, where = text.strip().partition(":")
        if name not in SINKS:
            hint = nearest(name, SINKS)
            raise HeadstartError(
                f"--track {text!r} is no tracker",
                expected="tensorboard, tensorboard:FOLDER, mlflow, mlflow:FILE.db or mlflow:URI",
                remedy=hint,
            )
        known = next(each for each in get_args(TrackerName) if each == name)
        if colon and not where:
            raise HeadstartError(f"--track {text!r} names no place behind the colon", remedy=f"--track {name} has one")
        if not colon:
            return cls(known)
        return cls(known, str(Path(where).absolute()) if known == "tensorboard" else _store_uri(where))

    def sink(self, run_folder: Path) -> Sink:
        """The sink that writes there; nothing is opened yet."""
        return SINKS[self.name](run_folder, self.where, self.memory)


def _store_uri(where: str) -> str:
    """A URI as it is, but for files of SQLite, which must be found again from another working folder."""
    if found := re.fullmatch(r"sqlite:///([^/?].*)", where):
        return f"sqlite:///{Path(found[1]).absolute()}"
    if re.match(r"https?://[^/@]*:[^/@]*@", where):
        raise HeadstartError(
            "--track mlflow: the URI holds a password, which would be written into the run folder",
            remedy="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead",
        )
    if "://" in where or where == "databricks":
        return where
    if _DATABASE.fullmatch(where):
        return f"sqlite:///{Path(where).absolute()}"
    raise HeadstartError(
        f"--track mlflow:{where} is no store of MLflow",
        expected="a file that ends in .db, or a URI such as sqlite:///runs/mlflow.db or http://host:5000",
    )


def chosen_trackers(track: Iterable[str]) -> tuple[TrackerChoice, ...]:
    """The requested trackers, each once, with their libraries installed.

    Raises:
        HeadstartError: no such tracker.
        MissingExtraError: its library is not installed.
    """
    choices = tuple(dict.fromkeys(TrackerChoice.parse(text) for text in track))
    _require(choices)
    return choices


def remembered_trackers(run: Run) -> tuple[TrackerChoice, ...]:
    """Those the run began with; a file that cannot be read counts as none, since a run needs no tracker.

    Raises:
        MissingExtraError: the library of one is not installed.
    """
    choices: tuple[TrackerChoice, ...] = ()
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        saved = json.loads((run.folder / _MEMORY).read_text(encoding="utf-8"))["trackers"]
        choices = tuple(
            TrackerChoice(one["name"], one["where"], one["memory"]) for one in saved if one["name"] in SINKS
        )
    _require(choices)
    return choices


def _require(choices: Sequence[TrackerChoice]) -> None:
    for choice in choices:
        with mlflow_settings():
            for module in SINKS[choice.name].modules:
                require(module, extra="track")


class Tracker(Observer):
    """Watches one run and writes it to every chosen place; a context, whose end says how the run ended."""

    def __init__(
        self, run: Run, choices: Sequence[TrackerChoice], *, parameters: Mapping[str, Any], tell: Observer
    ) -> None:
        """Open nothing yet.

        Args:
            run: The run.
            choices: Empty: nothing is written.
            parameters: Values of the plan, nested or flat.
            tell: Receives `tracking` for each place, and `tracker_stopped` for one that fails.
        """
        self._run, self._choices, self._parameters, self._tell = run, tuple(choices), parameters, tell
        self._open: list[tuple[TrackerChoice, Sink]] = []
        self._steps: dict[tuple[str, int], int] = {}
        self._phase, self._texts = 0, dict[str, str]()
        self._report: RunMetrics | None = None

    def phase_started(self, index: int, phase: Phase) -> None:
        """Its marker goes with its first epoch."""
        self._phase = index
        if not any(name == phase.name for name, _ in self._steps):
            self._mark("phases", PhaseStarted.of(index, phase).sentence())

    def epoch_done(self, row: EpochDone) -> None:
        """Losses, accuracy, seconds and the learning rate of every layer group."""
        scalars = {
            "train_loss": row.train_loss,
            "validation_loss": row.validation_loss,
            "validation_accuracy": row.validation_accuracy,
            "seconds": row.seconds,
            "phase": self._phase,
            **{f"lr/{group}": rate for group, rate in row.lr.items()},
        }
        self._write(self._step_of(row), {tag: value for tag, value in scalars.items() if value is not None})

    def phase_done(self, row: PhaseDone) -> None:
        """Why it ended goes with the next epoch, or with the end."""
        self._mark("phases", row.sentence())

    def noted(self, event: Event) -> None:
        """Sentences go with the next epoch, or with the end."""
        self._mark("events" if event.urgency == "info" else "warnings", event.sentence())

    def report(self, metrics: RunMetrics) -> None:
        """Take in the result of the run, which is written when it ends.

        Args:
            metrics: Of the run.
        """
        self._report = metrics

    def __enter__(self) -> Self:
        """Open every place."""
        if not self._choices:
            return self
        for line in self._run.events():
            if isinstance(line.event, EpochDone):
                self._step_of(line.event)
        self._open = [(choice, choice.sink(self._run.folder)) for choice in self._choices]
        every = tuple(self._open)
        self._remember(every)  # before a place knows the run: whoever goes on must find it there
        counts = {f"images.{role}": counts.images for role, counts in self._run.data().roles.items()}
        values = flat({**self._parameters, **counts})
        self._each(lambda sink: sink.open(values))
        self._remember(every)
        for choice, sink in self._open:
            self._tell.noted(Tracking(choice.name, sink.place))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._open:
            return
        status: Status = "finished" if kind is None else "failed"
        if kind is not None and issubclass(kind, (Interrupted, KeyboardInterrupt)):
            status = "interrupted"
        if kind is not None and status == "failed":
            self._mark("failed", f"{kind.__name__}: {error}")
        self._write_report()
        self._each(lambda sink: sink.close(self._last_step, status))
        self._open = []

    @property
    def _last_step(self) -> int:
        return max(0, len(self._steps) - 1)

    def _step_of(self, row: EpochDone) -> int:
        """The same epoch has the same number, also when it is trained again after a crash."""
        return self._steps.setdefault((row.phase, row.epoch), len(self._steps))

    def _mark(self, tag: str, text: str) -> None:
        self._texts[tag] = f"{self._texts[tag]}\n\n{text}" if tag in self._texts else text

    def _write(self, step: int, scalars: Mapping[str, float], *, marker: str = _MARKER) -> None:
        """To every place that does not have this step of `marker`."""
        texts, self._texts = self._texts, {}

        def write(sink: Sink) -> None:
            last = sink.last_step(marker) if scalars else None
            if last is None or last < step:
                sink.write(step, scalars, texts)

        self._each(write)

    def _write_report(self) -> None:
        """The figures of the test images, and how each phase ended."""
        if self._report is None:
            if self._texts:
                self._write(self._last_step, {})
            return
        test = self._report.test
        low, high = test.accuracy_interval
        scalars: dict[str, float] = {
            "test/accuracy": test.accuracy,
            "test/balanced_accuracy": test.balanced_accuracy,
            **({} if test.macro_f1 is None else {"test/macro_f1": test.macro_f1}),
            "test/log_loss": test.log_loss,
            "test/images": test.images,
            "test/accuracy_low": low,
            "test/accuracy_high": high,
            "total_seconds": self._report.total_seconds,
        }
        if self._report.stopped:
            self._mark("ended", f"stopped by the {self._report.stopped}")
        selected = self._report.selected
        self._mark("selected", f"{selected.checkpoint}: {selected.reason}")
        self._write(self._last_step, scalars, marker=_REPORTED)

    def _each(self, act: Callable[[Sink], object]) -> None:
        """Let every place do it; one that fails, in whatever way, is given up."""
        for entry in tuple(self._open):
            choice, sink = entry
            try:
                act(sink)
            except Exception as error:  # whatever a server, a disk or a library comes up with
                self._open.remove(entry)
                why = f"{type(error).__name__}: {str(error).strip()}".splitlines()[0][:160]
                with contextlib.suppress(DiskFullError):  # the run itself will find that out
                    self._tell.noted(TrackerStopped(choice.name, sink.place, why))

    def _remember(self, every: Sequence[tuple[TrackerChoice, Sink]]) -> None:
        """Save it for a resume; where that fails, the run goes on and its resume has no tracker."""
        saved = [{"name": choice.name, "where": choice.where, "memory": sink.memory} for choice, sink in every]
        with contextlib.suppress(OSError, DiskFullError):
            write_json(self._run.folder / _MEMORY, {"schema_version": _SCHEMA, "trackers": saved})
