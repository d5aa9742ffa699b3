"""A Run is one folder that survives a crash at any moment: write aside, fsync, rename; events are appended whole.

plan.yaml             as given
plan.resolved.yaml    every auto resolved; what a resume reads
environment.json      versions, machine, threads, command (machine.Environment)
data.json             content hash, counts, class order, roles (runs.run_data.RunData)
events.jsonl          what happened, one JSON object a line (runs.events)
ledger.jsonl          hashes, movement and state of layer groups, one JSON object an epoch (runs.ledger)
checkpoints/last.pt   where a resume starts
metrics.json          what `headstart train --json` prints (runs.run_metrics.RunMetrics)
predictions.parquet   one row per test image (runs.tables.PredictedImage)
selection.parquet     one row per validation image and candidate (runs.tables.CandidatePredictions)
bundle/               the trained model
trackers.json         where else the run is written to, if it is (see training.trackers.trackers)
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar

from headstart.errors import DiskFullError, RunError
from headstart.files import FULL_DISK, claim_folder, is_file, is_free, write_atomically, write_json
from headstart.machine import Environment, environment
from headstart.plan.plan import Plan
from headstart.runs.event_lines import LoggedEvent, event_of
from headstart.runs.run_data import RunData
from headstart.runs.run_metrics import RunMetrics
from headstart.runs.tables import (
    PREDICTIONS_FILE,
    SELECTION_FILE,
    CandidatePredictions,
    PredictedImage,
    read_predictions,
    read_selection,
    write_columns,
)
from headstart.runs.values import typed

if TYPE_CHECKING:
    import numpy.typing as npt

_T = TypeVar("_T")


def new_folder(parent: Path, stem: str) -> Path:
    """Make `parent`/`stem`, with a number appended where that is taken: empty, and nobody else's.

    Raises:
        RunError: it cannot be made.
    """
    folder, count = parent / stem, 2
    try:
        while not claim_folder(folder):
            folder, count = parent / f"{stem}-{count}", count + 1
    except OSError as error:
        raise RunError(f"{folder} cannot be made ({error.strerror})", remedy="choose another --out") from error
    return folder


def resume_command(command: Literal["train", "compare", "pretrain"], folder: Path) -> str:
    """What to type to go on with a folder, whatever its name holds and from whatever folder it is typed."""
    return f"headstart {command} --resume {shlex.quote(str(folder.absolute()))}"


class Run:
    """One run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"Run({self.folder})"

    @property
    def bundle(self) -> Path:
        """Where the trained model lies."""
        return self.folder / "bundle"

    @property
    def checkpoint(self) -> Path:
        """Where a resume starts."""
        return self.folder / "checkpoints" / "last.pt"

    @property
    def resume_command(self) -> str:
        """What to type to go on."""
        return resume_command("train", self.folder)

    @classmethod
    def create(cls, folder: Path, *, given: Plan, resolved: Plan, data: RunData) -> Run:
        """Make the folder; everything that can be wrong with plan or data was found before.

        Raises:
            RunError: the folder exists and is not empty, another process takes it just now, or it cannot be made.
        """
        try:
            # Of two processes that both find it empty, one makes the folder for checkpoints: the run is its own.
            if not (is_free(folder) and claim_folder(folder / "checkpoints")):
                raise RunError(
                    f"{folder} exists already",
                    remedy=f"choose another --out, or go on with: {resume_command('train', folder)}",
                )
        except OSError as error:
            raise RunError(f"{folder} cannot be made ({error.strerror})", remedy="choose another --out") from error
        run = cls(folder)
        run._write_text("plan.yaml", given.to_yaml())
        run._write_text("plan.resolved.yaml", resolved.to_yaml())
        write_json(folder / "environment.json", environment().to_dict())
        write_json(folder / "data.json", data.to_dict())
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """An existing run.

        Raises:
            RunError: not a run folder.
        """
        if not is_file(folder / "plan.resolved.yaml"):
            raise RunError(f"{folder} is no run folder", expected="one made by headstart train")
        return cls(folder)

    def plan(self) -> Plan:
        """The resolved plan."""
        return Plan.read(self.folder / "plan.resolved.yaml")

    def rewrite_plan(self, plan: Plan) -> None:
        """Replace the resolved plan by one in which one more `auto` is decided, or whose images have moved."""
        self._write_text("plan.resolved.yaml", plan.to_yaml())

    def data(self) -> RunData:
        """data.json.

        Raises:
            RunError: it is missing or damaged.
        """
        return self._typed("data.json", RunData.from_dict)

    def environment(self) -> Environment:
        """environment.json.

        Raises:
            RunError: it is missing or damaged.
        """
        return self._typed("environment.json", lambda raw: typed(Environment, raw))

    def metrics(self) -> RunMetrics | None:
        """metrics.json, or None before the run has ended once.

        Raises:
            RunError: it is damaged.
        """
        return self._typed("metrics.json", RunMetrics.from_dict) if is_file(self.folder / "metrics.json") else None

    def append_event(self, event: str, **values: Any) -> None:  # noqa: ANN401 - any JSON value
        """Add one line to events.jsonl.

        Raises:
            DiskFullError: the disk is full.
        """
        line = json.dumps({"time": round(time.time(), 3), "event": event, **values}, ensure_ascii=False) + "\n"
        path = self.folder / "events.jsonl"
        try:
            with path.open("ab+") as file:
                if file.tell() and _last_byte(file) != b"\n":  # a crash cut the last line
                    line = "\n" + line
                file.write(line.encode())
        except OSError as error:
            if error.errno in FULL_DISK:
                raise DiskFullError(f"the disk is full: {path} could not be written", remedy="make room") from error
            raise

    def events(self) -> list[LoggedEvent]:
        """All whole lines of events.jsonl; a line cut by a crash is left out."""
        path = self.folder / "events.jsonl"
        if not is_file(path):
            return []
        found = []
        for line in path.read_bytes().split(b"\n"):
            try:
                row = json.loads(line)
            except ValueError:  # also the Unicode kind: a line cut inside a letter
                continue
            if isinstance(row, dict):
                found.append(event_of(row))
        return found

    def predictions(self) -> tuple[PredictedImage, ...]:
        """Predictions of the bundle for the test images.

        Raises:
            RunError: the file is missing or damaged.
        """
        return read_predictions(self.folder / PREDICTIONS_FILE)

    def selection(self) -> tuple[CandidatePredictions, ...]:
        """Predictions of every candidate for the validation images, in the order of the validation passes.

        Raises:
            RunError: the file is missing or damaged.
        """
        return read_selection(self.folder / SELECTION_FILE)

    def write_metrics(self, metrics: RunMetrics) -> None:
        """Write metrics.json."""
        write_json(self.folder / "metrics.json", metrics.to_dict())

    def write_predictions(self, rows: Sequence[PredictedImage]) -> None:
        """Write predictions.parquet: one row per test image."""
        names = [field.name for field in fields(PredictedImage)]
        write_columns(self.folder / PREDICTIONS_FILE, {name: [getattr(row, name) for row in rows] for name in names})

    def write_selection(self, columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> None:
        """Write selection.parquet: one row per validation image and candidate, given column by column.

        Images times epochs are many: as rows they would take ten times the memory.
        """
        write_columns(self.folder / SELECTION_FILE, columns)

    def _write_text(self, name: str, text: str) -> None:
        write_atomically(self.folder / name, lambda aside: aside.write_text(text, encoding="utf-8"))

    def _typed(self, name: str, read: Callable[[dict[str, Any]], _T]) -> _T:
        """Contents of a JSON file by the reader of its type.

        Raises:
            RunError: it is missing or damaged.
        """
        path = self.folder / name
        whole = {"expected": "the file as training wrote it", "remedy": "restore it from a copy, or train again"}
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{path} cannot be read ({str(error).splitlines()[0]})", **whole) from error
        if not isinstance(value, dict):
            raise RunError(f"{path} is damaged: it holds {type(value).__name__}, not names and values", **whole)
        try:
            return read(value)
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # the last three of rows being upgraded
            raise RunError(f"{path} is damaged: {error}", **whole) from error


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)
