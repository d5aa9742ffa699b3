"""What several benchmarks share: measurements kept line by line, sides as fresh processes, the machine in one line."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import headstart
from headstart.machine import machine_key

BUILD = Path(__file__).parents[1] / "build"
CODE = (Path(headstart.__file__).parent, Path(__file__).parent)
Row: TypeAlias = dict[str, Any]


class Kept:
    """Measurements of one benchmark, appended to build/NAME.jsonl so that an interrupted run goes on.

    Rows of another machine, number of threads or version of torch are passed over.
    """

    def __init__(self, name: str) -> None:
        self._file = BUILD / f"{name}.jsonl"
        self._machine = machine_key()

    def rows(self) -> list[Row]:
        """All that was measured on this machine, in order."""
        if not self._file.is_file():
            return []
        rows = [json.loads(line) for line in self._file.read_text(encoding="utf-8").splitlines()]
        return [row for row in rows if row["machine"] == self._machine]

    def find(self, **what: object) -> Row | None:
        """The first row with these values."""
        return next((row for row in self.rows() if all(row.get(key) == value for key, value in what.items())), None)

    def has(self, **what: object) -> bool:
        """Whether a row with these values is kept."""
        return self.find(**what) is not None

    def add(self, row: Row) -> Row:
        """Keep one more, with the time and the load of the machine; what is kept is given back."""
        row = {**row, "machine": self._machine, "load": os.getloadavg()[0], "time": time.time()}
        self._file.parent.mkdir(exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        shown = {key: value for key, value in row.items() if key not in ("predicted", "truth", "machine", "time")}
        print(json.dumps(shown), flush=True)
        return row


def code_hash() -> str:
    """Of every Python file of headstart and of the benchmarks: a count of what code does holds for that code alone."""
    files = sorted(path for folder in CODE for path in folder.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def in_new_process(arguments: Sequence[str], *, home: Path | None = None) -> tuple[Row, float]:
    """(the JSON of a Python command's last line, seconds of the whole process).

    Args:
        arguments: After `python`.
        home: Its $HEADSTART_HOME.

    Raises:
        RuntimeError: it failed; with what it said last.
    """
    environment = {**os.environ, **({"HEADSTART_HOME": str(home)} if home is not None else {})}
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    answer: Row = json.loads(done.stdout[done.stdout.rindex("\n{") if "\n{" in done.stdout else 0 :])
    return answer, seconds


def where(names: Iterable[str] = ("torch", "timm", "onnxruntime")) -> str:
    """Machine, threads and versions."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return f"{machine_key()}; Python {platform.python_version()}, {versions}"


def spread(values: Sequence[float]) -> str:
    """Median, and the range where there are several: `12.3 (11.9..12.8, n 3)`."""
    middle = f"{statistics.median(values):.1f}"
    return (
        f"{middle} (n 1)" if len(values) == 1 else f"{middle} ({min(values):.1f}..{max(values):.1f}, n {len(values)})"
    )
