"""Every kind of event is logged, read back, and told by every reader; lines of other versions are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from every_event import EVERY_EVENT
from headstart.apps.cli.text.console import TrainingConsole
from headstart.reports.run.report import run_page
from headstart.runs.event import Event
from headstart.runs.event_lines import KINDS
from headstart.runs.events import HeadSelected
from headstart.runs.folder import Run
from headstart.runs.observers import EventLog, Observer
from headstart.runs.record import read_run
from headstart.runs.training_events import EpochDone, PhaseDone
from headstart.runs.warnings import DataFinding
from headstart.training.trackers import trackers
from headstart.training.trackers.trackers import Tracker, TrackerChoice
from report_folders import make_run
from run_values import run_data

IDS = [type(event).__name__ for event in EVERY_EVENT]


def test_the_samples_are_of_every_kind():
    assert {type(event) for event in EVERY_EVENT} == set(KINDS.values())
    assert {kind.event for kind in KINDS.values()} == set(KINDS)


@pytest.mark.parametrize("event", EVERY_EVENT, ids=IDS)
def test_the_log_brings_every_event_back_with_its_types(event: Event, tmp_path: Path):
    run = Run(tmp_path)
    EventLog(run).noted(event)
    (line,) = run.events()
    assert type(line.event) is type(event)
    assert line.event.sentence() == event.sentence()
    assert json.dumps(line.event.to_dict()) == json.dumps(event.to_dict())
    assert line.time > 0


@pytest.mark.parametrize("event", EVERY_EVENT, ids=IDS)
def test_the_console_says_every_event(event: Event, capsys: pytest.CaptureFixture[str]):
    console = TrainingConsole()
    if isinstance(event, EpochDone):
        console.epoch_done(event)
        assert f"{event.validation_accuracy:.4f}" in capsys.readouterr().err
        return
    console.noted(event)
    said = capsys.readouterr().err
    if isinstance(event, HeadSelected):
        assert not said  # the line that ends its phase says it
        return
    assert event.sentence() in said
    assert said.startswith("" if event.urgency == "info" else f"{event.urgency}: ")


@pytest.mark.parametrize("event", EVERY_EVENT, ids=IDS)
def test_the_report_of_a_run_shows_every_event(event: Event, tmp_path: Path):
    folder = make_run(tmp_path / "run", ends="signal")
    EventLog(Run(folder)).noted(event)
    page = run_page(read_run(folder))
    if isinstance(event, EpochDone):
        words = [f"{event.validation_loss:.3g}"]
    elif isinstance(event, DataFinding):
        words = [event.evidence, event.remedy]
    else:
        words = [event.sentence()]
    plain = page.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&").replace("&#x27;", "'")
    assert all(word in plain for word in words)


class Sink:
    modules = ()
    place = "here"

    def __init__(self, *given: Any) -> None:
        self.memory: dict[str, Any] = {}
        self.texts: list[str] = []
        self.scalars: list[float] = []

    def open(self, parameters: dict[str, Any]) -> None: ...
    def last_step(self, tag: str) -> None: ...
    def close(self, step: int, status: str) -> None: ...

    def write(self, step: int, scalars: dict[str, float], texts: dict[str, str]) -> None:
        self.texts += texts.values()
        self.scalars += scalars.values()


@pytest.mark.parametrize("event", EVERY_EVENT, ids=IDS)
def test_a_tracker_writes_every_event(event: Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(trackers.SINKS, "mlflow", Sink)
    (tmp_path / "data.json").write_text(json.dumps(run_data().to_dict()))
    tracker = Tracker(Run(tmp_path), [TrackerChoice("mlflow")], parameters={}, tell=Observer())
    with tracker:
        ((_, sink),) = tracker._open
        assert isinstance(sink, Sink)
        if isinstance(event, EpochDone):
            tracker.epoch_done(event)
        elif isinstance(event, PhaseDone):
            tracker.phase_done(event)
        else:
            tracker.noted(event)
    if isinstance(event, EpochDone):
        assert event.validation_accuracy in sink.scalars
    else:
        assert any(event.sentence() in text for text in sink.texts)
