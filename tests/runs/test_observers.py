"""Observers are told every moment and change nothing."""

from __future__ import annotations

import inspect
from pathlib import Path

from headstart.plan.plan import ProbePhase
from headstart.runs.events import CheckpointSelected, Resumed
from headstart.runs.folder import Run
from headstart.runs.observers import All, EventLog, Observer, measured_span
from headstart.runs.training_events import EpochDone, PhaseDone

MOMENTS = [name for name, _ in inspect.getmembers(Observer, inspect.isfunction) if not name.startswith("_")]


class Recorder(Observer):
    def __init__(self) -> None:
        self.seen: list[str] = []


for moment in MOMENTS:
    setattr(Recorder, moment, lambda self, *args, name=moment: self.seen.append(name))


def test_there_are_few_moments():
    assert 5 <= len(MOMENTS) <= 10


def test_all_tells_everybody_every_moment_in_order(tmp_path: Path):
    first, second = Recorder(), Recorder()
    everybody = All([first, second])
    arguments = {
        "phase_started": (0, ProbePhase()),
        "work_started": ("x", 1),
        "work_done": (1,),
        "noted": (Resumed(0, 0),),
    }
    arguments |= {"span_started": ("features",), "span_advanced": (1,), "span_ended": ("features",)}
    for moment in MOMENTS:
        getattr(everybody, moment)(*arguments.get(moment, ({},)))
    assert first.seen == second.seen == MOMENTS


def test_events_land_in_the_run_folder(tmp_path: Path):
    log = EventLog(Run(tmp_path))
    log.phase_started(0, ProbePhase())
    epoch = EpochDone("tune", 1, 0.4, 0.5, 0.9, {"head": 1e-3}, improved=True, seconds=1.0)
    log.epoch_done(epoch)
    log.phase_done(PhaseDone("tune", "train", ["head"], {}, "train", None, 1, 0.9, 1.0, "all epochs done"))
    log.noted(CheckpointSelected("probe", "the only candidate"))
    lines = Run(tmp_path).events()
    assert [line.name for line in lines] == ["phase_started", "epoch_done", "phase_done", "checkpoint_selected"]
    assert lines[1].event == epoch
    assert all(line.time > 0 for line in lines)


def test_a_measured_span_tells_the_bar_and_the_clock_of_the_same_images():
    seen = Recorder()
    advance = measured_span(seen, "features", "features of train", 12)
    advance(5)
    assert seen.seen == ["work_started", "span_started", "work_done", "span_advanced"]
