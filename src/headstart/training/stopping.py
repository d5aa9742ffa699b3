"""Requests to stop: by a signal or by the clock. The loop looks after every step; nothing is cut in the middle.

The solvers of the head look between blocks of rows and iterations, and who computes features after every batch.
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
"""A spent budget lets the fit of a head go on for so long: with few images that is all of it, with a result."""

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
            tell: Called with HEARD as soon as a signal comes: a step can take a while, and silence looks like deafness.
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
        asked: list[float] = []

        def ask(number: int, frame: FrameType | None) -> None:
            self.signalled()
            asked.append(time.monotonic())
            if len(asked) == 1:
                with contextlib.suppress(RuntimeError):  # the signal came while a line was being written
                    self._tell(HEARD)
            if asked[-1] - asked[0] > _ONE_REQUEST_SECONDS:
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
    """Look whether to stop.

    Raises:
        Stopped: yes.
    """
    if (reason := stop.reason) is not None:
        raise Stopped(reason)


@dataclass
class SolveCheck:
    """Asks between the steps of a solve: a signal is heard at once, a spent budget after SOLVE_GRACE_SECONDS of it."""

    stop: StopRequest
    leave: Callable[[], object]
    """Called to look whether to stop, and to raise then."""
    _began: float | None = None

    def __call__(self) -> None:
        """Look, once it is time."""
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        if self.stop.reason == "signal" or now - self._began > SOLVE_GRACE_SECONDS:
            self.leave()
