"""One pretraining in a line: its state, how far it came, and how to go on."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headstart.errors import RunError
from headstart.files import has_file, read_json
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model
from headstart.runs.state import QUIET_SECONDS, RunState, elapsed_text
from headstart.workflow.pretraining.folder import PretrainFolder


@dataclass(frozen=True, slots=True)
class PretrainingSummary:
    """One pretraining."""

    pretraining: str
    """Its folder, as it was found."""
    started: str
    """ISO 8601 with the offset of the time zone."""
    data: str
    init: str
    """Network whose weights it started from."""
    state: RunState
    why: str
    """Of the state, in words; empty when finished."""
    epochs: int
    """Requested."""
    done: int | None
    """Epochs that ended; None before metrics are written."""
    model: str | None
    """Name of the backbone for `--model`; None before there is one."""
    resume: str | None
    """The command that resumes it; None where nothing is left to do, or another process is at it."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def pretraining_summary(folder: Path, *, now: float | None = None) -> PretrainingSummary:
    """Summary of the folder of a pretraining, however far it came.

    Args:
        folder: Of the pretraining.
        now: Seconds since the epoch; the clock if None.

    Raises:
        RunError: a file is damaged.
    """
    found = PretrainFolder.open(folder)
    request, metrics = found.request(), _metrics(found)
    state, why = _state(found, metrics, now=time.time() if now is None else now)
    if state == "running":
        why = f"{why}; if it was killed: {found.resume_command}"
    return PretrainingSummary(
        pretraining=str(folder),
        started=str(read_json(folder / "environment.json").get("started", "")),
        data=str(request.data.get("source")),
        init=request.init,
        state=state,
        why=why,
        epochs=request.settings.epochs,
        done=None if metrics is None else len(metrics.get("epochs", ())),
        model=ModelChoice(find_model(request.init).card, found.backbone).name if has_file(found.backbone) else None,
        resume=found.resume_command if state in ("stopped", "interrupted") else None,
    )


def _metrics(folder: PretrainFolder) -> dict[str, Any] | None:
    try:
        return folder.metrics()
    except ValueError as error:
        raise RunError(f"metrics.json is damaged: {error}", expected="it as it was written") from error


def _state(folder: PretrainFolder, metrics: dict[str, Any] | None, *, now: float) -> tuple[RunState, str]:
    """(state, why): metrics are written last, and a checkpoint after them is that of a resumed pretraining."""
    files = [path for path in folder.path.iterdir() if path.is_file()]
    newest = max(files, key=lambda path: path.stat().st_mtime)
    if metrics is not None and newest.name != folder.checkpoint.name:
        if metrics.get("ended") == "finished":
            return "finished", ""
        return "stopped", "stopped by the budget; it has a backbone"
    quiet = max(0.0, now - newest.stat().st_mtime)
    return "running" if quiet < QUIET_SECONDS else "interrupted", f"last written to {elapsed_text(quiet)} ago"
