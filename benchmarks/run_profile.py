"""Where the seconds of a command go: a table of a cold and of warm runs, sampled while they run as fresh processes.

    python benchmarks/run_profile.py FOLDER [--rounds 3] [-- train options]

Cold: an empty $HEADSTART_HOME, so that nothing is known. New folder: the network is known, the images are not. Warm:
the same command again. A sampler looks at the main thread every two milliseconds and books the time since its last look
on what that thread does; "CPU" are the seconds of the whole process meanwhile, threads included. An import is booked on
the package that was imported first: torchvision belongs to timm where timm imports it. The run with the median time is
printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

LOOK_SECONDS = 0.002
DEFAULT_OPTIONS = ("--strategy", "feature_extraction")
IMAGE_FOLDERS = ("images", "store")
"""Of $HEADSTART_HOME: what is known of images."""
START, END = "start of Python", "end of the process"

WORK: Sequence[tuple[str, str]] = (
    ("engine/prefix/onnx_engine.py:_export_into_cache", "export to ONNX"),
    ("engine/prefix/onnx_engine.py:exported_path", "address of the exported network"),
    ("engine/prefix/onnx_session.py:_session", "load the exported network"),
    ("engine/prefix/engines.py:choose_engine", "compare the engines"),
    ("engine/prefix/running.py:outputs_of", "features: decode and forward"),
    ("engine/costs/", "estimates, short timing runs"),
    ("engine/store/", "activation cache"),
    ("solvers/", "fit the linear probe"),
    ("prediction/bundle.py:", "write and read the bundle"),
    ("prediction/", "evaluate the bundle"),
    ("runs/", "run folder"),
    ("training/checkpoint.py:", "run folder"),
    ("networks/", "build the network, load its weights"),
    ("engine/", "other work of the engines"),
    ("workflow/training/build.py:", "build the network, load its weights"),
    ("workflow/training/fit_run.py:", "other work of the run"),
    ("workflow/training/train.py:train", "wait for the check of the images"),
    ("apps/", "command line"),
)
"""Beginning of `file:function` -> what it does; the first that a frame of the stack matches."""


def activity(stack: Sequence[CodeType], package: str) -> str:
    """What a thread does.

    Args:
        stack: Code of its frames, outermost first.
        package: Folder of headstart.
    """
    for code in stack:
        if code.co_name == "<module>" and (name := _package_of(code.co_filename)) is not None:
            return f"import {name}"
    own = [code for code in stack if code.co_filename.startswith(package)]
    if any(code.co_name == "<module>" for code in own):
        return "import headstart"
    places = [f"{code.co_filename[len(package) + 1 :]}:{code.co_name}" for code in own]
    found = (what for part, what in WORK if any(place.startswith(part) for place in places))
    return next(found, "the rest")


def _package_of(file: str) -> str | None:
    """`torch` of `.../site-packages/torch/nn/__init__.py`; None for the program itself and for the standard library."""
    _, found, inside = file.partition("site-packages/")
    return inside.split("/")[0].removesuffix(".py") if found else None


def _stack(frame: FrameType | None) -> list[CodeType]:
    found = []
    while frame is not None:
        found.append(frame.f_code)
        frame = frame.f_back
    return found[::-1]


class Sampler(threading.Thread):
    """Books the time of the main thread on what it does, until the process ends."""

    def __init__(self, package: str) -> None:
        super().__init__(daemon=True)
        self._package, self._main = package, threading.main_thread().ident
        self._ended = threading.Event()
        self.seconds: Counter[str] = Counter()
        self.cpu: Counter[str] = Counter()

    def run(self) -> None:
        """Look until `stop`."""
        wall, cpu = time.perf_counter(), time.process_time()
        while not self._ended.wait(LOOK_SECONDS):
            frame = sys._current_frames().get(self._main or 0)
            what = activity(_stack(frame), self._package)
            now, spent = time.perf_counter(), time.process_time()
            # The time since the last look, not one look each: a library that holds the lock delays the next look.
            self.seconds[what] += now - wall
            self.cpu[what] += spent - cpu
            wall, cpu = now, spent

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self.join()


def child(figures: Path, command: Sequence[str]) -> None:
    """Run one command of headstart in this process, and write what its main thread did."""
    from importlib.util import find_spec

    spec = find_spec("headstart")
    assert spec is not None
    assert spec.origin is not None
    sampler = Sampler(str(Path(spec.origin).parent))
    before = time.process_time()
    sampler.start()
    sys.argv = ["headstart", *command]
    try:
        from headstart.apps.cli.main import program

        program()
    finally:
        sampler.stop()
        row = {"seconds": sampler.seconds, "cpu": {START: before, **sampler.cpu}, "ended": time.time()}
        figures.write_text(json.dumps(row))


def profiled(command: Sequence[str], home: Path) -> dict[str, Any]:
    """Seconds and CPU seconds by activity of one run in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        began = time.time()
        words = [sys.executable, __file__, "--child", str(figures), "--", *command, "--out", str(Path(folder) / "run")]
        environment = {**os.environ, "HEADSTART_HOME": str(home)}
        subprocess.run(words, check=True, capture_output=True, env=environment)
        whole = time.time() - began
        row = json.loads(figures.read_text())
    row["seconds"][END] = began + whole - row["ended"]
    row["seconds"][START] = whole - sum(row["seconds"].values())
    return {**row, "total": whole}


def table(row: Mapping[str, Any], *, empty: float) -> Iterator[str]:
    """Lines of a table, the longest activity first; what takes less than a hundredth stands in one line.

    Args:
        row: Of `profiled`.
        empty: Seconds of an empty Python program.
    """
    seconds, cpu, total = row["seconds"], row["cpu"], row["total"]
    shown = [name for name in sorted(seconds, key=lambda name: -seconds[name]) if seconds[name] >= total / 100]
    small = [name for name in {*seconds, *cpu} if name not in shown]
    yield "| what | share | seconds | CPU |"
    yield "|---|---|---|---|"
    for name in shown:
        yield f"| {name} | {seconds[name] / total:.0%} | {seconds[name]:.2f} | {cpu.get(name, 0.0):.2f} |"
    rest = [sum(part.get(name, 0.0) for name in small) for part in (seconds, cpu)]
    yield f"| {len(small)} others | {rest[0] / total:.0%} | {rest[0]:.2f} | {rest[1]:.2f} |"
    yield f"| **all** ({total - empty:.2f} s over an empty program) | | {total:.2f} | {sum(cpu.values()):.2f} |"


def _median(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    middle = statistics.median_low([row["total"] for row in rows])
    return next(row for row in rows if row["total"] == middle)


def _forget_images(home: Path) -> None:
    """Leave what is known of the network and the machine."""
    for name in IMAGE_FOLDERS:
        shutil.rmtree(home / name, ignore_errors=True)


def _empty_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("words", nargs="*", metavar="FOLDER [OPTION ...]")
    given = parser.parse_args()
    if given.child is not None:
        child(given.child, given.words)
        return
    from measured import spread, where

    folder, *options = given.words
    command = ["train", folder, *(options or DEFAULT_OPTIONS)]
    empty = min(_empty_seconds() for _ in range(5))
    print(f"{' '.join(command)}; {where()}; an empty program takes {empty:.2f} s")
    kinds: Mapping[str, Callable[[Path], object]] = {
        "cold: everything empty": lambda home: None,
        "new folder: the network is known": _forget_images,
        "warm: the same once more": lambda home: None,
    }
    rounds: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as home:
            for kind, prepare in kinds.items():
                prepare(Path(home))
                rounds[kind].append(profiled(command, Path(home)))
    for kind, rows in rounds.items():
        print(f"\n{kind} ({spread([row['total'] for row in rows])} s)\n")
        print("\n".join(table(_median(rows), empty=empty)))


if __name__ == "__main__":
    main()
