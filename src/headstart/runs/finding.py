"""All runs under a folder: found by what a run folder holds, read as far as they can be, filtered and sorted.

There is no index of runs: a folder that was moved, copied or deleted by hand is seen as it is. Only small files
are read (the plan, the figures, the end of the events), so that hundreds of runs take well under a second.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from headstart.errors import RunError
from headstart.files import has_file, is_folder
from headstart.runs.folder import Run
from headstart.runs.settings import PlanOutline, raw_plan
from headstart.runs.state import RunState, state_of
from headstart.runs.values import typed

RunSortKey = Literal["date", "accuracy", "seconds"]

DEFAULT_FOLDER = Path("runs")
"""Where `headstart train` makes its folders."""
PRETRAINED_FOLDER = Path("pretrained")
"""Where `headstart pretrain` makes its folders."""
PRETRAIN_FILE = "pretrain.json"
"""File that makes a folder that of a pretraining."""

_DEEPEST = 3
"""Folders below the one that is searched."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run, in a line."""

    run: str
    """Its folder, as it was found."""
    started: str
    """ISO 8601 with the offset of the time zone."""
    data: str
    strategy: str
    model: str
    state: RunState
    why: str
    """Of the state, in words; empty when finished."""
    accuracy: float | None
    """On the test set, 0..1; None before the run has ended once."""
    accuracy_interval: tuple[float, float] | None
    """95 %."""
    images: int | None
    """Of the test set."""
    seconds: float | None
    """Of the process that ended the run, from the command to the result."""
    seed: int
    resume: str | None
    """The command that resumes it; None where nothing is left to do, or another process is at it."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        interval = None if self.accuracy_interval is None else list(self.accuracy_interval)
        return {**asdict(self), "accuracy_interval": interval}


@dataclass(frozen=True, slots=True)
class DamagedRun:
    """A folder that looks like a run and cannot be read as one."""

    run: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Found:
    """What lies under a folder."""

    runs: tuple[RunSummary, ...]
    comparisons: tuple[Path, ...]
    """Folders of comparisons; `comparison.finding` reads them."""
    damaged: tuple[DamagedRun, ...]
    pretrainings: tuple[Path, ...] = ()
    """Folders of pretrainings; `workflow.pretraining.finding` reads them."""


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs to show; None does not filter."""

    strategy: str | None = None
    model: str | None = None
    """Part of the model's name."""
    data: str | None = None
    """Part of the data's name."""
    state: RunState | None = None
    since: datetime | None = None
    """With a time zone."""
    min_accuracy: float | None = None
    """0..1; runs without test figures are left out."""
    sort: RunSortKey = "date"
    """date: the newest first. accuracy: the highest first. seconds: the quickest first."""

    def select(self, runs: Iterable[RunSummary]) -> tuple[RunSummary, ...]:
        """The runs that pass, sorted; those without the figure come last."""
        kept = sorted(filter(self._passes, runs), key=lambda run: (started_instant(run.started), run.run), reverse=True)
        if self.sort == "accuracy":
            kept.sort(key=lambda run: -1.0 if run.accuracy is None else run.accuracy, reverse=True)
        elif self.sort == "seconds":
            kept.sort(key=lambda run: float("inf") if run.seconds is None else run.seconds)
        return tuple(kept)

    def _passes(self, run: RunSummary) -> bool:
        least = self.min_accuracy
        return (
            self.strategy in (None, run.strategy)
            and (self.model or "").lower() in run.model.lower()
            and (self.data or "").lower() in run.data.lower()
            and self.state in (None, run.state)
            and (self.since is None or started_instant(run.started) >= self.since.timestamp())
            and (least is None or (run.accuracy is not None and run.accuracy >= least))
        )


def found_runs(folder: Path, *, now: float | None = None) -> Found:
    """Every run, comparison and pretraining under `folder`, which may be one of them itself.

    Args:
        folder: Searched three folders deep; hidden ones are passed over.
        now: Seconds since the epoch; the clock if None.

    Raises:
        RunError: it is not there.
    """
    if not is_folder(folder):
        raise RunError(f"{folder} is no folder", expected="one that holds run folders, such as runs")
    runs: list[RunSummary] = []
    comparisons: list[Path] = []
    damaged: list[DamagedRun] = []
    pretrainings: list[Path] = []
    for kind, found in _walk(folder, depth=0, seen=set()):
        if kind == "comparison":
            comparisons.append(found)
            continue
        if kind == "pretraining":
            pretrainings.append(found)
            continue
        try:
            runs.append(summary_of(found, now=time.time() if now is None else now))
        except (RunError, OSError) as error:  # the system's own: it was removed meanwhile, or may not be read
            damaged.append(DamagedRun(str(found), str(error).replace(f"{found}/", "")))
    return Found(tuple(runs), tuple(comparisons), tuple(damaged), tuple(pretrainings))


def _walk(
    folder: Path, *, depth: int, seen: set[tuple[int, int]]
) -> Iterator[tuple[Literal["run", "comparison", "pretraining"], Path]]:
    """Folders of runs, comparisons and pretrainings; each folder once, whatever links lead to it."""
    try:
        stat = folder.stat()
        entries = sorted(
            entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")
        )
    except OSError:
        return
    if (stat.st_dev, stat.st_ino) in seen:
        return
    seen.add((stat.st_dev, stat.st_ino))
    if has_file(folder / "comparison.yaml"):
        yield "comparison", folder
        if depth:
            return
    elif _is_run(folder, entries):
        yield "run", folder
        return
    elif has_file(folder / PRETRAIN_FILE):
        yield "pretraining", folder
        return
    if depth < _DEEPEST:
        for name in entries:
            yield from _walk(folder / name, depth=depth + 1, seen=seen)


def _is_run(folder: Path, folders: Sequence[str]) -> bool:
    """A plan alone may be a file of the user's."""
    if has_file(folder / "plan.resolved.yaml"):
        return True
    return "checkpoints" in folders and any(has_file(folder / name) for name in ("plan.yaml", "metrics.json"))


def summary_of(folder: Path, *, now: float | None = None) -> RunSummary:
    """Summary of one run folder, however far the run came.

    Raises:
        RunError: a file is missing or damaged; it says which.
    """
    run, settings = Run(folder), raw_plan(folder)
    if not has_file(folder / "data.json"):
        raise RunError("data.json is missing: the run ended while its folder was made", remedy="start it again")
    try:
        plan = typed(PlanOutline, settings)
    except ValueError as error:
        raise RunError(f"plan.resolved.yaml: {error}", expected="what headstart train writes") from error
    metrics, environment = run.metrics(), run.environment()
    test, now = None if metrics is None else metrics.test, time.time() if now is None else now
    found = state_of(folder, metrics, now=now)
    is_open = found.state in ("stopped", "interrupted")
    return RunSummary(
        run=str(folder),
        started=environment.started,
        data=plan.data.source,
        strategy=plan.strategy,
        model=plan.model.name,
        state=found.state,
        why=f"{found.why}; if it was killed: {run.resume_command}" if found.state == "running" else found.why,
        accuracy=None if test is None else test.accuracy,
        accuracy_interval=None if test is None else test.accuracy_interval,
        images=None if test is None else test.images,
        seconds=None if metrics is None else metrics.total_seconds,
        seed=plan.seed,
        resume=run.resume_command if is_open else None,
    )


def _interval(values: Sequence[float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path.name} cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise RunError(f"{path.name} holds a {type(value).__name__}", expected="a JSON object")
    return value


def started_instant(started: str) -> float:
    """Seconds since the epoch; 0 for a time that cannot be read."""
    try:
        return datetime.fromisoformat(started).timestamp()
    except ValueError:
        return 0.0
