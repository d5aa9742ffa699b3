"""Requests to stop: by a signal or by the clock. The loop checks after every step; no step is interrupted.

The solvers of the head check between blocks of rows and iterations, and engines after every batch of features.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from headstart.runs.events import StopReason

HEARD = "stopping after the current step; Ctrl-C once more stops at once"

SOLVE_GRACE_SECONDS = 2.0
"""A spent budget lets the fit of a head go on for this long: with few images that is enough for a result."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ONE_REQUEST_SECONDS = 2.0
"""Signals within this time are one request: schedulers signal every process of a job, and a parent hands its own on."""


class StopRequest:
    """Whether to stop after the current step."""

    def __init__(
        self,
        *,
        budget_seconds: float | None = None,
        started: float | None = None,
        tell: Callable[[str], object] = lambda text: None,
    ) -> None:
        """Start the clock.

        Args:
            budget_seconds: From `started`; None has no limit.
            started: `time.monotonic()` of the command's start; now if None. Earlier by what was spent before, where
                several processes share the budget.
            tell: Called with HEARD as soon as a signal comes, because a step can take a while.
        """
        self._tell = tell
        begun = time.monotonic() if started is None else started
        self._deadline = None if budget_seconds is None else begun + budget_seconds
        self._signalled = False

    @property
    def reason(self) -> StopReason | None:
        """Why to stop, or None to go on; a signal is the stronger reason."""
        if self._signalled:
            return "signal"
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "budget"
        return None

    def signalled(self) -> None:
        """Ask to stop."""
        self._signalled = True

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Turn Ctrl-C and SIGTERM into a request while the block runs; one more, two seconds later, acts as usual."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return

        before = {number: signal.getsignal(number) for number in _SIGNALS}
        requests: list[float] = []

        def ask(number: int, frame: FrameType | None) -> None:
            self.signalled()
            requests.append(time.monotonic())
            if len(requests) == 1:
                with contextlib.suppress(RuntimeError):  # the signal came while a line was being written
                    self._tell(HEARD)
            if requests[-1] - requests[0] > _ONE_REQUEST_SECONDS:
                for each, handler in before.items():
                    signal.signal(each, handler)
                os.kill(os.getpid(), number)

        for number in _SIGNALS:
            signal.signal(number, ask)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Stopped(Exception):  # noqa: N818 - not an error
    """Unwinds to where a run ends, with everything saved."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason)
        self.reason = reason


def stop_if_requested(stop: StopRequest) -> None:
    """Raise if the run is to stop.

    Raises:
        Stopped: the run is to stop.
    """
    if (reason := stop.reason) is not None:
        raise Stopped(reason)


@dataclass
class SolveCheck:
    """Check between the steps of a solver: a signal stops it at once, a spent budget after SOLVE_GRACE_SECONDS."""

    stop: StopRequest
    leave: Callable[[], object]
    """Raises where the run is to stop."""
    _began: float | None = None

    def __call__(self) -> None:
        """Call `leave` once it is time."""
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        if self.stop.reason == "signal" or now - self._began > SOLVE_GRACE_SECONDS:
            self.leave()
