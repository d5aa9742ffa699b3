"""The account of a run: a played machine is taken apart into its exact rates, and the second forecast is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.engine.costs import forecast
from headstart.engine.costs.forecast import Costs, costs_of
from headstart.engine.costs.memory import Known, recall
from headstart.engine.costs.terms import PIXELS, frozen_stretch, judging_stretch, steps_stretch
from headstart.engine.costs.timing import Ledger, phase_row
from headstart.engine.prefix.onnx_engine import engines_folder
from headstart.files import write_atomically
from headstart.plan.plan import ProbePhase, TrainPhase

VIEW, FROZEN, STEP, JUDGE, READ, GAP, SETUP, SOLVING = 0.02, 0.05, 0.03, 0.01, 0.004, 0.5, 3.0, 2.0
"""Seconds: of one core a view, an image frozen, stepped, judged and read; between epochs; of setting up; of a head."""
BYTES = 10**6


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Player:
    """Tells a ledger what a run of given rates would."""

    def __init__(self, costs: Costs, ledger: Ledger, clock: Clock) -> None:
        self.costs, self.ledger, self.clock = costs, ledger, clock
        self.spent = costs.images.spent

    def work(self, count: int, each: float, *, setup: float = 0.0, views: int = 0, read: float = 0.0) -> None:
        self.ledger.work_started("something", count)
        self.clock.now += setup
        self.ledger.work_done(0)
        for number in range(count):
            self.clock.now += each + read
            if number < views:
                self.clock.now += VIEW / self.costs.rates().cores
                self.spent._views["plain"] += 1
                self.spent._view_seconds["plain"] += VIEW
            if read:
                self.spent.moved(BYTES, read)
            self.ledger.work_done(1)

    def probe(self, count: int, *, export: Path | None = None) -> None:
        self.ledger.phase_started(0, ProbePhase())
        if export is not None:
            export.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(export, lambda aside: aside.write_text("a network"))
        self.work(count, FROZEN, setup=SETUP, views=count)
        self.clock.now += SOLVING
        self.ledger.noted("computed_by", {"engine": "onnxruntime"})
        self.ledger.epoch_done({"phase": "probe"})
        self.ledger.phase_done({"name": "probe"})

    def tune(self, phase: TrainPhase, *, stored: bool, epochs: int = 3) -> None:
        fit, select = 40, 20
        self.ledger.phase_started(1, phase)
        if stored:
            self.work(fit + select, FROZEN, setup=0.01, views=fit + select)
            self.ledger.noted("stored", {"border": "stage6", "engine": "torch"})
        for _ in range(epochs):
            views = 0 if stored else fit
            self.work(fit, STEP, views=views, read=READ if stored else 0.0)
            self.work(select, JUDGE, views=0 if stored else select, read=READ if stored else 0.0)
            self.ledger.epoch_done({"phase": "tune"})
            self.clock.now += GAP
        self.ledger.phase_done({"name": "tune"})


@pytest.fixture
def played(prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Player, TrainPhase]:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    task, clock = prepare(strategy="partial", epochs=3), Clock()
    monkeypatch.setattr(forecast.time, "monotonic", clock)
    costs = costs_of(task.classifier(), task.images, started=90.0)
    costs.announced(task.plan.phases)  # looks inside the network
    ledger = Ledger(costs, clock=clock)
    ledger.noted("forecast", costs.announced(task.plan.phases))
    return Player(costs, ledger, clock), task.plan.phases[1].model_copy(update={"head_refit_views": 0})


def test_stored_phases_are_taken_apart_into_their_rates(played: tuple[Player, TrainPhase]):
    player, phase = played
    player.probe(50, export=engines_folder() / "a.onnx")
    player.tune(phase, stored=True)
    known = recall(player.costs.machine)
    stretches = known.stretches_of(player.costs.facts.name)
    assert stretches[frozen_stretch("pooled", "onnxruntime")] == pytest.approx(FROZEN, rel=0.05)
    assert stretches[frozen_stretch("stage6", "torch")] == pytest.approx(FROZEN, rel=0.05)
    assert stretches[steps_stretch("stage6", "stage6")] == pytest.approx(STEP, rel=1e-3)
    assert stretches[judging_stretch("stage6")] == pytest.approx(JUDGE, rel=1e-3)
    assert known.figures["setup_seconds"] == pytest.approx(SETUP, rel=0.01)
    assert known.figures["solving_seconds"] == pytest.approx(SOLVING, rel=0.01)
    assert known.figures["moved"] == pytest.approx(BYTES / READ, rel=1e-3)
    assert known.figures["epoch_seconds"] == pytest.approx(GAP, rel=1e-3)
    assert known.figures["plain view 18"] == pytest.approx(VIEW)
    behind = 1 - player.costs.facts.share_before("stage6")
    expected = behind * player.costs.facts.gmacs / STEP
    assert player.costs.rates().training == pytest.approx(expected, rel=1e-3)


def test_phases_from_pixels_are_taken_apart_without_their_views(played: tuple[Player, TrainPhase]):
    player, phase = played
    player.tune(phase, stored=False)
    stretches = recall(player.costs.machine).stretches_of(player.costs.facts.name)
    assert stretches[steps_stretch(PIXELS, "stage6")] == pytest.approx(STEP, rel=1e-3)
    assert stretches[judging_stretch(PIXELS)] == pytest.approx(JUDGE, rel=1e-3)
    assert player.costs.rates().forward == pytest.approx(player.costs.facts.gmacs / JUDGE, rel=1e-3)


def test_what_was_taken_apart_forecasts_the_same_phase_again(played: tuple[Player, TrainPhase]):
    player, phase = played
    took = player.clock.now
    player.tune(phase, stored=False)
    took = player.clock.now - took
    costs = player.costs
    costs.counts = replace(costs.counts, fit=40, select=20)
    costs.augmentation = costs.augmentation.model_copy(update={"preset": "none"})
    again = costs.announced([phase])["phases"][0]  # without a store
    assert again["frozen_part"] == "computed"
    assert again["seconds"] == pytest.approx(took, rel=0.02)


def test_the_comparison_has_what_each_phase_took_and_zero_for_what_was_skipped(played: tuple[Player, TrainPhase]):
    player, _ = played
    before = player.clock.now
    player.probe(50)
    probe = player.clock.now - before
    player.ledger.phase_done({"name": "tune"})  # skipped
    player.work(30, FROZEN)
    player.clock.now += 1.5
    made = player.ledger.comparison()
    took = {phase["name"]: phase["took_seconds"] for phase in made["phases"]}
    assert took == {"probe": pytest.approx(probe, abs=0.01), "tune": 0.0, "end": pytest.approx(30 * FROZEN + 1.5)}
    assert made["took_seconds"] == pytest.approx(player.clock.now - 90.0, abs=0.01)
    assert made["total_seconds"] > 0
    assert recall(player.costs.machine).figures["end_seconds"] == pytest.approx(1.5)


def test_a_whole_run_tests_its_estimate_and_one_that_was_cut_short_does_not(played: tuple[Player, TrainPhase]):
    player, phase = played
    kept = lambda: sum(map(len, recall(player.costs.machine).estimates.values()))  # noqa: E731
    player.probe(50)
    player.tune(phase, stored=False)
    player.ledger.comparison()
    assert kept() == 1
    (ratio,) = recall(player.costs.machine).estimates[player.ledger._forecast["rates"]]
    took = player.clock.now - player.costs.started
    assert ratio == pytest.approx(took / player.ledger._forecast["total_seconds"], rel=1e-6)
    for event, row in (("stopped", None), ("diverged", None), (None, {"name": "tune", "ended": "no better epoch"})):
        forecast = player.ledger._forecast
        player.ledger = Ledger(player.costs, clock=player.clock)
        player.ledger.noted("forecast", forecast)
        if event is not None:
            player.ledger.noted(event, {"reason": "budget"})
        player.ledger.phase_started(1, phase)
        player.ledger.phase_done(row or {"name": "tune", "ended": "all epochs done"})
        player.ledger.comparison()
    assert kept() == 1


def test_a_phase_that_was_stopped_has_its_time_too_and_the_end_none(played: tuple[Player, TrainPhase]):
    player, phase = played
    player.probe(50)
    player.ledger.phase_started(1, phase)
    player.clock.now += 7.0
    took = {phase["name"]: phase["took_seconds"] for phase in player.ledger.comparison()["phases"]}
    assert took["tune"] == pytest.approx(7.0)
    assert took["end"] is None


def test_a_network_that_was_exported_before_is_set_up_by_reloading_however_long_it_takes(
    played: tuple[Player, TrainPhase],
):
    """A heavy network's file takes seconds to load, and being used changes its time."""
    player, _ = played
    export = engines_folder() / "a.onnx"
    player.probe(50, export=export)
    player.ledger = Ledger(player.costs, clock=player.clock)
    export.touch()
    player.probe(50)
    figures = recall(player.costs.machine).figures
    assert figures["reload_seconds"] == pytest.approx(SETUP, rel=0.01)
    player.probe(50, export=export)
    assert recall(player.costs.machine).figures["setup_seconds"] == pytest.approx(SETUP, rel=0.01)
    assert recall(player.costs.machine).figures["reload_seconds"] == figures["reload_seconds"], "made anew: no reload"


def test_few_numbers_say_what_any_head_takes_and_many_how_fast_they_go(played: tuple[Player, TrainPhase]):
    player, _ = played
    player.probe(50)
    costs = player.costs
    assert "solved" not in costs.known.figures, "two seconds of a few images are no rate for a million"
    assert costs.rates().solving_seconds == pytest.approx(SOLVING, rel=0.01)
    costs.counts = replace(costs.counts, fit=200_000)
    numbers = 200_000 * costs.facts.features * 2
    player.ledger._learn_solving(numbers, 12.0)
    assert costs.rates().solved == pytest.approx(numbers / 10, rel=0.01)
    assert costs.rates().solving_seconds == pytest.approx(SOLVING, rel=0.01)


def test_the_first_forecast_stands_and_the_last_one_says_what_the_budget_ends(played: tuple[Player, TrainPhase]):
    player, phase = played
    first = player.ledger.comparison()
    later = {**player.costs.announced([phase]), "budget": "it ends sooner"}
    assert later["total_seconds"] != first["total_seconds"]
    player.ledger.noted("forecast", later)
    made = player.ledger.comparison()
    assert (made["total_seconds"], made["budget"]) == (first["total_seconds"], "it ends sooner")
    assert [one["name"] for one in made["phases"]] == ["probe", "tune", "end"]


def test_a_few_images_teach_nothing(played: tuple[Player, TrainPhase]):
    player, _ = played
    player.costs.known = Known()
    player.probe(8)
    stretches = recall(player.costs.machine).stretches_of(player.costs.facts.name)
    assert frozen_stretch("pooled", "onnxruntime") not in stretches


def test_a_row_sums_up_a_phase():
    phase = TrainPhase(name="tune", epochs=2, unfreeze=0, head_lr=1e-3, lr_by_group={"head": 1e-3})
    rows = [{"phase": name, "select_accuracy": 0.5, "seconds": 2.0} for name in ("probe", "tune", "tune")]
    row = phase_row(phase, rows, head="head", reason="done")
    assert (row["epochs_run"], row["seconds"], row["trained"], row["ended"]) == (2, 4.0, ["head"], "done")
    solved = phase_row(ProbePhase(), rows, head="head", reason="solved")
    assert (solved["epochs_run"], solved["trained"], solved["schedule"]) == (0, ["head"], None)
