"""What people read."""

from __future__ import annotations

import importlib.util
import io
import sys
import types
from dataclasses import replace

import pytest
from rich.console import Console

from every_event import ESTIMATE
from headstart.apps.cli.text import console
from headstart.plan.plan import ProbePhase, TrainPhase
from headstart.runs.events import CheckpointSelected, Computing, HeadSelected, PrefixPlanned, WeightsLoaded
from headstart.runs.training_events import EpochDone, PhaseDone
from headstart.runs.warnings import DataFinding, OptionWithoutEffect


def test_a_notebook_shows_bars_where_it_has_widgets(monkeypatch: pytest.MonkeyPatch):
    shown: list[object] = []

    class Output:
        def clear_output(self, **options: object) -> None: ...
        def close(self) -> None: ...
        def __enter__(self) -> None: ...
        def __exit__(self, *error: object) -> None: ...

    monkeypatch.setattr(console, "_stderr", lambda: Console(force_jupyter=True))
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    display = types.ModuleType("IPython.display")
    display.display = shown.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    console.TrainingConsole().progress("read", 3)
    assert not shown
    widgets = types.ModuleType("ipywidgets")
    widgets.Output = Output  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ipywidgets", widgets)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: widgets)
    with console.training() as watcher:
        tick = watcher.progress("read", 3)
        tick(1)
    assert any(isinstance(one, Output) for one in shown)


def test_the_table_of_a_run_goes_to_stderr(capsys: pytest.CaptureFixture[str]):
    with console.training() as watcher:
        watcher.phase_started(0, ProbePhase())
        watcher.progress("features", 3)(3)
        watcher.epoch_done(EpochDone("probe", 0, None, 0.5, 0.75, {}, improved=True, seconds=1.0))
        watcher.phase_started(1, TrainPhase(name="tune", epochs=2, unfreeze="all", head_lr=1e-3))
        rates = {"stem": 1e-6, "layer1": 1e-5, "head": 1e-3}
        watcher.epoch_done(EpochDone("tune", 1, 0.9, 0.5, 0.75, rates, improved=False, seconds=2.0))
        watcher.phase_done(PhaseDone("tune", "train", (), rates, "train", None, 1, 0.75, 2.0, "all epochs done"))
        watcher.noted(CheckpointSelected("tune/1", "best"))
        watcher.noted(DataFinding("warning", "twins", "twins", "remove"))
        watcher.noted(OptionWithoutEffect("batch_size", "feature_extraction"))
    captured = capsys.readouterr()
    assert captured.out == ""
    for words in (
        "fits the head",
        "trains for up to 2 epochs",
        "probe",
        "frozen",
        "1.0e-06..1.0e-05",
        "1.0e-03",
        "best",
    ):
        assert words in captured.err
    for words in (
        "selected checkpoint tune/1: best",
        "phase tune ended: all epochs done",
        "warning: twins; remove",
        "--batch-size has no effect",
    ):
        assert words in captured.err
    assert captured.err.count("val loss") == 1, "one header"


def test_the_selected_head_is_said_once(capsys: pytest.CaptureFixture[str]):
    with console.training() as watcher:
        watcher.noted(HeadSelected("probe", "linear", "as good as the other"))
        why = "fitted; selected the linear head: as good as the other"
        watcher.phase_done(PhaseDone("probe", "linear_probe", (), {}, "", None, 0, 0.75, 2.0, why))
    assert capsys.readouterr().err.count("selected the linear head") == 1


def test_a_short_budget_is_one_sentence_more(capsys: pytest.CaptureFixture[str]):
    with console.training() as watcher:
        watcher.noted(ESTIMATE)
        watcher.noted(replace(ESTIMATE, speeds="guessed", budget="the budget ends it sooner"))
        watcher.noted(PrefixPlanned("tune", "cached", "stage7", 4, "it takes less time"))
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert lines[0] == ESTIMATE.sentence()
    assert "rough guess" in lines[1]
    assert lines[2] == "note: the budget ends it sooner"
    assert lines[3] == "tune: the frozen prefix is cached before stage7: it takes less time"


def test_a_later_estimate_is_shown_only_if_it_says_something_else(capsys: pytest.CaptureFixture[str]):
    rest = replace(ESTIMATE, phases=ESTIMATE.phases[1:], previous_total_seconds=145.3)
    shown = {}
    for total in (100, 210, 90, 230):
        with console.training() as watcher:
            watcher.noted(ESTIMATE)
            capsys.readouterr()
            watcher.noted(replace(rest, total_seconds=total))
            shown[total] = capsys.readouterr().err
    assert (shown[100], shown[210]) == ("", "")
    assert shown[90].startswith("new estimate: tune 2 min 10 s (frozen part 40 s once")
    assert "1 min 30 s in total instead of 2 min 25 s; 120 MB" in shown[90]
    assert "3 min 50 s in total" in shown[230]


def test_a_budget_that_ends_it_after_all_is_said_and_one_that_does_not_any_more_too(capsys: pytest.CaptureFixture[str]):
    ends = replace(ESTIMATE, previous_total_seconds=145.3, budget="the budget ends it sooner")
    with console.training() as watcher:
        watcher.noted(ESTIMATE)
        watcher.noted(ends)
        watcher.noted(replace(ends, budget="the budget ends it an epoch later"))
        watcher.noted(replace(ends, budget=None))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["estimate", "new estimate", "note", "new estimate"]
    assert lines[2] == "note: the budget ends it sooner"


def test_a_weight_file_is_one_line():
    loaded = WeightsLoaded("w.pth", 312, "missing", ("a", "b", "c", "d"), ())
    line = "weights: 312 tensors of w.pth; its head: missing, a new one is made; missing: a, b, c and 1 more"
    assert loaded.sentence() == line


def test_what_is_computed_after_the_last_image_has_a_name(monkeypatch: pytest.MonkeyPatch):
    """The head is fitted for a minute where there are many features: a bar at 714/714 would look like a standstill."""
    terminal = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(console, "_stderr", lambda: terminal)

    def shown(watcher: console.TrainingConsole) -> str | None:
        return None if watcher._bar is None else watcher._bar.tasks[0].description

    with console.training() as watcher:
        watcher.phase_started(0, ProbePhase())
        watcher.work_started("features of train", 2)
        assert shown(watcher) == "features of train"
        watcher.work_done(2)
        assert shown(watcher) == "fitting the linear probe: cross-validation of its L2 penalty"
        watcher.noted(Computing("the head on all depths", 3, 4))
        assert shown(watcher) == "the head on all depths"
        task = watcher._bar.tasks[0]
        assert (task.completed, task.total) == (2, 4)
        watcher.noted(Computing("listening"))
        assert watcher._bar.tasks[0].total is None, "of a length that is not known"
        watcher.phase_done(PhaseDone("probe", "linear_probe", (), {}, "train", None, 0, 0.5, 1.0, "solved"))
        assert shown(watcher) is None
        watcher.work_started("features of test", 1)
        watcher.work_done(1)
        assert shown(watcher) is None, "only a head is fitted after its images"


def test_a_warning_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]):
    console.warn("left out a\nb\x1b.png")
    assert capsys.readouterr().err == "warning: left out a\\nb\\u001b.png\n"
