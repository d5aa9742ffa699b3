"""State of a run, from what its folder holds: one vocabulary for lists, reports and comparisons."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from headstart.files import has_file
from headstart.runs.run_metrics import RunMetrics

RunState: TypeAlias = Literal["finished", "stopped", "running", "interrupted", "damaged"]
"""finished: every phase ended by itself. stopped: everything is saved, and it can be resumed; one that was stopped by
its budget has figures already. running: it wrote something a moment ago. interrupted: it was killed. damaged: a file
cannot be read."""

QUIET_SECONDS = 300.0
"""A run that wrote nothing for so long counts as killed; while it trains it saves every two minutes."""
_CLOCK_SECONDS = 0.1
"""File times come from a coarser clock than the times of events, and may lie behind."""
_TAIL_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class StateOfRun:
    """State of one run, and why."""

    state: RunState
    why: str = ""
    """In words; empty when finished."""


def state_of(folder: Path, metrics: RunMetrics | None, *, now: float | None = None) -> StateOfRun:
    """State of a run whose files can be read.

    Args:
        folder: Of the run.
        metrics: Its metrics.json; None before it has ended once.
        now: Seconds since the epoch; the clock if None.
    """
    last = _last_event(folder, ("stopped", "resumed"))
    written = (folder / "metrics.json").stat().st_mtime if metrics is not None else 0.0
    # Figures of a process that was stopped by its budget stay in the folder while the next one goes on.
    went_on = last is not None and last["event"] == "resumed" and last["time"] > written + _CLOCK_SECONDS
    if metrics is not None and not went_on:
        if metrics.stopped is None:
            return StateOfRun("finished")
        return StateOfRun("stopped", f"stopped by the {metrics.stopped}; it has test figures")
    if last is not None and last["event"] == "stopped":
        return StateOfRun("stopped", f"stopped by the {last.get('reason', 'user')}; everything is saved")
    now = time.time() if now is None else now
    signs = [path for path in ("events.jsonl", "checkpoints/last.pt", "data.json") if has_file(folder / path)]
    quiet = max(0.0, now - max((folder / path).stat().st_mtime for path in signs))
    words = f"last written to {elapsed_text(quiet)} ago"
    return StateOfRun("running" if quiet < QUIET_SECONDS else "interrupted", words)


def elapsed_text(seconds: float) -> str:
    """Whole days, hours, minutes or seconds, in words."""
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
        # Most lines are other events: a search for bytes is far cheaper than parsing each.
        if not any(f'"event": "{name}"'.encode() in line for name in names):
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") in names and isinstance(event.get("time"), float | int):
            return event
    return None
