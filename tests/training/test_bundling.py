"""How runs end: asked to stop while something is computed once, out of budget, in vain; what is kept, and going on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Prepared
from headstart.engine.prefix import running
from headstart.engine.store.store import ActivationStore
from headstart.errors import RunError
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.training import stopping
from headstart.training.best_epoch import Outcome
from headstart.training.bundling import NO_TIME, interrupted, why_it_cannot_improve
from headstart.training.checkpoint import Candidate, load_state
from headstart.training.loop import fit
from headstart.training.probe import probe
from headstart.training.stopping import Stopped, StopReason, StopRequest, stop_if_requested
from headstart.training.training import Training

PROBE, PHASE, REFIT = "features of train", "frozen part", "refit on all of train"


@pytest.fixture(autouse=True)
def four_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of four, also where there is one thread."""
    monkeypatch.setattr(running, "BATCH_IMAGES", 4)


class Watch(Observer):
    """Asks to stop once one batch of a piece of work was computed; remembers what was there before."""

    def __init__(self, what: str = "", reason: StopReason = "signal") -> None:
        self.what, self.why = what, reason
        self.stop = StopRequest(budget_seconds=1e6)
        self.found: dict[str, int] = {}
        self.computed: dict[str, int] = {}
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._doing = ""

    def work_started(self, what: str, total: int) -> None:
        self._doing = what

    def work_done(self, count: int) -> None:
        if self._doing not in self.found:
            self.found[self._doing] = count
            return
        self.computed[self._doing] = self.computed.get(self._doing, 0) + count
        if self.what and self._doing.startswith(self.what):
            self.ask()

    def ask(self) -> None:
        if self.why == "signal":
            self.stop.signalled()
        else:
            self.stop._deadline = time.monotonic()

    def noted(self, event: Event) -> None:
        self.events.append((event.event, event.to_dict()))

    def of(self, what: str) -> int:
        """Images that were computed for a piece of work."""
        return sum(count for name, count in self.computed.items() if name.startswith(what))


def stored(task: Prepared, folder: Path) -> Prepared:
    digests = {name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()}
    task.images = replace(task.images, digests=digests, store=ActivationStore(folder))
    return task


def go(task: Prepared, watch: Watch, *, resumed: bool = False) -> Outcome:
    plan = task.run.plan() if resumed else task.plan
    return fit(Training(plan, task.classifier(), task.images, run=task.run, observer=watch, stop=watch.stop))


def made(prepare: Callable[..., Prepared], folder: Path, name: str) -> Prepared:
    return stored(prepare(name, strategy="partial", unfreeze=1, epochs=2), folder / f"store of {name}")


def same(first: Prepared, second: Prepared) -> bool:
    a, b = (load_state(task.run.checkpoint) for task in (first, second))
    pairs = [(a.network, b.network), (a.best.weights, b.best.weights)]
    return all(torch.equal(tensor, other[name]) for one, other in pairs for name, tensor in one.items())


@pytest.mark.parametrize("what", [PROBE, PHASE])
@pytest.mark.slow
def test_a_signal_in_the_middle_of_a_fill_saves_and_a_resume_finds_the_rows(
    prepare: Callable[..., Prepared], tmp_path: Path, what: str
):
    straight, task = (made(prepare, tmp_path, name) for name in ("straight", "stopped"))
    whole = Watch()
    go(straight, whole)
    asked = Watch(what)
    outcome = go(task, asked)
    assert outcome.stopped == "signal"
    assert asked.events[-1] == ("stopped", {"reason": "signal"})
    assert asked.of(what) == 4 < whole.of(what)
    assert load_state(task.run.checkpoint) is not None
    assert task.run.plan().engine == straight.run.plan().engine != "auto"
    again = Watch()
    assert go(task, again, resumed=True).stopped is None
    assert again.of(what) == whole.of(what) - 4
    assert next(count for name, count in again.found.items() if name.startswith(what)) == 4
    assert same(straight, task)


def asks_while_solving(monkeypatch: pytest.MonkeyPatch, watch: Watch, *, solve: int) -> None:
    """The request comes once all features are there, in the `solve`th set-up of a head."""
    true, count = probe.head_problem, itertools.count(1)

    def asking(*given: Any, **options: Any) -> Any:
        if next(count) == solve:
            watch.ask()
        return true(*given, **options)

    monkeypatch.setattr(probe, "head_problem", asking)


@pytest.mark.slow
def test_a_signal_while_the_head_is_fitted_is_heard_and_a_resume_gives_the_same(
    prepare: Callable[..., Prepared], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    straight, task = (made(prepare, tmp_path, name) for name in ("straight", "stopped"))
    go(straight, Watch())
    with monkeypatch.context() as patch:
        asked = Watch()
        asks_while_solving(patch, asked, solve=1)
        assert go(task, asked).stopped == "signal"
    assert load_state(task.run.checkpoint).probe is None, "not solved to its end"
    assert go(task, Watch(), resumed=True).stopped is None
    assert same(straight, task)


def test_a_budget_that_ends_in_a_long_fit_of_the_head_stops_it(
    prepare: Callable[..., Prepared], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    task = made(prepare, tmp_path, "run")
    monkeypatch.setattr(stopping, "SOLVE_GRACE_SECONDS", -1.0)
    asked = Watch("", "budget")
    asks_while_solving(monkeypatch, asked, solve=1)
    with pytest.raises(RunError, match=r"before one epoch was evaluated.*and for the head.*raise --budget"):
        go(task, asked)


@pytest.mark.slow
@pytest.mark.usefixtures("tuned_wins")
@pytest.mark.parametrize(("grace", "solved"), [(60.0, True), (-1.0, False)])
def test_a_refit_that_takes_longer_than_the_grace_is_left_when_the_budget_is_spent(
    prepare: Callable[..., Prepared], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grace: float, solved: bool
):
    task = made(prepare, tmp_path, "run")
    monkeypatch.setattr(stopping, "SOLVE_GRACE_SECONDS", grace)
    asked = Watch("", "budget")
    asks_while_solving(monkeypatch, asked, solve=3)  # after the probe and the head that tuning starts from
    outcome = go(task, asked)
    assert outcome.chosen.startswith("tune/")
    assert (NO_TIME not in outcome.why) is solved
    assert outcome.stopped == (None if solved else "budget")


@pytest.mark.slow
def test_a_budget_that_ends_in_the_fill_of_the_probe_leaves_nothing_to_keep_but_the_rows(
    prepare: Callable[..., Prepared], tmp_path: Path
):
    task = made(prepare, tmp_path, "run")
    asked = Watch(PROBE, "budget")
    with pytest.raises(RunError, match=r"before one epoch was evaluated.*raise --budget"):
        go(task, asked)
    assert ("stopped", {"reason": "budget"}) in asked.events
    again = Watch()
    assert go(task, again, resumed=True).stopped is None
    assert again.found[PROBE] == 4


@pytest.mark.slow
def test_a_budget_that_ends_in_the_fill_of_a_phase_keeps_the_probe_and_solves_it_again_from_stored_rows(
    prepare: Callable[..., Prepared], tmp_path: Path
):
    task = made(prepare, tmp_path, "run")
    asked = Watch(PHASE, "budget")
    outcome = go(task, asked)
    assert (outcome.stopped, outcome.chosen) == ("budget", "probe")
    assert outcome.phases[-1].ended == "stopped by the budget"
    assert NO_TIME not in outcome.why
    assert asked.of(PHASE) == 4
    assert asked.of(REFIT) == 0
    again = Watch()
    assert go(task, again, resumed=True).stopped is None
    assert again.of(PHASE) > 0
    assert next(count for name, count in again.found.items() if name.startswith(PHASE)) == 4


@pytest.mark.slow
def test_a_phase_that_had_begun_keeps_its_optimizer_when_it_is_left_while_rows_are_computed_again(
    prepare: Callable[..., Prepared], tmp_path: Path
):
    straight, task = (made(prepare, tmp_path, name) for name in ("straight", "stopped"))
    go(straight, Watch())
    inside = Watch()
    inside.epoch_done = lambda row: inside.ask() if row.epoch == 1 else None
    assert go(task, inside).stopped == "signal"
    task = stored(task, tmp_path / "elsewhere")
    assert go(task, Watch(PHASE), resumed=True).stopped == "signal"
    assert load_state(task.run.checkpoint).optimizer is not None
    assert go(task, Watch(), resumed=True).stopped is None
    assert same(straight, task)


@pytest.fixture
def tuned_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """No head makes an error on these colours, so that the test of the choice has to be lifted."""
    monkeypatch.setattr(Candidate, "p_value_against", lambda self, other: 0.0)


@pytest.mark.usefixtures("tuned_wins")
@pytest.mark.parametrize("with_store", [True, False])
@pytest.mark.slow
def test_a_budget_that_ends_in_the_refit_keeps_the_head_as_it_was_evaluated(
    prepare: Callable[..., Prepared], tmp_path: Path, with_store: bool
):
    task = made(prepare, tmp_path, "run")
    if not with_store:
        task.images = replace(task.images, store=None)
    asked = Watch(REFIT, "budget")
    classifier = task.classifier()
    outcome = fit(Training(task.plan, classifier, task.images, run=task.run, observer=asked, stop=asked.stop))
    assert outcome.stopped == "budget"
    assert outcome.progress.done
    assert outcome.chosen.startswith("tune/")
    assert outcome.why.endswith(NO_TIME)
    assert [values for event, values in asked.events if event == "stopped"] == [{"reason": "budget"}]
    best = load_state(task.run.checkpoint).best.weights
    assert all(torch.equal(tensor, best[name]) for name, tensor in classifier.network.state_dict().items())
    again = task.classifier()
    outcome = fit(Training(task.run.plan(), again, task.images, run=task.run))
    assert outcome.stopped is None
    assert NO_TIME not in outcome.why
    assert not torch.equal(again.network.state_dict()["classifier.weight"], best["classifier.weight"])


@pytest.mark.usefixtures("tuned_wins")
@pytest.mark.slow
def test_a_signal_in_the_refit_ends_the_run_and_a_resume_goes_on_with_it(
    prepare: Callable[..., Prepared], tmp_path: Path
):
    networks = []
    for name in ("straight", "stopped"):
        task = made(prepare, tmp_path, name)
        if name == "stopped":
            outcome = go(task, asked := Watch(REFIT))
            assert (outcome.stopped, outcome.chosen) == ("signal", "none")
            assert asked.events[-1] == ("stopped", {"reason": "signal"})
        classifier = task.classifier()
        plan = task.run.plan() if name == "stopped" else task.plan
        fit(Training(plan, classifier, task.images, run=task.run))
        networks.append(classifier.network.state_dict())
    assert all(torch.equal(tensor, networks[1][name]) for name, tensor in networks[0].items())


def candidate(*right: bool) -> Candidate:
    return Candidate("probe", np.array(right), np.zeros(len(right)), {})


def test_a_probe_with_a_mistake_is_worth_an_attempt():
    assert why_it_cannot_improve(candidate(True, False)) == ""
    assert (
        "all 2 validation images correctly, so no epoch could make fewer errors (--epochs N"
        in why_it_cannot_improve(candidate(True, True))
    )


def test_who_is_asked_leaves_with_the_reason():
    stop = StopRequest(budget_seconds=1e6)
    stop_if_requested(stop)
    stop.signalled()
    with pytest.raises(Stopped) as left:
        stop_if_requested(stop)
    assert left.value.reason == "signal"


def test_an_interrupted_run_has_chosen_nothing():
    outcome = interrupted(None)
    assert (outcome.stopped, outcome.chosen, outcome.phases) == ("signal", "none", [])
