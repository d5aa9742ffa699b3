"""What people read."""

from __future__ import annotations

import importlib.util
import io
import sys
import types

import pytest
from rich.console import Console

from headstart.apps.cli.text import console
from headstart.plan.plan import ProbePhase, TrainPhase


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
        row = {"phase": "probe", "epoch": 0, "train_loss": None, "select_loss": 0.5, "select_accuracy": 0.75}
        watcher.epoch_done({**row, "rates": {}, "better": True, "seconds": 1.0})
        watcher.phase_started(1, TrainPhase(name="tune", epochs=2, unfreeze="all", head_lr=1e-3))
        rates = {"stem": 1e-6, "layer1": 1e-5, "head": 1e-3}
        watcher.epoch_done({**row, "epoch": 1, "train_loss": 0.9, "rates": rates, "better": False, "seconds": 2.0})
        watcher.phase_done({"name": "tune", "ended": "all epochs done"})
        watcher.noted("chosen", {"weights": "tune/1", "why": "best"})
        watcher.noted("finding", {"level": "warning", "evidence": "twins", "remedy": "remove"})
        watcher.noted("no_effect", {"option": "batch_size", "strategy": "feature_extraction"})
    captured = capsys.readouterr()
    assert captured.out == ""
    for words in ("solve the head", "train up to 2 epochs", "solved", "frozen", "1.0e-06..1.0e-05", "1.0e-03", "best"):
        assert words in captured.err
    for words in ("kept tune/1: best", "warning: twins; remove", "--batch-size has no effect"):
        assert words in captured.err
    assert captured.err.count("select loss") == 1, "one header"


ESTIMATES = {
    "elapsed_seconds": 6.0,
    "phases": [
        {"name": "probe", "seconds": 6.1, "once_seconds": 5.0, "epochs": 0, "epoch_seconds": None, "cut_point": None},
        {"name": "tune", "seconds": 130, "once_seconds": 40, "epochs": 10, "epoch_seconds": 9.0, "cut_point": "stage7"},
        {"name": "end", "seconds": 3.2, "once_seconds": 0, "epochs": 0, "epoch_seconds": None, "cut_point": None},
    ],
    "total_seconds": 145.3,
    "stored_bytes": 120_000_000,
    "memory_bytes": 1_200_000_000,
    "speeds": "measured",
    "budget": None,
}


def test_an_estimate_is_one_line_and_a_short_budget_one_sentence(capsys: pytest.CaptureFixture[str]):
    with console.training() as watcher:
        watcher.noted("estimates", ESTIMATES)
        watcher.noted("estimates", {**ESTIMATES, "speeds": "guessed", "budget": "the budget ends it sooner"})
        watcher.noted("cost", {"phase": "tune", "activations": "cached", "why": "it is sooner done"})
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    said = (
        "estimate: probe 6.1 s, tune 2 min 10 s (frozen part 40 s once, 10 epochs of 9 s), end 3.2 s; 2 min 25 s in "
        "total; 120 MB stored; 1.2 GB of memory"
    )
    assert lines[0] == f"{said} (not tested yet: too few runs here have shown how right such figures are)"
    assert lines[1].startswith(said)
    assert "rough guess" in lines[1]
    assert lines[2] == "note: the budget ends it sooner"
    assert lines[3] == "tune: activations of the frozen prefix are cached: it is sooner done"
    with console.training() as watcher:
        watcher.noted("estimates", {**ESTIMATES, "without_tuning_seconds": 15.0})
    assert "in total, or 15 s if tuning cannot improve on the linear probe; 120 MB" in capsys.readouterr().err


def test_only_what_earlier_runs_kept_is_promised(capsys: pytest.CaptureFixture[str]):
    kept = {"low_seconds": 100.0, "high_seconds": 250.0, "past_runs": 7}
    with console.training() as watcher:
        watcher.noted("estimates", {**ESTIMATES, "speeds": "related", **kept})
    line = capsys.readouterr().err.splitlines()[0]
    assert line.endswith("by the errors of the last 7 estimates on this machine it is 1 min 40 s to 4 min 10 s")


def test_a_later_estimate_is_shown_only_if_it_says_something_else(capsys: pytest.CaptureFixture[str]):
    rest = {**ESTIMATES, "phases": ESTIMATES["phases"][1:], "previous_total_seconds": 145.3}
    shown = {}
    for total in (100, 210, 90, 230):
        with console.training() as watcher:
            watcher.noted("estimates", ESTIMATES)
            capsys.readouterr()
            watcher.noted("estimates", {**rest, "total_seconds": total})
            shown[total] = capsys.readouterr().err
    assert (shown[100], shown[210]) == ("", "")
    assert shown[90].startswith("now estimate: tune 2 min 10 s (frozen part 40 s once")
    assert "1 min 30 s in total, not 2 min 25 s; 120 MB" in shown[90]
    assert "3 min 50 s in total" in shown[230]


def test_a_budget_that_ends_it_after_all_is_said_and_one_that_does_not_any_more_too(capsys: pytest.CaptureFixture[str]):
    ends = {**ESTIMATES, "previous_total_seconds": 145.3, "budget": "the budget ends it sooner"}
    with console.training() as watcher:
        watcher.noted("estimates", ESTIMATES)
        watcher.noted("estimates", ends)
        watcher.noted("estimates", {**ends, "budget": "the budget ends it an epoch later"})
        watcher.noted("estimates", {**ends, "budget": None})
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["estimate", "now estimate", "note", "now estimate"]
    assert lines[2] == "note: the budget ends it sooner"


def test_a_search_of_rates_has_its_place_in_the_line():
    tune = {**ESTIMATES["phases"][1], "search_seconds": 15.0, "once_seconds": 55}
    stored = console._estimate_line({**ESTIMATES, "phases": [tune]})
    assert "tune 2 min 10 s (rate search 15 s, frozen part 40 s once, 10 epochs of 9 s)" in stored
    computed = console._estimate_line({**ESTIMATES, "phases": [{**tune, "cut_point": None, "once_seconds": 15}]})
    assert "tune 2 min 10 s (rate search 15 s, 10 epochs of 9 s)" in computed


def test_an_alarm_is_a_warning(capsys: pytest.CaptureFixture[str]):
    with console.training() as watcher:
        watcher.noted("alarm", {"text": "stem did not change"})
    assert "warning: stem did not change" in capsys.readouterr().err


def test_a_search_for_rates_is_one_line(capsys: pytest.CaptureFixture[str]):
    planned = {"stem": 1e-6, "layer4": 5e-5, "head": 1e-3}
    head = {"varied": "head", "groups": ["head"], "factor": 0.4, "why": "a fifth"}
    backbone = {"varied": "backbone", "groups": ["stem", "layer4"], "factor": 2.0, "why": "a fifth"}
    found = {"stem": 2e-6, "layer4": 1e-4, "head": 4e-4}
    values = {"phase": "tune", "planned": planned, "rates": found, "tests": [head, backbone], "seconds": 12.0}
    watcher = console.TrainingConsole()
    watcher.noted("rates_found", values)
    stays = {**backbone, "factor": None, "why": "the loss does not react"}
    watcher.noted("rates_found", {**values, "tests": [head, stays], "rates": {**planned, "head": 4e-4}})
    start = "tune: rates searched in 12 s: head 0.001 -> 0.0004 (x0.4), backbone 1e-06..5e-05 "
    assert capsys.readouterr().err.splitlines() == [
        start + "-> 2e-06..0.0001 (x2)",
        start + "stays: the loss does not react",
    ]


def test_what_is_noted_is_one_plain_line(capsys: pytest.CaptureFixture[str]):
    watcher = console.TrainingConsole()
    report = {"source": "w.pth", "loaded": 312, "head": "missing", "missing": ("a", "b", "c", "d"), "unexpected": ()}
    watcher.noted("weights", report)
    watcher.noted("stored", {"phase": "tune", "border": "stage7", "views": 4, "engine": "onnxruntime"})
    watcher.noted("not_stored", {"border": "stage7", "why": "no room"})
    watcher.noted("engine", {"why": "x is run as it is"})
    watcher.noted("tracking", {"tracker": "tensorboard", "where": "runs/a/tensorboard"})
    watcher.noted("tracker_stopped", {"tracker": "mlflow", "where": "http://host", "why": "OSError: away"})
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "weights: 312 tensors of w.pth; its head: missing, a new one is made; missing: a, b, c and 1 more",
        "stored: 4 views of each image before stage7 (onnxruntime); the rest is run",
        "note: not stored, so everything is run in every epoch: no room",
        "note: x is run as it is",
        "tracked by tensorboard in runs/a/tensorboard",
        "warning: mlflow is given up, training goes on: OSError: away (http://host)",
    ]


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
        watcher.noted("computing", {"what": "choosing features of all depths: fold 2 of 5"})
        assert shown(watcher) == "choosing features of all depths: fold 2 of 5"
        watcher.phase_done({"name": "probe", "ended": "solved"})
        assert shown(watcher) is None
        watcher.work_started("features of test", 1)
        watcher.work_done(1)
        assert shown(watcher) is None, "only a head is fitted after its images"


def test_a_warning_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]):
    console.warn("left out a\nb\x1b.png")
    assert capsys.readouterr().err == "warning: left out a\\nb\\u001b.png\n"
