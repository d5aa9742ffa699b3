"""One vocabulary of states for lists and reports."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from headstart.runs.finding import summary_of
from headstart.runs.folder import Run
from headstart.runs.record import read_run
from headstart.runs.state import QUIET_SECONDS, StateOfRun, state_of
from made_runs import quiet_since
from report_folders import make_run


@pytest.mark.parametrize(
    ("ends", "state", "why"),
    [
        ("finished", "finished", ""),
        ("budget", "stopped", "stopped by the budget; it has test figures"),
        ("signal", "stopped", "stopped by the signal; everything is saved"),
        ("killed", "running", "last written to 0 s ago"),
    ],
)
def test_the_list_and_the_report_of_a_run_agree(tmp_path: Path, ends: str, state: str, why: str):
    folder = make_run(tmp_path / "run", ends=ends)
    now = max(path.stat().st_mtime for path in folder.rglob("*"))
    found = state_of(folder, Run(folder).metrics(), now=now)
    assert found == StateOfRun(state, why)
    assert summary_of(folder).state == read_run(folder).state == state


@pytest.mark.parametrize(
    ("seconds", "age"), [(301.0, "5 min"), (2 * 3600.0, "2 h"), (3 * 86_400.0, "3 d")], ids=["minutes", "hours", "days"]
)
def test_silence_counts_as_killed(tmp_path: Path, seconds: float, age: str):
    folder, now = make_run(tmp_path / "run", ends="killed"), time.time()
    quiet_since(folder, now - seconds)
    assert seconds > QUIET_SECONDS
    assert state_of(folder, None, now=now) == StateOfRun("interrupted", f"last written to {age} ago")


def test_a_run_that_goes_on_after_its_budget_is_not_stopped_any_more(tmp_path: Path):
    folder = make_run(tmp_path / "run", ends="budget")
    quiet_since(folder, time.time() - 1000)
    values: dict[str, Any] = {"phase": 1, "epoch": 2}
    Run(folder).append_event("resumed", **values)
    run = Run(folder)
    assert state_of(folder, run.metrics()).state == "running"
    run.append_event("stopped", reason="signal")
    assert state_of(folder, run.metrics()).state == "stopped"
