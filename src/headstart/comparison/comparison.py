"""Folder of a comparison: its plan, a run folder for every trial, and the result so far.

comparison.yaml      plan, resolved when the comparison begins; read on resume
environment.json     versions, machine, command
trials/NNN-.../      each an ordinary run folder, and trial.json in it once the trial has ended
inference.json       throughput, latency and memory of prediction, by network
comparison.json      the result, written anew after every trial
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from headstart.comparison.grid import GridPlan, Trial
from headstart.comparison.record import RECORD_FILE, ComparisonRecord
from headstart.errors import RunError
from headstart.files import is_file, is_folder, is_there, write_atomically, write_json
from headstart.machine import Environment, environment
from headstart.prediction.inference_figures import InferenceFigures
from headstart.runs.folder import Run, resume_command
from headstart.runs.values import typed

PLAN_FILE = "comparison.yaml"


@dataclass(frozen=True)
class TrialEnd:
    """End of a trial; kept in trial.json, so that it is never run again."""

    state: Literal["done", "failed"]
    error: str | None = None
    """Message of a failed trial, in a line."""
    accuracy: Literal["measured", "needs download"] = "measured"
    """needs download: random weights were used because the pretrained ones were unavailable."""
    seconds: float = 0.0
    """Wall-clock time of training and evaluation, without imports; of a resumed trial, of all its saved parts."""
    peak_memory_bytes: int | None = None
    """Peak memory of the process, libraries included."""
    resumed: int = 0
    """How often it was resumed."""
    missing: dict[str, str] = field(default_factory=dict)
    """Network -> reason why its weights are unavailable, and the way out; empty if they are not."""


class Comparison:
    """One comparison's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def resume_command(self) -> str:
        """Command that resumes the comparison."""
        return resume_command("compare", self.folder)

    @classmethod
    def create(cls, folder: Path, plan: GridPlan) -> Comparison:
        """New comparison in a new folder.

        Raises:
            RunError: it exists and is not empty, or cannot be made.
        """
        try:
            if is_there(folder) and (not is_folder(folder) or any(file.name[0] != "." for file in folder.iterdir())):
                raise RunError(
                    f"{folder} exists already",
                    remedy=f"choose another --out, or resume it with: {resume_command('compare', folder)}",
                )
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder} cannot be made ({error.strerror})", remedy="choose another --out") from error
        # The plan goes first: with it a folder can be resumed, without it a new comparison may begin there.
        write_atomically(folder / PLAN_FILE, lambda aside: aside.write_text(plan.to_yaml(), encoding="utf-8"))
        write_json(folder / "environment.json", environment().to_dict())
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Comparison:
        """Comparison of an existing folder.

        Raises:
            RunError: not the folder of a comparison.
        """
        if not is_file(folder / PLAN_FILE):
            raise RunError(f"{folder} is not the folder of a comparison", expected="a folder made by headstart compare")
        return cls(folder)

    def plan(self) -> GridPlan:
        """Plan of the comparison."""
        return GridPlan.read(self.folder / PLAN_FILE)

    def environment(self) -> Environment | None:
        """Versions, machine and command when it began; None if unknown.

        Raises:
            RunError: environment.json is damaged.
        """
        found = self._read("environment.json")
        try:
            return typed(Environment, found) if found else None
        except ValueError as error:
            raise RunError(f"{self.folder / 'environment.json'} is damaged: {error}", remedy="remove it") from error

    def run_of(self, trial: Trial) -> Run:
        """Run folder of a trial, which need not exist."""
        return Run(self.folder / "trials" / trial.name)

    def end_of(self, trial: Trial) -> TrialEnd | None:
        """End of a trial; None while it has not ended."""
        found = self._read(f"trials/{trial.name}/trial.json")
        try:
            return TrialEnd(**found) if found else None
        except TypeError as error:
            name = self.run_of(trial).folder / "trial.json"
            raise RunError(f"{name} was written by another version ({error})", remedy="remove it") from error

    def started(self, trial: Trial) -> bool:
        """Whether a trial was begun and can be resumed.

        A folder whose process was killed before the plan was resolved holds nothing and is removed.
        """
        folder = self.run_of(trial).folder
        if is_file(folder / "plan.resolved.yaml") and is_file(folder / "data.json"):
            return True
        if is_there(folder):
            shutil.rmtree(folder)
        return False

    def end(self, trial: Trial, end: TrialEnd) -> None:
        """Write trial.json."""
        folder = self.run_of(trial).folder
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "trial.json", asdict(end))

    def discard(self, trial: Trial) -> None:
        """Remove the folder of a trial, so that it is run anew."""
        folder = self.run_of(trial).folder
        (folder / "trial.json").unlink(missing_ok=True)  # first: a kill in between must not leave an end without a run
        if is_there(folder):
            shutil.rmtree(folder)

    def inference(self) -> dict[str, InferenceFigures]:
        """Network and input size -> throughput, latency and memory of prediction; damaged figures are left out."""
        found = {}
        for key, values in (self._read("inference.json") or {}).items():
            with contextlib.suppress(ValueError):  # they are measured again
                found[key] = InferenceFigures.from_dict(values)
        return found

    def write_inference(self, figures: Mapping[str, InferenceFigures]) -> None:
        """Write inference.json."""
        write_json(self.folder / "inference.json", {key: one.to_dict() for key, one in figures.items()})

    def write_result(self, result: ComparisonRecord) -> None:
        """Write comparison.json."""
        write_json(self.folder / RECORD_FILE, result.to_dict())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock of the folder: one process works on a comparison; the lock of a killed process is released.

        Raises:
            RunError: another one does.
        """
        try:
            file = (self.folder / ".lock").open("w")
        except OSError as error:
            raise RunError(f"{self.folder} cannot be written ({error.strerror})") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(
                    f"{self.folder} is being worked on by another process", remedy="wait for it, or stop it"
                ) from error
            except OSError:  # a file system without locks: work without one
                pass
            yield

    def _read(self, name: str) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.folder / name).read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
        return None
