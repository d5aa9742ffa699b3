"""Comparisons in a line each, as `headstart runs` lists them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from headstart.comparison.comparison import PLAN_FILE
from headstart.comparison.record import RECORD_FILE, read_comparison_record
from headstart.files import has_file
from headstart.runs.folder import resume_command


@dataclass(frozen=True, slots=True)
class ComparisonSummary:
    """One comparison, in a line. Its trials are listed when its own folder is searched."""

    comparison: str
    """Its folder, as it was found."""
    started: str
    """ISO 8601 with the offset of the time zone."""
    what: str
    state: Literal["finished", "unfinished"]
    trials: int
    """Number of trials that are known."""
    done: int
    """Number of them that are done."""
    chosen: str | None
    accuracy: float | None
    """Of the chosen variant on the test images, 0..1."""
    accuracy_interval: tuple[float, float] | None
    """95 %."""
    resume: str | None
    """Command that resumes it; of a finished one too, where trials failed or lack their weights."""
    tied: int = 0
    """Number of variants that tie with the chosen one."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        interval = None if self.accuracy_interval is None else list(self.accuracy_interval)
        return {**asdict(self), "accuracy_interval": interval}


def comparison_summary(folder: Path) -> ComparisonSummary:
    """One comparison, however far it is.

    Raises:
        RunError: its comparison.json is damaged, or of another schema version.
    """
    started = _written(folder / PLAN_FILE)
    # Made anew, because the folder may have been moved since the record was written.
    resume = resume_command("compare", folder)
    if not has_file(folder / RECORD_FILE):
        what = "not known before the first trial has ended"
        return ComparisonSummary(str(folder), started, what, "unfinished", 0, 0, None, None, None, resume)
    record = read_comparison_record(folder)
    chosen = record.chosen
    test = chosen.test if chosen is not None else None
    return ComparisonSummary(
        comparison=str(folder),
        started=record.started or started,
        what=record.what,
        state="finished" if record.finished else "unfinished",
        trials=len(record.trials),
        done=sum(trial.state == "done" for trial in record.trials),
        chosen=None if chosen is None else chosen.variant,
        accuracy=None if test is None else test.accuracy,
        accuracy_interval=None if test is None else test.interval,
        resume=resume if record.resume or not record.finished else None,
        tied=0 if chosen is None else len(chosen.tied_with),
    )


def _written(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime).astimezone().isoformat(timespec="seconds")
