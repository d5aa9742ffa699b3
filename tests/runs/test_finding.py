"""Every kind of folder is told apart; filters filter; hundreds of runs take no time."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import RunError
from headstart.runs.finding import RunQuery, RunSummary, found_runs, summary_of
from headstart.runs.folder import Run
from headstart.runs.state import QUIET_SECONDS
from made_runs import STARTED, make_comparison, make_run, quiet_since


def test_a_finished_run_in_a_line(tmp_path: Path):
    folder = make_run(tmp_path / "one", accuracy=0.875, seed=7, strategy="full", seconds=12.5)
    assert summary_of(folder).to_dict() == {
        "run": str(folder),
        "started": STARTED,
        "data": "photos",
        "strategy": "full",
        "model": "resnet18:in1k",
        "state": "finished",
        "why": "",
        "accuracy": 0.875,
        "accuracy_interval": [0.775, 1.0],
        "images": 100,
        "seconds": 12.5,
        "seed": 7,
        "resume": None,
    }


def test_a_run_that_can_go_on_says_how(tmp_path: Path):
    by_budget = summary_of(make_run(tmp_path / "budget", stopped="budget"))
    assert (by_budget.state, by_budget.accuracy) == ("stopped", 0.9)
    assert by_budget.why == "stopped by the budget; it has test figures"
    by_signal = summary_of(
        make_run(
            tmp_path / "signal", accuracy=None, events=[("epoch_done", {"epoch": 1}), ("stopped", {"reason": "signal"})]
        )
    )
    assert (by_signal.state, by_signal.accuracy, by_signal.images) == ("stopped", None, None)
    assert "everything is saved" in by_signal.why
    for run in (by_budget, by_signal):
        assert run.resume == f"headstart train --resume {run.run}"


@pytest.mark.parametrize("again", ["", "resumed"])
def test_a_silent_run_was_killed_and_a_busy_one_is_left_alone(tmp_path: Path, again: str):
    """Also where it was stopped before, and is at it again."""
    events = [("epoch_done", {"epoch": 1})]
    if again:
        events = [("stopped", {"reason": "budget"}), ("resumed", {"epoch": 1})]
    folder = make_run(tmp_path / "one", accuracy=None, events=events)
    now = time.time()
    busy = summary_of(folder, now=now)
    assert (busy.state, busy.resume) == ("running", None)
    assert busy.why.startswith("last written to ")
    assert busy.why.endswith(f"if it was killed: headstart train --resume {folder}")
    quiet_since(folder, now - QUIET_SECONDS - 7200)
    killed = summary_of(folder, now=now)
    assert (killed.state, killed.why) == ("interrupted", "last written to 2 h ago")
    assert killed.resume == f"headstart train --resume {folder}"


def test_a_reported_run_that_was_resumed_runs_again_and_keeps_its_figures(tmp_path: Path):
    folder = make_run(tmp_path / "one", stopped="budget")
    quiet_since(folder, time.time() - 1000)
    Run(folder).append_event("resumed", phase=1, epoch=2)
    run = summary_of(folder)
    assert (run.state, run.accuracy, run.resume) == ("running", 0.9, None)
    (folder / "metrics.json").touch()
    assert summary_of(folder).state == "stopped"


def test_a_cut_event_is_passed_over(tmp_path: Path):
    folder = make_run(tmp_path / "one", accuracy=None, events=[("stopped", {"reason": "signal"})])
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b'{"time": 1, "event": "resumed", "ph')
    assert summary_of(folder).state == "stopped"


def damage(folder: Path, name: str) -> None:
    path = folder / name
    if name == "environment.json":
        path.write_text("[]")
    elif name == "data.json":
        path.unlink()
    elif name == "metrics.json":
        path.write_text('{"val": {"accu')
    else:
        path.write_text("a: [1")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("environment.json", "environment.json is damaged: it holds list"),
        ("data.json", "data.json is missing: the run ended while its folder was made"),
        ("metrics.json", "metrics.json cannot be read"),
        ("plan.resolved.yaml", "plan.resolved.yaml cannot be read"),
    ],
)
def test_a_damaged_run_is_named_with_its_reason_and_hides_no_other(tmp_path: Path, name: str, reason: str):
    make_run(tmp_path / "good")
    damage(make_run(tmp_path / "bad"), name)
    found = found_runs(tmp_path)
    assert [Path(run.run).name for run in found.runs] == ["good"]
    assert [run.run for run in found.damaged] == [str(tmp_path / "bad")]
    assert reason in found.damaged[0].reason


def test_missing_values_and_missing_plans_are_damage(tmp_path: Path):
    no_accuracy = make_run(tmp_path / "a")
    (no_accuracy / "metrics.json").write_text('{"val": {}, "seconds": {"total": 1}}')
    unsettled = make_run(tmp_path / "b")
    (unsettled / "plan.resolved.yaml").unlink()
    no_plan = make_run(tmp_path / "c")
    (no_plan / "plan.resolved.yaml").write_text("3")
    reasons = [run.reason for run in found_runs(tmp_path).damaged]
    words = ["run is missing", "plan.resolved.yaml is missing", "plan.resolved.yaml holds a int"]
    assert all(word in reason for word, reason in zip(words, reasons, strict=True))


def test_only_runs_are_taken_for_runs_and_each_once(tmp_path: Path):
    runs = [make_run(tmp_path / name) for name in ("a", "deep/er/b")]
    make_run(tmp_path / "far/far/far/away")
    make_run(tmp_path / ".hidden")
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    (tmp_path / "photos" / "plan.yaml").write_text("strategy: full")  # a plan of the user's, beside his images
    make_run(runs[0] / "inside")
    (tmp_path / "latest").symlink_to(runs[0])
    (tmp_path / "round").symlink_to(tmp_path)
    assert [run.run for run in found_runs(tmp_path).runs] == [str(run) for run in runs]
    assert [run.run for run in found_runs(runs[0]).runs] == [str(runs[0])]
    with pytest.raises(RunError, match="is no folder; expected one that holds run folders"):
        found_runs(tmp_path / "nowhere")


def test_the_trials_of_a_comparison_are_found_when_its_own_folder_is_searched(tmp_path: Path):
    make_run(tmp_path / "alone")
    folder = make_comparison(tmp_path / "compared", finished=False)
    found = found_runs(tmp_path)
    assert [Path(run.run).name for run in found.runs] == ["alone"]
    assert found.comparisons == (folder,)
    trials = found_runs(folder)
    assert [Path(run.run).name for run in trials.runs] == ["001-full-seed0", "002-partial-seed0"]
    assert trials.comparisons == (folder,)


def summary(**values: object) -> RunSummary:
    usual = {"run": "r", "started": STARTED, "data": "photos", "strategy": "full", "model": "resnet18:in1k"}
    more = {"state": "finished", "why": "", "accuracy": 0.9, "accuracy_interval": (0.8, 1.0), "images": 10}
    return RunSummary(**{**usual, **more, "seconds": 5.0, "seed": 0, "resume": None, **values})


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (RunQuery(strategy="full"), "abd"),
        (RunQuery(model="ResNet"), "ab"),
        (RunQuery(model="in1k"), "abcd"),
        (RunQuery(data="cats"), "c"),
        (RunQuery(state="stopped"), "d"),
        (RunQuery(min_accuracy=0.9), "ac"),
        (RunQuery(since=datetime.fromisoformat("2026-11-24T13:00:00+01:00")), "abc"),
        (RunQuery(since=datetime.fromisoformat("2026-11-24T12:00:01+00:00")), "b"),
        (RunQuery(strategy="full", min_accuracy=0.5), "ad"),
        (RunQuery(strategy="partial"), ""),
    ],
)
def test_filters(query: RunQuery, kept: str):
    runs = [
        summary(run="a"),
        summary(run="b", accuracy=None, started="2026-11-24T12:30:00+0000"),
        summary(run="c", model="vit:in1k", data="CATS/a", strategy="gradual"),
        summary(run="d", model="vit:in1k", state="stopped", accuracy=0.6, started="2026-11-01T00:00:00+0000"),
    ]
    assert sorted(run.run for run in query.select(runs)) == list(kept)


@given(
    st.lists(
        st.builds(
            summary,
            started=st.sampled_from(["2026-11-24T12:00:00+0000", "2026-11-24T12:30:00+0100", "nonsense"]),
            accuracy=st.none() | st.floats(0, 1),
            seconds=st.none() | st.floats(0, 1e6),
        )
    )
)
def test_sorting_keeps_all_and_puts_what_is_unknown_last(runs: list[RunSummary]):
    by_date, by_accuracy, by_seconds = (RunQuery(sort=key).select(runs) for key in ("date", "accuracy", "seconds"))
    assert len(by_date) == len(by_accuracy) == len(by_seconds) == len(runs)
    instants = ["12:00:00+0000", "12:30:00+0100", "nonsense"]
    places = [next(i for i, text in enumerate(instants) if text in run.started) for run in by_date]
    assert places == sorted(places)
    known = [run.accuracy for run in by_accuracy if run.accuracy is not None]
    assert [run.accuracy for run in by_accuracy] == [*sorted(known, reverse=True), *[None] * (len(runs) - len(known))]
    known = [run.seconds for run in by_seconds if run.seconds is not None]
    assert [run.seconds for run in by_seconds] == [*sorted(known), *[None] * (len(runs) - len(known))]


def test_two_hundred_runs_take_less_than_a_second(tmp_path: Path):
    for index in range(200):
        make_run(tmp_path / f"run{index}", accuracy=index / 200, events=[("epoch_done", {"rates": [0.1] * 50})] * 20)
    began = time.process_time()
    found = found_runs(tmp_path)
    assert time.process_time() - began < 1.0
    assert len(found.runs) == 200
