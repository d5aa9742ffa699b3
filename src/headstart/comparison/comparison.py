"""A Comparison is one folder: what is compared, a run folder for every trial, and the answer so far.

comparison.yaml      what is compared, settled when it begins; what a resume reads
environment.json     versions, machine, command
trials/NNN-.../      each an ordinary run folder, and trial.json beside it once the trial has ended
inference.json       speed and memory of prediction, by variant
comparison.json      the answer, written anew after every trial
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
from headstart.errors import RunError
from headstart.files import is_file, is_folder, is_there, write_atomically, write_json
from headstart.machine import environment
from headstart.runs.folder import Run, resume_command


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended; kept in trial.json, so that it is never run again."""

    state: Literal["done", "failed"]
    error: str | None = None
    """Of a failed one, in a line."""
    accuracy: Literal["measured", "needs download"] = "measured"
    """needs download: random weights stood in for those that could not be had."""
    seconds: float = 0.0
    """Wall clock of training and judging, without imports; of a resumed trial that of all its parts that were saved."""
    peak_memory_bytes: int | None = None
    """Most that the process held in memory, its libraries included."""
    resumed: int = 0
    """How often it was taken up again."""
    missing: dict[str, str] = field(default_factory=dict)
    """Network -> why its weights could not be had, and the way out; empty where they could."""


class Comparison:
    """One comparison's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def resume_command(self) -> str:
        """What to type to go on."""
        return resume_command("compare", self.folder)

    @classmethod
    def create(cls, folder: Path, plan: GridPlan) -> Comparison:
        """Make the folder.

        Raises:
            RunError: it exists and is not empty, or cannot be made.
        """
        try:
            if is_there(folder) and (not is_folder(folder) or any(file.name[0] != "." for file in folder.iterdir())):
                raise RunError(
                    f"{folder} exists already",
                    remedy=f"choose another --out, or go on with: {resume_command('compare', folder)}",
                )
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder} cannot be made ({error.strerror})", remedy="choose another --out") from error
        # The plan goes first: with it a folder can be taken up again, without it a new comparison may begin there.
        write_atomically(folder / "comparison.yaml", lambda aside: aside.write_text(plan.to_yaml(), encoding="utf-8"))
        write_json(folder / "environment.json", environment())
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Comparison:
        """An existing comparison.

        Raises:
            RunError: not the folder of a comparison.
        """
        if not is_file(folder / "comparison.yaml"):
            raise RunError(f"{folder} is no comparison", expected="a folder made by headstart compare")
        return cls(folder)

    def plan(self) -> GridPlan:
        """What is compared."""
        return GridPlan.read(self.folder / "comparison.yaml")

    def environment(self) -> dict[str, Any]:
        """Where it was begun."""
        return self._read("environment.json") or {}

    def run_of(self, trial: Trial) -> Run:
        """The run folder of a trial, whether it is there or not."""
        return Run(self.folder / "trials" / trial.name)

    def end_of(self, trial: Trial) -> TrialEnd | None:
        """How a trial ended; None while it has not."""
        found = self._read(f"trials/{trial.name}/trial.json")
        try:
            return TrialEnd(**found) if found else None
        except TypeError as error:
            name = self.run_of(trial).folder / "trial.json"
            raise RunError(f"{name} was written by another version ({error})", remedy="remove it") from error

    def started(self, trial: Trial) -> bool:
        """Whether a trial was begun and can be taken up again.

        A folder that a kill left before its plan was settled holds nothing yet and is removed.
        """
        folder = self.run_of(trial).folder
        if is_file(folder / "plan.resolved.yaml") and is_file(folder / "data.json"):
            return True
        if is_there(folder):
            shutil.rmtree(folder)
        return False

    def end(self, trial: Trial, end: TrialEnd) -> None:
        """Remember how a trial ended."""
        folder = self.run_of(trial).folder
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "trial.json", asdict(end))

    def discard(self, trial: Trial) -> None:
        """Remove all that a trial left, so that it is run anew."""
        folder = self.run_of(trial).folder
        (folder / "trial.json").unlink(missing_ok=True)  # first: a kill in between must not leave an end without a run
        if is_there(folder):
            shutil.rmtree(folder)

    def inference(self) -> dict[str, Any]:
        """Name of a variant -> speed and memory of prediction."""
        return self._read("inference.json") or {}

    def write_inference(self, figures: Mapping[str, Any]) -> None:
        """Keep them."""
        write_json(self.folder / "inference.json", dict(figures))

    def write_answer(self, answer: Mapping[str, Any]) -> None:
        """Write comparison.json."""
        write_json(self.folder / "comparison.json", dict(answer))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Only one process works on a comparison; a kill lets go of it.

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
            except OSError:  # a file system without locks: nobody can be kept away
                pass
            yield

    def _read(self, name: str) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.folder / name).read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
        return None
