"""The choice counts set-up against images, and figures survive a process but not a broken file."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.engine.costs.memory import remember_value
from headstart.engine.prefix import engine_choice
from headstart.engine.prefix.engine_choice import (
    EXPECTED_GAIN,
    EXPECTED_SETUP_SECONDS,
    LOSS_HOLDS_SECONDS,
    EngineThroughputs,
    faster_engine,
    in_a_line,
    is_of_the_moment,
    recall_engines,
    remember_engines,
)
from headstart.errors import DiskFullError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    return tmp_path


@given(
    images=st.integers(1, 10**6),
    torch_throughput=st.floats(1, 1000),
    throughput=st.floats(1, 1000),
    setup=st.floats(0, 100),
)
def test_the_faster_engine_is_the_one_with_the_smaller_sum(
    images: int, torch_throughput: float, throughput: float, setup: float
) -> None:
    found = faster_engine(
        images, torch_throughput, EngineThroughputs(torch_throughput, throughput, setup), exported=False
    )
    assert found == ("onnxruntime" if setup + images / throughput < images / torch_throughput else "torch")


def test_without_figures_setup_is_paid_once_there_are_enough_images() -> None:
    enough = EXPECTED_SETUP_SECONDS * 10 / (1 - 1 / EXPECTED_GAIN)
    assert faster_engine(int(enough) - 1, 10, None, exported=False) == "torch"
    assert faster_engine(int(enough) + 1, 10, None, exported=False) == "onnxruntime"
    assert faster_engine(int(enough / 2), 10, None, exported=True) == "onnxruntime"


def test_what_does_not_run_there_is_never_chosen() -> None:
    assert faster_engine(10**9, 1, EngineThroughputs(1, 0, 0), exported=True) == "torch"


def test_figures_belong_to_one_machine_and_one_prefix(home: Path) -> None:
    assert recall_engines("this", "a") is None
    remember_engines("this", "a", EngineThroughputs(10, 40.12345, 2))
    remember_engines("this", "b", EngineThroughputs(1, 0, 0))
    assert recall_engines("this", "a") == EngineThroughputs(10, 40.123, 2)
    assert recall_engines("this", "b") == EngineThroughputs(1, 0, 0)
    assert recall_engines("other", "a") is None


@pytest.mark.parametrize("value", [3, "x", [], {"torch": 1}, {"torch": 1, "wrong": 2}, None])
def test_damaged_figures_are_measured_over(home: Path, value: object) -> None:
    remember_value("this", "engines", "a", value)
    assert recall_engines("this", "a") is None
    remember_engines("this", "a", EngineThroughputs(1, 2, 3))
    assert recall_engines("this", "a") == EngineThroughputs(1, 2, 3)


def test_where_nothing_can_be_kept_nothing_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise PermissionError

    monkeypatch.setattr(engine_choice, "remember_value", refuse)
    remember_engines("this", "a", EngineThroughputs(1, 2, 3))
    assert recall_engines("this", "a") is None


@pytest.mark.parametrize(("throughput", "holds"), [(0.0, False), (5.0, False), (10.0, False), (11.0, True)])
def test_what_speaks_against_an_engine_is_forgotten_in_time_and_what_speaks_for_it_is_not(
    home: Path, throughput: float, holds: bool
) -> None:
    now = time.time()
    remember_engines("this", "fresh", EngineThroughputs(10, throughput, 1, now - LOSS_HOLDS_SECONDS + 60))
    remember_engines("this", "old", EngineThroughputs(10, throughput, 1, now - LOSS_HOLDS_SECONDS - 60))
    assert recall_engines("this", "fresh") == EngineThroughputs(10, throughput, 1)
    assert recall_engines("this", "old") == (EngineThroughputs(10, throughput, 1) if holds else None)


def test_a_loss_that_does_not_say_when_is_old(home: Path) -> None:
    figures = {"torch": 10, "onnxruntime": 5, "setup_seconds": 1}
    remember_value("this", "engines", "a", figures)
    remember_value("this", "engines", "b", {**figures, "onnxruntime": 20})
    assert recall_engines("this", "a") is None
    assert recall_engines("this", "b") == EngineThroughputs(10, 20, 1)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (DiskFullError("the disk is full"), True),
        (PermissionError("no"), True),
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("Exporting the operator 'aten::linalg_svd' is not supported"), False),
        (ValueError("unknown graph"), False),
    ],
)
def test_what_disk_and_memory_lack_says_nothing_of_a_network(error: Exception, passes: bool) -> None:
    assert is_of_the_moment(error) == passes


def test_a_complaint_is_one_line() -> None:
    assert in_a_line(RuntimeError("first\nsecond")) == "first"
    assert in_a_line(MemoryError()) == "MemoryError"


REMEMBERS = """
import sys
from headstart.engine.prefix.engine_choice import EngineThroughputs, remember_engines
for number in range(10):
    remember_engines("this", f"{sys.argv[1]} {number}", EngineThroughputs(1, 2, 3))
"""


def test_processes_that_measure_together_keep_each_others_throughputs(home: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", REMEMBERS, name]) for name in "abc"]
    assert [worker.wait() for worker in workers] == [0] * 3
    assert all(
        recall_engines("this", f"{name} {number}") == EngineThroughputs(1, 2, 3)
        for name in "abc"
        for number in range(10)
    )
