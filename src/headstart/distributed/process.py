"""Work in a process of its own: it starts with the libraries loaded, its memory is its own, and a crash ends only it.

The process is forked from a server that has imported torch and trained nothing, so it begins in milliseconds and its
peak memory is that of the work. It dies with whoever asked for the work, however that dies: nobody may write to a run
folder that somebody else takes up again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from headstart.errors import HeadstartError, Interrupted, RunError
from headstart.plan.plan import Phase
from headstart.runs.observers import Observer
from headstart.training.stopping import STOPPING, StopRequest

Result = TypeVar("Result")

PRELOADED = ("headstart.training.loop", "headstart.prediction.predictor", "headstart.prediction.latency", "timm")
_LOOK_SECONDS = 0.2
"""How often a request to stop is looked for."""


class Reported(Observer):
    """Hands every moment on to another process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def phase_started(self, index: int, phase: Phase) -> None:
        """Handed on."""
        self._connection.send(("phase_started", (index, phase)))

    def work_started(self, what: str, total: int) -> None:
        """Handed on."""
        self._connection.send(("work_started", (what, total)))

    def work_done(self, count: int) -> None:
        """Handed on."""
        self._connection.send(("work_done", (count,)))

    def epoch_done(self, row: Mapping[str, Any]) -> None:
        """Handed on."""
        self._connection.send(("epoch_done", (dict(row),)))

    def phase_done(self, row: Mapping[str, Any]) -> None:
        """Handed on."""
        self._connection.send(("phase_done", (dict(row),)))

    def noted(self, event: str, values: Mapping[str, Any]) -> None:
        """Handed on; but a signal is for the one who asked to tell: this comes in the middle of a message, maybe."""
        if event != STOPPING:
            self._connection.send(("noted", (event, dict(values))))


def apart(work: Callable[[Any, Observer], Result], task: object, *, observer: Observer, stop: StopRequest) -> Result:
    """What `work(task, observer)` returns, done in another process.

    Args:
        work: A function of a module.
        task: Can be pickled, as what `work` returns.
        observer: Told here what the other process reports.
        stop: A request by signal is handed on as SIGTERM, once; the work then saves and ends.

    Raises:
        HeadstartError: as `work`; Interrupted if it was stopped; RunError if its process died.
    """
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    context.set_forkserver_preload(list(PRELOADED))
    here, there = context.Pipe()
    process = context.Process(target=_in_another, args=(work, task, there))
    with _without_main():
        process.start()
    there.close()
    try:
        kind, value = _followed(here, process, observer, stop)
    finally:
        here.close()  # the other process ends itself when it notices
        process.join()
    if kind == "returned":
        found: Result = value
        return found
    if kind == "raised":
        raise value
    if stop.reason == "signal":
        raise Interrupted("stopped", remedy="")
    raise RunError(
        f"the process that did it {_ending(process.exitcode)}",
        remedy="if it was killed, memory may have run out: a smaller --batch-size or --input-size needs less",
    )


def _followed(here: Connection, process: Any, observer: Observer, stop: StopRequest) -> tuple[str, Any]:  # noqa: ANN401
    """Messages up to the last; ("died", None) if there is none."""
    told = False
    while True:
        if stop.reason == "signal" and not told:
            told = True
            process.terminate()
        try:
            if not here.poll(_LOOK_SECONDS):
                continue
            kind, value = here.recv()
        except (EOFError, ConnectionResetError):
            return "died", None
        if kind in ("returned", "raised"):
            return kind, value
        getattr(observer, kind)(*value)


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


def _in_another(work: Callable[[Any, Observer], Any], task: object, connection: Connection) -> None:
    """What the other process does."""
    os.setpgrp()  # Ctrl-C reaches the one who asked, who hands it on
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    try:
        value = work(task, Reported(connection))
        connection.send(("returned", value))
    except BrokenPipeError:  # nobody is there any more
        os._exit(1)
    except HeadstartError as error:
        connection.send(("raised", error))
    except Exception as error:
        lines = (str(error).strip() or type(error).__name__).splitlines()
        connection.send(("raised", RunError(f"{type(error).__name__}: {lines[0]}")))


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """The other process does not run the user's script again: nothing of it is needed there."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _end_with(connection: Connection) -> None:
    """Waits for nothing but the end of the other side."""
    with contextlib.suppress(OSError, EOFError):
        connection.recv()
    os.kill(os.getpid(), signal.SIGKILL)
