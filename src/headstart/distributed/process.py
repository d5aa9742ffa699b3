"""Work in a subprocess, which starts with the libraries loaded, has its own memory, and may crash alone.

The subprocess is forked from a server that has imported torch and trained nothing, so it begins in milliseconds and its
peak memory is that of the work. It ends with its parent, however that ends: two processes must never write to one run
folder.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from headstart.errors import HeadstartError, Interrupted, RunError
from headstart.plan.plan import Phase
from headstart.runs.event import Event
from headstart.runs.events import Stopping
from headstart.runs.observers import Observer
from headstart.runs.training_events import EpochDone, PhaseDone
from headstart.training.stopping import StopRequest

WorkResult = TypeVar("WorkResult")

PRELOADED = ("headstart.training.loop", "headstart.prediction.predictor", "headstart.prediction.latency", "timm")
_POLL_SECONDS = 0.2
"""Interval between checks for a request to stop."""


class ForwardingObserver(Observer):
    """Observer that forwards every event to the parent process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def phase_started(self, index: int, phase: Phase) -> None:
        """Forward the event."""
        self._connection.send(("phase_started", (index, phase)))

    def work_started(self, what: str, total: int) -> None:
        """Forward the event."""
        self._connection.send(("work_started", (what, total)))

    def work_done(self, count: int) -> None:
        """Forward the event."""
        self._connection.send(("work_done", (count,)))

    def epoch_done(self, row: EpochDone) -> None:
        """Forward the event."""
        self._connection.send(("epoch_done", (row,)))

    def phase_done(self, row: PhaseDone) -> None:
        """Forward the event."""
        self._connection.send(("phase_done", (row,)))

    def noted(self, event: Event) -> None:
        """Forward the event, except stopping: it comes from a signal handler, perhaps in the middle of a message."""
        if not isinstance(event, Stopping):
            self._connection.send(("noted", (event,)))


def run_in_subprocess(
    work: Callable[[Any, Observer], WorkResult], task: object, *, observer: Observer, stop: StopRequest
) -> WorkResult:
    """Result of `work(task, observer)`, run in a subprocess.

    Args:
        work: Function of a module.
        task: Its argument; it and the result can be pickled.
        observer: Receives the events of the subprocess.
        stop: A request by signal is forwarded as SIGTERM, once; the work then saves and ends.

    Raises:
        HeadstartError: as `work`; Interrupted if it was stopped; RunError if its process died.
    """
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    context.set_forkserver_preload(list(PRELOADED))
    here, there = context.Pipe()
    process = context.Process(target=_run_and_send, args=(work, task, there))
    with _without_main():
        process.start()
    there.close()
    try:
        kind, value = _receive(here, process, observer, stop)
    finally:
        here.close()  # the subprocess ends itself when it notices
        process.join()
    if kind == "returned":
        found: WorkResult = value
        return found
    if kind == "raised":
        raise value
    if stop.reason == "signal":
        raise Interrupted("stopped", remedy="")
    raise RunError(
        f"the subprocess {_death_text(process.exitcode)}",
        remedy="if it was killed, memory may have run out: a smaller --batch-size or --input-size needs less",
    )


def _receive(here: Connection, process: Any, observer: Observer, stop: StopRequest) -> tuple[str, Any]:  # noqa: ANN401
    """Last message of the subprocess; ("died", None) if there is none."""
    terminated = False
    while True:
        if stop.reason == "signal" and not terminated:
            terminated = True
            process.terminate()
        try:
            if not here.poll(_POLL_SECONDS):
                continue
            kind, value = here.recv()
        except (EOFError, ConnectionResetError):
            return "died", None
        if kind in ("returned", "raised"):
            return kind, value
        getattr(observer, kind)(*value)


def _death_text(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


def _run_and_send(work: Callable[[Any, Observer], Any], task: object, connection: Connection) -> None:
    """Run the work in the subprocess and send its result."""
    os.setpgrp()  # Ctrl-C reaches the parent, which forwards it
    threading.Thread(target=_exit_with_parent, args=(connection,), daemon=True).start()
    try:
        value = work(task, ForwardingObserver(connection))
        connection.send(("returned", value))
    except BrokenPipeError:  # the parent has ended
        os._exit(1)
    except HeadstartError as error:
        connection.send(("raised", error))
    except Exception as error:
        lines = (str(error).strip() or type(error).__name__).splitlines()
        connection.send(("raised", RunError(f"{type(error).__name__}: {lines[0]}")))


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Keep the subprocess from running the user's script again: nothing of it is needed there."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _exit_with_parent(connection: Connection) -> None:
    """Kill this process when its parent ends."""
    with contextlib.suppress(OSError, EOFError):
        connection.recv()
    os.kill(os.getpid(), signal.SIGKILL)
