"""Work in another process: what it returns, raises and reports comes back; it ends with whoever asked for it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from headstart.distributed import process as module
from headstart.distributed.process import run_in_subprocess
from headstart.errors import DataError, Interrupted, RunError
from headstart.runs.event import Event
from headstart.runs.events import Computing
from headstart.runs.observers import Observer
from headstart.training.stopping import StopRequest


def double(task: int, observer: Observer) -> dict[str, int]:
    observer.work_started("doubling", 1)
    observer.noted(Computing(f"task {task}"))
    observer.work_done(1)
    return {"double": 2 * task, "process": os.getpid()}


def fail(task: Any, observer: Observer) -> None:
    raise DataError("nothing there", expected="images", remedy="look again")


def stumble(task: Any, observer: Observer) -> None:
    raise ZeroDivisionError("by zero\nreally")


def die(task: Any, observer: Observer) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def save_when_asked(task: Path, observer: Observer) -> None:
    stop = StopRequest()
    with stop.listening():
        observer.noted(Computing("listening"))
        while stop.reason is None:
            time.sleep(0.01)
    task.write_text("saved")
    raise Interrupted("stopped; everything is saved")


class Watching(Observer):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def work_started(self, what: str, total: int) -> None:
        self.seen.append((what, total))

    def work_done(self, count: int) -> None:
        self.seen.append(count)

    def noted(self, event: Event) -> None:
        self.seen.append(event)


@pytest.fixture(autouse=True)
def _nothing_preloaded(monkeypatch: pytest.MonkeyPatch):
    """Torch is not needed here."""
    monkeypatch.setattr(module, "PRELOADED", ())


def test_what_is_returned_and_reported_comes_back():
    watching = Watching()
    found = run_in_subprocess(double, 21, observer=watching, stop=StopRequest())
    assert found["double"] == 42
    assert found["process"] != os.getpid()
    assert watching.seen == [("doubling", 1), Computing("task 21"), 1]


def test_errors_come_back_whole():
    with pytest.raises(DataError, match="nothing there; expected images; look again") as terminated:
        run_in_subprocess(fail, None, observer=Observer(), stop=StopRequest())
    assert terminated.value.remedy == "look again"


def test_what_nobody_expected_comes_back_as_one_line():
    with pytest.raises(RunError, match=r"^ZeroDivisionError: by zero$"):
        run_in_subprocess(stumble, None, observer=Observer(), stop=StopRequest())


def test_a_script_needs_no_guard(tmp_path: Path):
    """The other process does not run the script of whoever asked."""
    (tmp_path / "script.py").write_text(
        "from headstart.runs.observers import Observer; from headstart.training.stopping import StopRequest\n"
        "from headstart.distributed import process as module; module.PRELOADED = ()\n"
        "import sys; sys.path.insert(0, sys.argv[1]); from test_process import double\n"
        "print(module.run_in_subprocess(double, 4, observer=Observer(), stop=StopRequest())['double'])\n"
    )
    arguments = [sys.executable, str(tmp_path / "script.py"), str(Path(__file__).parent)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("8\n", "")


def test_a_process_that_is_killed_is_told():
    with pytest.raises(RunError, match=r"killed by SIGKILL.*memory"):
        run_in_subprocess(die, None, observer=Observer(), stop=StopRequest())


def test_a_request_to_stop_lets_it_save(tmp_path: Path):
    stop = StopRequest()

    class Stopping(Observer):
        def noted(self, event: Event) -> None:
            stop.signalled()

    with pytest.raises(Interrupted):
        run_in_subprocess(save_when_asked, tmp_path / "file", observer=Stopping(), stop=stop)
    assert (tmp_path / "file").read_text() == "saved"


def test_it_ends_when_the_one_who_asked_is_killed(tmp_path: Path):
    code = (
        "import os, sys, time; from pathlib import Path\n"
        "from headstart.runs.observers import Observer; from headstart.training.stopping import StopRequest\n"
        "from headstart.distributed import process as module; module.PRELOADED = ()\n"
        "from test_process import live\n"
        "module.run_in_subprocess(live, Path(sys.argv[1]), observer=Observer(), stop=StopRequest())"
    )
    os.mkfifo(life := tmp_path / "life")
    reading = os.open(life, os.O_RDONLY | os.O_NONBLOCK)  # the worker holds the other end for as long as it lives
    try:
        with subprocess.Popen([sys.executable, "-c", code, str(life)], cwd=Path(__file__).parent) as asking:
            assert read_when_there(reading) == b"alive"
            asking.send_signal(signal.SIGKILL)
        assert read_when_there(reading) == b"", "the worker has ended: nobody holds the other end"
    finally:
        os.close(reading)


def read_when_there(pipe: int) -> bytes:
    """What comes next; b"" at the end. The time is for a machine that is very busy, and no part of the answer."""
    assert select.select([pipe], [], [], 300)[0], "nothing came"
    return os.read(pipe, 5)


def live(task: Path, observer: Observer) -> None:
    with task.open("wb", buffering=0) as pipe:
        pipe.write(b"alive")
        while True:
            time.sleep(60)
