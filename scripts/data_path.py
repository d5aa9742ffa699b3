"""How many modules and functions of headstart handle the path of DATA while `headstart train DATA` runs.

    python scripts/data_path.py EMPTY_FOLDER      # of the headstart that this Python imports

A folder of generated images is trained on from the command line; every call of a function of the package, in any
thread, is looked at as it begins. A function handles the path if one of its arguments is the path, as text or as a
Path; it handles a record if an argument holds the path in a field, or in a field of a field, as a plan does in
`plan.data.source`. What is handed on inside containers, closures or globals is not seen: the figures are lower bounds.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import frames

DEPTH: Final = 2
"""Fields of fields are looked into, no deeper."""


@dataclass(frozen=True)
class Handled:
    """Counts of modules and functions."""

    modules: int
    """Called with the path itself."""
    functions: int
    """Called with the path itself."""
    modules_with_records: int
    """Called with the path or with a record that holds it."""
    functions_with_records: int
    """Called with the path or with a record that holds it."""

    def __str__(self) -> str:
        records = f"with records that hold it: {self.modules_with_records} and {self.functions_with_records}"
        return f"{self.modules} and {self.functions}; {records}"


class PathWatch:
    """Notes which functions of a package are called with a path, while it is switched on.

    Args:
        path: The path.
        package: Folder of the package.
    """

    def __init__(self, path: Path, *, package: Path) -> None:
        self.path = path
        self.package = str(package)
        self.given: set[tuple[str, str]] = set()
        """(file, function) called with the path."""
        self.held: set[tuple[str, str]] = set()
        """(file, function) called with a record that holds it."""

    def __enter__(self) -> PathWatch:
        """Switch on, in this thread and in threads that start from now on."""
        threading.setprofile(self._call)
        sys.setprofile(self._call)
        return self

    def __exit__(self, *exception: object) -> None:
        """Switch off."""
        sys.setprofile(None)
        threading.setprofile(None)

    def _call(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(self.package):
            return
        where = (code.co_filename, code.co_qualname)
        count = code.co_argcount + code.co_kwonlyargcount
        values = [frame.f_locals[name] for name in code.co_varnames[:count] if name in frame.f_locals]
        if any(self._is_path(value) for value in values):
            self.given.add(where)
        elif where not in self.held and any(self._holds(value, DEPTH) for value in values):
            self.held.add(where)

    def _is_path(self, value: object) -> bool:
        return isinstance(value, str | os.PathLike) and os.fspath(value) == str(self.path)

    def _holds(self, value: object, depth: int) -> bool:
        return any(self._is_path(one) or (depth > 1 and self._holds(one, depth - 1)) for one in _fields(value))

    def handled(self) -> Handled:
        """The counts so far."""
        both = self.given | self.held
        return Handled(
            len({file for file, _ in self.given}), len(self.given), len({file for file, _ in both}), len(both)
        )


def _fields(value: object) -> Iterator[object]:
    """Values of an object's own fields; nothing for what has none, such as numbers, arrays and containers."""
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return iter(())
    return iter(list(vars(value).values()))


def count_here(workplace: Path) -> Handled:
    """Counts for the `headstart` that this process imports.

    Args:
        workplace: Empty folder for images and the run.
    """
    import headstart

    try:
        commands = importlib.import_module("headstart.apps.cli.main")
    except ModuleNotFoundError:  # the command line was one module before it became a folder
        commands = importlib.import_module("headstart.apps.cli")
    images = frames.make_images(workplace / "photos")
    options = ["--strategy", "feature_extraction", "--model", frames.MODEL, "--input-size", str(frames.SIDE)]
    sys.argv = ["headstart", "train", str(images), *options, "--out", str(workplace / "run"), "--json"]
    with PathWatch(images, package=Path(headstart.__file__).parent) as watch:
        try:
            commands.main()
        except SystemExit as end:
            if end.code:
                raise
    return watch.handled()


def count(source: Path, workplace: Path) -> Handled:
    """Counts for the package under `source`, in a subprocess.

    Args:
        source: Folder that holds `headstart`.
        workplace: Empty folder for images, run and caches.

    Raises:
        RuntimeError: the training failed; with what it printed.
    """
    source, workplace = source.resolve(), workplace.resolve()
    environment = {**os.environ, "PYTHONPATH": str(source), "HEADSTART_HOME": str(workplace / "home")}
    command = [sys.executable, __file__, str(workplace)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=workplace)
    if done.returncode != 0:
        raise RuntimeError(f"headstart train from {source} failed:\n{done.stderr}")
    return Handled(**json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    print(json.dumps(asdict(count_here(Path(sys.argv[1])))))
