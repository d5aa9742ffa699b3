"""Stopping on request: by signal and by clock."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from headstart.training import stopping
from headstart.training.stopping import StopRequest


def test_nobody_asked():
    assert StopRequest().reason is None


def test_the_budget_counts_from_the_start_of_the_command():
    assert StopRequest(budget_seconds=5, started=time.monotonic() - 6).reason == "budget"
    assert StopRequest(budget_seconds=5, started=time.monotonic() - 1).reason is None


def test_a_clock_that_stood_at_zero_when_it_began_is_a_time_too(monkeypatch: pytest.MonkeyPatch):
    """Shortly after a machine was started, what earlier processes spent leads before its zero."""
    monkeypatch.setattr(time, "monotonic", lambda: 10.0)
    assert StopRequest(budget_seconds=9, started=0.0).reason == "budget"
    assert StopRequest(budget_seconds=60, started=-100.0).reason == "budget"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_at_once_are_one_request_and_a_later_one_acts_as_usual(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
):
    usual: list[int] = []
    before = signal.signal(number, lambda got, frame: usual.append(got))
    try:
        stop = StopRequest()
        with stop.listening():
            for _ in range(3):
                os.kill(os.getpid(), number)
            assert stop.reason == "signal"
            assert not usual
            monkeypatch.setattr(stopping, "_ONE_REQUEST_SECONDS", 0.0)
            os.kill(os.getpid(), number)
            assert usual == [number]
    finally:
        signal.signal(number, before)


def test_the_first_signal_is_acknowledged_at_once_and_only_once():
    said: list[str] = []
    with StopRequest(tell=said.append).listening() as stop:
        assert said == []
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.reason == "signal"
    assert said == ["stopping after the current step; Ctrl-C once more stops at once"]


def test_a_signal_in_the_middle_of_a_line_is_heard_although_it_cannot_be_acknowledged():
    def busy(text: str) -> None:
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    with StopRequest(tell=busy).listening() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.reason == "signal"


def test_a_signal_is_the_stronger_reason():
    stop = StopRequest(budget_seconds=1, started=time.monotonic() - 2)
    stop.signalled()
    assert stop.reason == "signal"


def test_outside_the_main_thread_signals_are_left_alone():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with StopRequest().listening():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
