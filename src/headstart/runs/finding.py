"""All runs under a folder: found by what a run folder holds, read as far as they can be, filtered and sorted.

Nothing is kept beside the runs: a folder that was moved, copied or deleted by hand is seen as it is. Only small files
are read (the plan, the figures, the end of the events), so that hundreds of runs take well under a second.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from headstart.errors import RunError
from headstart.files import has_file, is_folder
from headstart.runs.folder import Run
from headstart.runs.settings import raw_plan
from headstart.runs.upgrade import upgraded_metrics

State = Literal["finished", "stopped", "running", "interrupted", "damaged"]
"""stopped: everything is saved, and it can go on. running: it wrote something a moment ago. interrupted: killed."""
RunSortKey = Literal["date", "accuracy", "seconds"]

DEFAULT_FOLDER = Path("runs")
"""Where `headstart train` makes its folders."""

_CLOCK_SECONDS = 0.1
"""File times come from a coarser clock than the times of events, and may lie behind."""
QUIET_SECONDS = 300.0
"""A run that wrote nothing for so long counts as killed; while it trains it saves every two minutes."""
_DEEPEST = 3
"""Folders below the one that is searched."""
_TAIL_BYTES = 1 << 16


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
    state: State
    why: str
    """Of the state, in words; empty when finished."""
    accuracy: float | None
    """On the images that report, 0..1; None before the run has reported."""
    accuracy_interval: tuple[float, float] | None
    """95 %."""
    images: int | None
    """That reported."""
    seconds: float | None
    """Of the process that reported, from command to answer."""
    seed: int
    resume: str | None
    """What to type to go on; None where nothing is left to do, or another process is at it."""

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


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs to show; None does not filter."""

    strategy: str | None = None
    model: str | None = None
    """Part of the model's name."""
    data: str | None = None
    """Part of the data's name."""
    state: State | None = None
    since: datetime | None = None
    """With a time zone."""
    min_accuracy: float | None = None
    """0..1; runs that have not reported are left out."""
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
    """Every run and comparison under `folder`, which may be one of them itself.

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
    for kind, found in _walk(folder, depth=0, seen=set()):
        if kind == "comparison":
            comparisons.append(found)
            continue
        try:
            runs.append(read_run(found, now=time.time() if now is None else now))
        except (RunError, OSError) as error:  # the system's own: it was removed meanwhile, or may not be read
            damaged.append(DamagedRun(str(found), str(error)))
    return Found(tuple(runs), tuple(comparisons), tuple(damaged))


def _walk(
    folder: Path, *, depth: int, seen: set[tuple[int, int]]
) -> Iterator[tuple[Literal["run", "comparison"], Path]]:
    """Run and comparison folders; each folder once, whatever links lead to it."""
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
    if depth < _DEEPEST:
        for name in entries:
            yield from _walk(folder / name, depth=depth + 1, seen=seen)


def _is_run(folder: Path, folders: Sequence[str]) -> bool:
    """A plan alone may be a file of the user's."""
    if has_file(folder / "plan.resolved.yaml"):
        return True
    return "checkpoints" in folders and any(has_file(folder / name) for name in ("plan.yaml", "metrics.json"))


def read_run(folder: Path, *, now: float | None = None) -> RunSummary:
    """One run folder, however far the run came.

    Raises:
        RunError: a file is missing or damaged; it says which.
    """
    plan, environment = raw_plan(folder), _json(folder / "environment.json")
    if not has_file(folder / "data.json"):
        raise RunError("data.json is missing: the run ended while its folder was made", remedy="start it again")
    metrics = _json(folder / "metrics.json") if has_file(folder / "metrics.json") else None
    state, why = _state(folder, metrics, time.time() if now is None else now)
    run = Run(folder)
    try:
        val = None if metrics is None else upgraded_metrics(metrics)["test"]
        return RunSummary(
            run=str(folder),
            started=str(environment["started"]),
            data=str(plan["data"]["source"]),
            strategy=str(plan["strategy"]),
            model=str(plan["model"]["name"]),
            state=state,
            why=why if state != "running" else f"{why}; if it was killed: {run.resume_command}",
            accuracy=None if val is None else float(val["accuracy"]),
            accuracy_interval=None if val is None else _interval(val["accuracy_interval"]),
            images=None if val is None else int(val["images"]),
            seconds=None if metrics is None else float(metrics["seconds"]["total"]),
            seed=int(plan["seed"]),
            resume=run.resume_command if state in ("stopped", "interrupted") else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"a value is missing or wrong ({error})", expected="what headstart train writes") from error


def _interval(values: Sequence[float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)


def _state(folder: Path, metrics: Mapping[str, Any] | None, now: float) -> tuple[State, str]:
    """What the files say of how the run ended, or did not."""
    last = _last_event(folder, ("stopped", "resumed"))
    reported = (folder / "metrics.json").stat().st_mtime if metrics is not None else 0.0
    went_on = last is not None and last["event"] == "resumed" and last["time"] > reported + _CLOCK_SECONDS
    if metrics is not None and not went_on:
        stopped = metrics.get("stopped")
        return ("stopped", f"stopped by the {stopped}; it has reported") if stopped else ("finished", "")
    if last is not None and last["event"] == "stopped":
        return "stopped", f"stopped by the {last.get('reason', 'user')}; everything is saved"
    signs = [path for path in ("events.jsonl", "checkpoints/last.pt", "data.json") if has_file(folder / path)]
    quiet = max(0.0, now - max((folder / path).stat().st_mtime for path in signs))
    words = f"last sign of life {_age(quiet)} ago"
    return ("running", words) if quiet < QUIET_SECONDS else ("interrupted", words)


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def _last_event(folder: Path, names: Sequence[str]) -> dict[str, Any] | None:
    """The last whole line near the end of events.jsonl that is one of these."""
    path = folder / "events.jsonl"
    if not has_file(path):
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = file.read().split(b"\n")
    for line in reversed(lines):
        if not any(f'"event": "{name}"'.encode() in line for name in names):
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") in names and isinstance(event.get("time"), float | int):
            return event
    return None


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
