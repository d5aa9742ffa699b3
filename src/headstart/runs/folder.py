"""A Run is one folder that survives a crash at any moment: write aside, fsync, rename; events are appended whole.

plan.yaml             as given
plan.resolved.yaml    every auto settled; what a resume reads
environment.json      versions, machine, threads, command
data.json             content hash, counts, class order, roles
events.jsonl          what happened, one JSON object a line
checkpoints/last.pt   where a resume starts
metrics.json          the answer of `headstart train --json`
predictions.parquet   one row an image that reported
selection.parquet     one row for each validation image and each candidate (the probe, every epoch)
bundle/               the trained model
trackers.json         where else the run is written to, if it is (see training.trackers.trackers)
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from headstart.errors import DiskFullError, RunError
from headstart.files import FULL_DISK, claim_folder, is_file, is_free, write_atomically, write_json
from headstart.machine import environment
from headstart.plan.plan import Plan
from headstart.runs.event_lines import LoggedEvent, event_of
from headstart.runs.upgrade import TABLE_COLUMNS, upgraded_data, upgraded_metrics

if TYPE_CHECKING:
    import numpy.typing as npt


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


def resume_command(command: Literal["train", "compare"], folder: Path) -> str:
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
    def create(cls, folder: Path, *, given: Plan, settled: Plan, data: Mapping[str, Any]) -> Run:
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
        run._write_text("plan.resolved.yaml", settled.to_yaml())
        write_json(folder / "environment.json", environment())
        write_json(folder / "data.json", dict(data))
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
        """The settled plan."""
        return Plan.read(self.folder / "plan.resolved.yaml")

    def settle(self, plan: Plan) -> None:
        """Put a plan in which one more `auto` is decided in place of the settled one."""
        self._write_text("plan.resolved.yaml", plan.to_yaml())

    def data(self) -> dict[str, Any]:
        """data.json."""
        return upgraded_data(self._read_json("data.json"))

    def threads(self) -> int | None:
        """Threads the run computed with; the same bits need the same number."""
        value = self._read_json("environment.json").get("threads")
        return value if isinstance(value, int) else None

    def metrics(self) -> dict[str, Any] | None:
        """metrics.json, or None before the run has ended once."""
        written = is_file(self.folder / "metrics.json")
        return upgraded_metrics(self._read_json("metrics.json")) if written else None

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

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write metrics.json."""
        write_json(self.folder / "metrics.json", dict(metrics))

    def write_predictions(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write predictions.parquet: one row a test image."""
        names = list(rows[0]) if rows else []
        self._write_table("predictions.parquet", {name: [row[name] for row in rows] for name in names})

    def write_selection(self, columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> None:
        """Write selection.parquet: one row for each validation image and each candidate, given column by column.

        Images times epochs are many: as rows they would take ten times the memory.
        """
        self._write_table("selection.parquet", columns)

    def table(self, name: str) -> list[dict[str, Any]]:
        """The rows of predictions.parquet or selection.parquet.

        Raises:
            RunError: the file is missing or damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(self.folder / name)
        except (OSError, pa.ArrowInvalid) as error:
            raise RunError(f"{self.folder / name} cannot be read ({str(error).splitlines()[0]})") from error
        today = table.rename_columns([TABLE_COLUMNS.get(column, column) for column in table.column_names])
        rows: list[dict[str, Any]] = today.to_pylist()
        return rows

    def _write_table(self, name: str, columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table(dict(columns))
        write_atomically(self.folder / name, lambda aside: pq.write_table(table, aside))

    def _write_text(self, name: str, text: str) -> None:
        write_atomically(self.folder / name, lambda aside: aside.write_text(text, encoding="utf-8"))

    def _read_json(self, name: str) -> dict[str, Any]:
        try:
            value: dict[str, Any] = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.folder / name} cannot be read ({error})") from error
        return value


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)
