"""Rescue: where it goes back to, what it lowers, and that a resume goes on bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from headstart.plan.plan import TrainPhase
from headstart.plan.sections import LrRule
from headstart.runs.event import Event
from headstart.runs.ledger import GroupState, Ledger, LedgerEntry
from headstart.runs.observers import Observer
from headstart.runs.warnings import AlarmRaised, Rescued
from headstart.training.checkpoint import Candidate, load_state
from headstart.training.guard.rescue import curable, lowered, weights_to_return_to
from headstart.training.loop import fit
from headstart.training.stopping import StopRequest
from headstart.training.training import Training


def alarm(kind: str) -> AlarmRaised:
    return AlarmRaised("tune", 1, kind, "evidence", "remedy")


def candidate(name: str, correct: int) -> Candidate:
    """A candidate that classifies some of 100 images correctly."""
    right = np.arange(100) < correct
    return Candidate(name, right, np.where(right, 0.1, 2.0), {"w": name})


def training(
    *, probe: Candidate | None, best: Candidate | None, cka: float = 0.9, warnings: list[dict[str, Any]] | None = None
) -> Any:
    state = GroupState(cka=cka, scale=1.0, dead=0.0, dead_at_start=0.0)
    return SimpleNamespace(
        state=SimpleNamespace(best=best),
        step_start=probe,
        start={"w": "start"},
        history=[LedgerEntry(phase="tune", epoch=1, train_loss=0.5, states={"stem": state})],
        progress=SimpleNamespace(warnings=warnings or []),
    )


def test_the_better_of_probe_and_best_epoch_is_returned_to():
    probe, worse, better = candidate("probe", 80), candidate("tune/1", 60), candidate("tune/1", 95)
    assert weights_to_return_to(training(probe=probe, best=worse))[0] == "probe"
    assert weights_to_return_to(training(probe=probe, best=better))[0] == "tune/1"
    assert weights_to_return_to(training(probe=probe, best=None))[0] == "probe"


def test_without_a_probe_only_a_sound_epoch_is_returned_to():
    best = candidate("tune/1", 60)
    assert weights_to_return_to(training(probe=None, best=best)) == ("tune/1", {"w": "tune/1"})
    assert weights_to_return_to(training(probe=None, best=best, cka=0.3)) == ("start", {"w": "start"})
    raised = [{"kind": "diverging", "phase": "tune", "epoch": 1}]
    assert weights_to_return_to(training(probe=None, best=best, warnings=raised))[0] == "start"
    assert weights_to_return_to(training(probe=None, best=None))[0] == "start"


def test_learning_rates_are_divided_by_ten_each_time():
    phase = TrainPhase(
        name="tune",
        unfreeze="all",
        epochs=2,
        head_lr=0.1,
        backbone_lr=LrRule(lr=0.01),
        lr_by_group={"stem": 0.01, "head": 0.1},
    )
    assert lowered(phase, 0) is phase
    assert lowered(phase, 2).lr_by_group == pytest.approx({"stem": 1e-4, "head": 1e-3})


def test_what_lower_learning_rates_cannot_cure_is_left_alone():
    assert curable([alarm("overfitting"), alarm("never_learns")]) is None
    assert curable([alarm("never_learns"), alarm("forgetting")]).alarm == "forgetting"


class Noted(Observer):
    def __init__(self) -> None:
        self.events: list[Event] = []

    def noted(self, event: Event) -> None:
        self.events.append(event)


class StopAt(StopRequest):
    """Asks to stop once a number of epochs of fine-tuning has begun, in the middle of it or at its end."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def reason(self) -> str | None:
        self.looks -= 1
        return "signal" if self.looks <= 0 else None


def run(task: Any, *, stop: StopRequest | None = None) -> tuple[Any, Noted]:
    noted = Noted()
    made = Training(task.plan, task.classifier(), task.images, run=task.run, observer=noted, stop=stop or StopRequest())
    return fit(made), noted


OPTIONS = {"strategy": "partial", "unfreeze": 1, "lr": 0.5, "epochs": 2, "after_alarm": "rescue"}


@pytest.mark.slow
def test_a_destroyed_network_is_rescued_and_a_resume_goes_on_bit_for_bit(prepare: Callable):
    task = prepare("straight", **OPTIONS)
    outcome, noted = run(task)
    rescues = [event for event in noted.events if isinstance(event, Rescued)]
    assert [event.number for event in rescues] == [1, 2]
    assert all(event.checkpoint == "probe" for event in rescues)
    planned = task.plan.phases[-1].lr_by_group["head"]
    assert rescues[-1].lr["head"] == pytest.approx(planned / 100)
    tuned = [row for row in outcome.progress.rows if row.epoch]
    assert [row.epoch for row in tuned] == list(range(1, len(tuned) + 1))
    assert len(tuned) == rescues[-1].epoch + 2, "the schedule has all its epochs behind the last rescue"
    assert outcome.progress.phases[-1].lr["head"] == pytest.approx(planned / 100)
    assert {entry.rescues for entry in Ledger(task.run.folder).entries()} == {0, 1, 2}
    weights = load_state(task.run.checkpoint).network
    for looks in (10, 14, 18):  # before, between and behind the rescues
        again = prepare(f"stopped-{looks}", **OPTIONS)
        stopped, _ = run(again, stop=StopAt(looks))
        assert stopped.stopped == "signal"
        resumed, _ = run(again)
        assert [replace(row, seconds=0.0) for row in resumed.progress.rows] == [
            replace(row, seconds=0.0) for row in outcome.progress.rows
        ]
        assert all(torch.equal(weights[name], one) for name, one in load_state(again.run.checkpoint).network.items())
        assert Ledger(again.run.folder).path.read_bytes() == Ledger(task.run.folder).path.read_bytes()


@pytest.mark.slow
def test_without_the_option_alarms_only_warn(prepare: Callable):
    outcome, noted = run(prepare(**{**OPTIONS, "after_alarm": "go_on"}))
    assert any(isinstance(event, AlarmRaised) for event in noted.events)
    assert not any(isinstance(event, Rescued) for event in noted.events)
    assert len([row for row in outcome.progress.rows if row.epoch]) == 2
    assert any(warning["kind"] in ("diverging", "dead_activations") for warning in outcome.progress.warnings)
