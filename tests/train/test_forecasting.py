"""Forecasts of a real network, and the way of each phase: weighed once, kept by a resume; bytes as the store has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headstart.errors import ModelError
from headstart.features import store_limit
from headstart.features.cost import stored_bytes
from headstart.features.cost_facts import Forecast, PhaseCost
from headstart.features.cut import NetworkGraph
from headstart.features.measured import Known, rates_of
from headstart.features.store import ActivationStore
from headstart.plan import AugmentationPlan, FrozenPartPlan, TrainPhase
from headstart.train.checkpoint import load_state
from headstart.train.feeds import feed_for
from headstart.train.forecasting import Costs, costs_of, cut_off
from headstart.train.loop import fit
from headstart.train.observers import Observer
from headstart.train.stopping import StopRequest

COMPUTED = FrozenPartPlan(way="computed")


class Notes(Observer):
    """Remembers what was noted, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict]] = []

    def noted(self, event: str, values: dict) -> None:
        self.events.append((event, dict(values)))

    def of(self, event: str) -> list[dict]:
        return [values for name, values in self.events if name == event]


@pytest.fixture(autouse=True)
def _nothing_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))


def with_store(task, folder: Path):
    digests = {name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()}
    return replace(task.images, digests=digests, store=ActivationStore(folder))


def costs_for(task, folder: Path) -> Costs:
    made = costs_of(task.classifier(), with_store(task, folder))
    return made.under(task.plan.augmentation, batch_size=task.plan.batch_size, engine="torch", seed=0)


def test_what_is_forecast_to_be_stored_is_what_the_store_writes(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="partial", epochs=2)
    costs, notes = costs_for(task, tmp_path / "store"), Notes()
    phase = task.plan.phases[1]
    found = costs.settle(phase, notes)
    assert found.plan == FrozenPartPlan(way="stored", border="stage6", views=2)
    assert notes.of("cost")[0]["border"] == "stage6"
    feed_for(
        phase.model_copy(update={"frozen_part": found.plan}),
        costs.classifier,
        costs.images,
        augmentation=task.plan.augmentation,
        seed=0,
        observer=notes,
        made=found.cut,
    )
    rows = 2 * costs.counts.fit + costs.counts.select
    written = sum(path.stat().st_size for path in (tmp_path / "store").rglob("*.shard"))
    assert stored_bytes(costs.facts.border("stage6"), rows, "float16") == pytest.approx(written, rel=0.05)
    announced = costs.announced([phase])
    assert announced["bytes"] <= 2 * 1280 * rows, "only the end is still to be stored"
    assert announced["phases"][0]["once_seconds"] == 0


def test_an_announcement_names_every_phase_and_adds_up(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="gradual", epochs=2)
    costs = costs_for(task, tmp_path / "store")
    made = costs.announced(task.plan.phases, budget_seconds=1e-9)
    assert [phase["name"] for phase in made["phases"]] == [*(phase.name for phase in task.plan.phases), "end"]
    total = made["elapsed_seconds"] + sum(phase["seconds"] for phase in made["phases"])
    assert made["total_seconds"] == pytest.approx(total, abs=0.01)
    assert made["rates"] == "guessed"
    assert "is shorter than that" in made["budget"]
    assert costs.announced(task.plan.phases, budget_seconds=1e9)["budget"] is None
    assert costs.announced(task.plan.phases)["budget"] is None


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (15, "the budget of 15 s is shorter than that: it ends training after probe"),
        (63, "the budget of 1 min 3 s is shorter than that: it ends training in tune after about 4 of 10 epochs"),
        (22, "the budget of 22 s is shorter than that: it ends training in tune after about 0 of 10 epochs"),
        (91, "the budget of 1 min 31 s is shorter than that, but only the end will be past it"),
    ],
)
def test_a_short_budget_is_said_to_end_where_it_does(budget: float, sentence: str):
    tune = PhaseCost("tune", frozen_seconds=20, steps_seconds=50, once_seconds=20, epochs=10)
    made = Forecast((PhaseCost("probe", frozen_seconds=10), tune, PhaseCost("end", other_seconds=5)), 0, "measured")
    assert cut_off(made, 10.0, budget) == sentence  # the probe ends at 20 s, what is stored at 40 s, tune at 90 s


def test_without_room_pixels_are_taken_and_the_event_says_why(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(store_limit, "bytes_for", lambda root, folder: 1000)
    notes = Notes()
    task = prepare(strategy="partial", epochs=2)
    found = costs_for(task, tmp_path / "store").settle(task.plan.phases[1], notes)
    assert (found.plan, found.cut) == (COMPUTED, None)
    assert "there is room for 0.001 MB" in notes.of("cost")[0]["why"]


def test_a_border_that_cannot_be_cut_gives_way_to_an_earlier_one(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    original = NetworkGraph.cut

    def cut(self, border: str):
        if border == "stage6":
            raise ModelError("not at stage6")
        return original(self, border)

    monkeypatch.setattr(NetworkGraph, "cut", cut)
    task = prepare(strategy="partial", epochs=2)
    found = costs_for(task, tmp_path / "store").settle(task.plan.phases[1], Notes())
    assert found.plan.border == "stage5"
    assert "not at stage6" in found.why


def test_what_really_crosses_is_weighed_again(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="partial", epochs=2)
    costs = costs_for(task, tmp_path / "store")
    phase = task.plan.phases[1]
    costs.announced([phase])  # looks inside
    true = costs.facts.border("stage6").bytes_per_image
    costs.facts = costs.facts.with_bytes("stage6", 10**12)
    assert costs.settle(phase, Notes()).plan.border == "stage5", "nobody cuts where so much is said to cross"
    costs.facts = costs.facts.with_bytes("stage6", 1)
    assert costs.settle(phase, Notes()).plan.border == "stage6"
    assert costs.facts.border("stage6").bytes_per_image == true


def test_the_way_that_a_plan_names_is_not_weighed(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="partial", epochs=2)
    phase = task.plan.phases[1].model_copy(update={"frozen_part": COMPUTED})
    notes = Notes()
    assert costs_for(task, tmp_path / "store").settle(phase, notes).plan == COMPUTED
    assert notes.of("cost")[0]["why"] == "as the plan says"


class StopAfter(StopRequest):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def reason(self):
        self.looks -= 1
        return "signal" if self.looks < 0 else None


def slow_store() -> Known:
    """A machine on which whatever is stored takes forever."""
    return Known({"moved": 1.0, "forward": 1e3, "training": 1e3, "torch": 1e3, "onnxruntime": 1e3}, {})


def test_what_was_measured_here_changes_the_forecast_and_not_the_choice(prepare: Callable, tmp_path: Path):
    """Else the same plan would train other weights once a machine has learned its rates."""
    task = prepare(strategy="partial", thaw=1, epochs=2)
    task.images = with_store(task, tmp_path / "store")
    phase, found, seconds = task.plan.phases[1], [], []
    for known in (Known(), slow_store()):
        costs = costs_of(task.classifier(), task.images)
        costs.known = known
        found.append(costs.settle(phase, Observer()).plan)
        seconds.append(costs.announced(task.plan.phases)["total_seconds"])
    assert found[0] == found[1]
    assert seconds[1] > 10 * seconds[0]


@pytest.mark.parametrize("first", ["stored", "computed"])
def test_a_resume_takes_the_same_way_though_other_rates_are_known_by_then(
    prepare: Callable, tmp_path: Path, first: str
):
    states = []
    for name in ("straight", "stopped"):
        task = prepare(name, strategy="partial", thaw=1, epochs=2)
        task.images = with_store(task, tmp_path / name)
        classifier = task.classifier()
        costs = costs_of(classifier, task.images)
        if first == "computed":
            costs.nominal_rates = lambda costs=costs: rates_of(slow_store(), costs.facts)
        stop = StopAfter(4) if name == "stopped" else StopRequest()
        outcome = fit(task.plan, classifier, task.images, run=task.run, observer=Observer(), stop=stop, costs=costs)
        if name == "stopped":
            assert outcome.stopped == "signal"
            assert task.run.plan().phases[1].frozen_part.way == first
            classifier = task.classifier()
            costs = costs_of(classifier, task.images)
            if first == "stored":
                costs.nominal_rates = lambda costs=costs: rates_of(slow_store(), costs.facts)
            plan = task.run.plan()
            fit(plan, classifier, task.images, run=task.run, observer=Observer(), stop=StopRequest(), costs=costs)
        assert task.run.plan().phases[1].frozen_part.way == first
        states.append(load_state(task.run.checkpoint).network)
    assert all(torch.equal(tensor, states[1][path]) for path, tensor in states[0].items())


def test_a_store_that_is_too_full_after_all_changes_the_settled_way(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    task = prepare(strategy="partial", thaw=1, epochs=1)
    task.images = with_store(task, tmp_path / "store")
    monkeypatch.setattr("headstart.features.activations.Activations.room_for", lambda self, rows: False)
    notes = Notes()
    fit(task.plan, task.classifier(), task.images, run=task.run, observer=notes, stop=StopRequest())
    assert notes.of("cost")[0]["way"] == "stored"
    assert notes.of("not_stored")
    assert task.run.plan().phases[1].frozen_part == COMPUTED


def test_a_head_alone_needs_no_look_inside(prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def never(*args: object, **options: object) -> None:
        raise AssertionError("looked inside")

    monkeypatch.setattr("headstart.train.forecasting.anatomy_of", never)
    task = prepare(strategy="feature_extraction", head_solver="adam", epochs=2)
    costs = costs_for(task, tmp_path / "store")
    costs.announced(task.plan.phases)
    phase = task.plan.phases[0]
    assert isinstance(phase, TrainPhase)
    assert costs.settle(phase, Notes()).plan == FrozenPartPlan(way="stored", border="head", views=2)
    few = replace(costs, augmentation=AugmentationPlan(preset="none"))
    assert few.settle(phase, Notes()).plan.views == 1
