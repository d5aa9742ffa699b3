"""The choice counts set-up against images, and figures survive a process but not a broken file."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.engine.prefix import engine_choice
from headstart.engine.prefix.engine_choice import (
    EXPECTED_GAIN,
    EXPECTED_SETUP_SECONDS,
    LOSS_HOLDS_SECONDS,
    Rates,
    in_a_line,
    is_of_the_moment,
    recall,
    remember,
    sooner,
)
from headstart.errors import DiskFullError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    return tmp_path


@given(
    images=st.integers(1, 10**6),
    torch_rate=st.floats(1, 1000),
    rate=st.floats(1, 1000),
    setup=st.floats(0, 100),
)
def test_the_sooner_engine_is_the_one_with_the_smaller_sum(
    images: int, torch_rate: float, rate: float, setup: float
) -> None:
    found = sooner(images, torch_rate, Rates(torch_rate, rate, setup), exported=False)
    assert found == ("onnxruntime" if setup + images / rate < images / torch_rate else "torch")


def test_without_figures_setup_is_paid_once_there_are_enough_images() -> None:
    enough = EXPECTED_SETUP_SECONDS * 10 / (1 - 1 / EXPECTED_GAIN)
    assert sooner(int(enough) - 1, 10, None, exported=False) == "torch"
    assert sooner(int(enough) + 1, 10, None, exported=False) == "onnxruntime"
    assert sooner(int(enough / 2), 10, None, exported=True) == "onnxruntime"


def test_what_does_not_run_there_is_never_chosen() -> None:
    assert sooner(10**9, 1, Rates(1, 0, 0), exported=True) == "torch"


def test_figures_belong_to_one_machine_and_one_prefix(home: Path) -> None:
    assert recall("this", "a") is None
    remember("this", "a", Rates(10, 40.12345, 2))
    remember("this", "b", Rates(1, 0, 0))
    assert recall("this", "a") == Rates(10, 40.123, 2)
    assert recall("this", "b") == Rates(1, 0, 0)
    assert recall("other", "a") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"this": 3}', '{"this": {"a": {"torch": 1}}}', "null"])
def test_a_broken_file_is_measured_over(home: Path, text: str) -> None:
    (home / "engines.json").write_text(text)
    assert recall("this", "a") is None
    remember("this", "a", Rates(1, 2, 3))
    assert recall("this", "a") == Rates(1, 2, 3)


def test_where_nothing_can_be_kept_nothing_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise PermissionError

    monkeypatch.setattr(engine_choice, "update_json", refuse)
    remember("this", "a", Rates(1, 2, 3))
    assert recall("this", "a") is None


@pytest.mark.parametrize(("rate", "holds"), [(0.0, False), (5.0, False), (10.0, False), (11.0, True)])
def test_what_speaks_against_an_engine_is_forgotten_in_time_and_what_speaks_for_it_is_not(
    home: Path, rate: float, holds: bool
) -> None:
    now = time.time()
    remember("this", "fresh", Rates(10, rate, 1, now - LOSS_HOLDS_SECONDS + 60))
    remember("this", "old", Rates(10, rate, 1, now - LOSS_HOLDS_SECONDS - 60))
    assert recall("this", "fresh") == Rates(10, rate, 1)
    assert recall("this", "old") == (Rates(10, rate, 1) if holds else None)


def test_a_loss_that_does_not_say_when_is_old(home: Path) -> None:
    figures = {"torch": 10, "onnxruntime": 5, "setup_seconds": 1}
    (home / "engines.json").write_text(json.dumps({"this": {"a": figures, "b": {**figures, "onnxruntime": 20}}}))
    assert recall("this", "a") is None
    assert recall("this", "b") == Rates(10, 20, 1)


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
from headstart.engine.prefix.engine_choice import Rates, remember
for number in range(10):
    remember("this", f"{sys.argv[1]} {number}", Rates(1, 2, 3))
"""


def test_processes_that_measure_together_keep_each_others_rates(home: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", REMEMBERS, name]) for name in "abc"]
    assert [worker.wait() for worker in workers] == [0] * 3
    assert all(recall("this", f"{name} {number}") == Rates(1, 2, 3) for name in "abc" for number in range(10))
