"""The timing observer: a played machine is taken apart into its exact speeds, and the second estimate is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.data.meter import Meter
from headstart.engine.costs import quick_benchmark, run_estimate
from headstart.engine.costs.memory import Measurements, recall
from headstart.engine.costs.network import PIXELS
from headstart.engine.costs.run_estimate import RunEstimates, run_estimates
from headstart.engine.costs.speeds import frozen_span, steps_span, validation_span, view_figure
from headstart.engine.costs.timing import TimingObserver
from headstart.engine.prefix.onnx_session import engines_folder
from headstart.files import write_atomically
from headstart.plan.plan import ProbePhase, TrainPhase
from headstart.runs.events import ActivationsCached, PrefixComputed, RunStopped
from headstart.runs.observers import ALL_EPOCHS, All, Observer, SpanKind
from headstart.runs.training_events import EpochDone, PhaseDone
from headstart.runs.warnings import Diverged
from headstart.training.loop import fit
from headstart.training.training import Training

VIEW, FROZEN, STEP, JUDGE, READ, GAP, SETUP, SOLVING = 0.02, 0.05, 0.03, 0.01, 0.004, 0.5, 3.0, 2.0
"""Seconds: of a view; of an image in the frozen prefix, in steps, in validation, read; of a gap, set-up, a head."""
BYTES = 10**6


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def epoch(phase: str) -> EpochDone:
    return EpochDone(phase, 1, None, 0.5, 0.5, {}, improved=True, seconds=2.0)


def phase_end(name: str, ended: str = ALL_EPOCHS) -> PhaseDone:
    return PhaseDone(name, "train", [], {}, "pretrained_statistics", None, 1, 0.5, 2.0, ended)


class Player:
    """Tells a timing observer of a run of given speeds."""

    def __init__(self, costs: RunEstimates, timing: TimingObserver, clock: Clock) -> None:
        self.costs, self.timing, self.clock = costs, timing, clock
        self.bars = False
        self.meter = costs.images.meter

    def bar(self) -> None:
        """A progress bar that marks no span."""
        if self.bars:
            self.timing.work_started("a new bar", 100)
            self.timing.work_done(50)
            self.timing.work_done(50)

    def work(
        self, kind: SpanKind, count: int, each: float, *, setup: float = 0.0, views: int = 0, read: float = 0.0
    ) -> None:
        self.bar()
        self.timing.span_started(kind)
        self.clock.now += setup
        self.bar()
        self.timing.span_advanced(0)
        for number in range(count):
            self.clock.now += each + read
            if number < views:
                self.clock.now += VIEW / self.costs.speeds().cores
                self.meter._views["plain"] += 1
                self.meter._view_seconds["plain"] += VIEW
            if read:
                self.meter.add_read(BYTES, read)
            self.timing.span_advanced(1)
        self.timing.span_ended(kind)
        self.bar()

    def probe(self, count: int, *, export: Path | None = None) -> None:
        self.timing.phase_started(0, ProbePhase())
        if export is not None:
            export.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(export, lambda aside: aside.write_text("a network"))
        self.work("features", count, FROZEN, setup=SETUP, views=count)
        self.clock.now += SOLVING
        self.timing.noted(PrefixComputed("onnxruntime"))
        self.timing.epoch_done(epoch("probe"))
        self.timing.phase_done(phase_end("probe"))

    def tune(self, phase: TrainPhase, *, stored: bool, epochs: int = 3) -> None:
        fit, select = 40, 20
        self.timing.phase_started(1, phase)
        if stored:
            self.work("frozen_part", fit + select, FROZEN, setup=0.01, views=fit + select)
            self.timing.noted(ActivationsCached("tune", "stage6", 1, "torch"))
        for _ in range(epochs):
            views = 0 if stored else fit
            self.work("training_steps", fit, STEP, views=views, read=READ if stored else 0.0)
            self.work("validation_pass", select, JUDGE, views=0 if stored else select, read=READ if stored else 0.0)
            self.timing.epoch_done(epoch("tune"))
            self.clock.now += GAP
        self.timing.phase_done(phase_end("tune"))


@pytest.fixture
def played(prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Player, TrainPhase]:
    return player_of(prepare(strategy="partial", epochs=3), tmp_path / "home", monkeypatch)


def player_of(task, home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Player, TrainPhase]:
    monkeypatch.setenv("HEADSTART_HOME", str(home))
    clock = Clock()
    monkeypatch.setattr(run_estimate.time, "monotonic", clock)
    costs = run_estimates(task.classifier(), task.images, started=90.0)
    costs.announced(task.plan.phases)  # looks inside the network
    timing = TimingObserver(costs, clock=clock)
    timing.noted(costs.announced(task.plan.phases))
    return Player(costs, timing, clock), task.plan.phases[1].model_copy(update={"head_refit_views": 0})


def test_stored_phases_are_taken_apart_into_their_speeds(played: tuple[Player, TrainPhase]):
    player, phase = played
    player.probe(50, export=engines_folder() / "a.onnx")
    player.tune(phase, stored=True)
    known = recall(player.costs.machine)
    spans = known.figures_of(player.costs.facts.name)
    assert spans[frozen_span("pooled", "onnxruntime")] == pytest.approx(FROZEN, rel=0.05)
    assert spans[frozen_span("stage6", "torch")] == pytest.approx(FROZEN, rel=0.05)
    assert spans[steps_span("stage6", "stage6")] == pytest.approx(STEP, rel=1e-3)
    assert spans[validation_span("stage6")] == pytest.approx(JUDGE, rel=1e-3)
    assert known.figures["setup_seconds"] == pytest.approx(SETUP, rel=0.01)
    assert known.figures["head_seconds"] == pytest.approx(SOLVING, rel=0.01)
    assert known.figures["store"] == pytest.approx(BYTES / READ, rel=1e-3)
    assert known.figures["epoch_seconds"] == pytest.approx(GAP, rel=1e-3)
    assert known.figures["plain view 18"] == pytest.approx(VIEW)
    behind = 1 - player.costs.facts.share_before("stage6")
    expected = behind * player.costs.facts.gmacs / STEP
    assert player.costs.speeds().training == pytest.approx(expected, rel=1e-3)


def test_phases_from_pixels_are_taken_apart_without_their_views(played: tuple[Player, TrainPhase]):
    player, phase = played
    player.tune(phase, stored=False)
    spans = recall(player.costs.machine).figures_of(player.costs.facts.name)
    assert spans[steps_span(PIXELS, "stage6")] == pytest.approx(STEP, rel=1e-3)
    assert spans[validation_span(PIXELS)] == pytest.approx(JUDGE, rel=1e-3)
    assert player.costs.speeds().forward == pytest.approx(player.costs.facts.gmacs / JUDGE, rel=1e-3)


def test_what_was_taken_apart_estimates_the_same_phase_again(played: tuple[Player, TrainPhase]):
    player, phase = played
    took = player.clock.now
    player.tune(phase, stored=False)
    took = player.clock.now - took
    costs = player.costs
    costs.counts = replace(costs.counts, train=40, validation=20)
    costs.augmentation = costs.augmentation.model_copy(update={"preset": "none"})
    again = costs.announced([phase]).phases[0]  # without a store
    assert again.activations == "computed"
    assert again.seconds == pytest.approx(took, rel=0.02)


def test_the_comparison_has_what_each_phase_took_and_zero_for_what_was_skipped(played: tuple[Player, TrainPhase]):
    player, _ = played
    before = player.clock.now
    player.probe(50)
    probe = player.clock.now - before
    player.timing.phase_done(phase_end("tune"))  # skipped
    player.work("features", 30, FROZEN)
    player.clock.now += 1.5
    made = player.timing.comparison()
    took = {phase.name: phase.measured_seconds for phase in made.phases}
    assert took == {"probe": pytest.approx(probe, abs=0.01), "tune": 0.0, "end": pytest.approx(30 * FROZEN + 1.5)}
    assert made.measured_seconds == pytest.approx(player.clock.now - 90.0, abs=0.01)
    assert made.total_seconds > 0
    assert recall(player.costs.machine).figures["end_seconds"] == pytest.approx(1.5)


def test_a_whole_run_tests_its_estimate_and_one_that_was_cut_short_does_not(played: tuple[Player, TrainPhase]):
    player, phase = played
    kept = lambda: sum(map(len, recall(player.costs.machine).estimates.values()))  # noqa: E731
    player.probe(50)
    player.tune(phase, stored=False)
    player.timing.comparison()
    assert kept() == 1
    (ratio,) = recall(player.costs.machine).estimates[player.timing._announced.speeds]
    took = player.clock.now - player.costs.started
    assert ratio == pytest.approx(took / player.timing._announced.total_seconds, rel=1e-6)
    for event, row in (
        (RunStopped("budget"), phase_end("tune")),
        (Diverged("tune", 1), phase_end("tune")),
        (None, phase_end("tune", "no better epoch")),
    ):
        first = player.timing._announced
        player.timing = TimingObserver(player.costs, clock=player.clock)
        player.timing.noted(first)
        if event is not None:
            player.timing.noted(event)
        player.timing.phase_started(1, phase)
        player.timing.phase_done(row)
        player.timing.comparison()
    assert kept() == 1


def test_a_phase_that_was_stopped_has_its_time_too_and_the_end_none(played: tuple[Player, TrainPhase]):
    player, phase = played
    player.probe(50)
    player.timing.phase_started(1, phase)
    player.clock.now += 7.0
    took = {phase.name: phase.measured_seconds for phase in player.timing.comparison().phases}
    assert took["tune"] == pytest.approx(7.0)
    assert took["end"] is None


def test_a_network_that_was_exported_before_is_set_up_by_reloading_however_long_it_takes(
    played: tuple[Player, TrainPhase],
):
    """A heavy network's file takes seconds to load, and being used changes its time."""
    player, _ = played
    export = engines_folder() / "a.onnx"
    player.probe(50, export=export)
    player.timing = TimingObserver(player.costs, clock=player.clock)
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
    assert "head" not in costs.known.figures, "two seconds of a few images are no speed for a million"
    assert costs.speeds().head_seconds == pytest.approx(SOLVING, rel=0.01)
    costs.counts = replace(costs.counts, train=200_000)
    numbers = 200_000 * costs.facts.features * 2
    player.timing._learn_head(numbers, 12.0)
    assert costs.speeds().head == pytest.approx(numbers / 10, rel=0.01)
    assert costs.speeds().head_seconds == pytest.approx(SOLVING, rel=0.01)


def test_the_first_estimate_stands_and_the_last_one_says_what_the_budget_ends(played: tuple[Player, TrainPhase]):
    player, phase = played
    first = player.timing.comparison()
    later = replace(player.costs.announced([phase]), budget="it ends sooner")
    assert later.total_seconds != first.total_seconds
    player.timing.noted(later)
    made = player.timing.comparison()
    assert (made.total_seconds, made.budget) == (first.total_seconds, "it ends sooner")
    assert [one.name for one in made.phases] == ["probe", "tune", "end"]


def test_a_few_images_teach_nothing(played: tuple[Player, TrainPhase]):
    player, _ = played
    player.costs.known = Measurements()
    player.probe(8)
    spans = recall(player.costs.machine).figures_of(player.costs.facts.name)
    assert frozen_span("pooled", "onnxruntime") not in spans


def everything_learned(player: Player) -> tuple[dict[str, float], dict[str, list[float]]]:
    known = recall(player.costs.machine)
    return known.figures, known.estimates


def test_a_new_progress_bar_changes_nothing_that_is_learned(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Between any two marks of the loop, in a run with every kind of span."""
    monkeypatch.setattr(quick_benchmark, "benchmarked_speeds", lambda *args, **options: {"forward": 30.0})
    monkeypatch.setattr(quick_benchmark, "benchmarked_views", lambda *args: {"plain": 0.004, "augmented": 0.006})
    learned = []
    for bars in (False, True):
        player, phase = player_of(
            prepare(f"run {bars}", strategy="partial", epochs=3), tmp_path / str(bars), monkeypatch
        )
        player.bars = bars
        player.probe(50)
        player.tune(phase, stored=True)
        player.work("features", 30, FROZEN)
        player.work("test_images", 30, JUDGE)
        player.timing.comparison()
        learned.append(everything_learned(player))
    assert learned[0] == learned[1]
    assert len(learned[0][0]) > 12


SPAN_SECONDS = {"features": 0.5, "frozen_part": 0.25, "training_steps": 0.125, "validation_pass": 0.0625}
"""Of an image, by the injected clock."""


class Ticking(Observer):
    """Lets the injected clock run while a real run computes: so many seconds for each image of a span."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.now, self.spans = clock, "", list[str]()

    def span_started(self, kind: SpanKind) -> None:
        self.now = kind
        self.spans.append(kind)

    def span_advanced(self, images: int) -> None:
        self.clock.now += SPAN_SECONDS.get(self.now, 0.0) * images


class Gaps(Observer):
    """Told last: the time between an epoch and the next."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def epoch_done(self, row: object) -> None:
        self.clock.now += GAP


@pytest.mark.slow
def test_a_real_run_of_two_epochs_teaches_its_speeds_by_an_injected_clock(
    prepare: Callable, make_folder: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    task = prepare("two epochs", folder=make_folder("forty", per_class=60), strategy="partial", unfreeze=1, epochs=2)
    plan = task.plan.model_copy(update={"phases": (task.plan.phases[1].model_copy(update={"head_refit_views": 0}),)})
    images = replace(task.images, meter=Meter(clock=lambda: 0.0))  # views cost nothing, whatever the machine does
    clock, classifier = Clock(), task.classifier()
    monkeypatch.setattr(run_estimate.time, "monotonic", clock)
    timing = TimingObserver(run_estimates(classifier, images), clock=clock)
    ticking = Ticking(clock)
    watched = All([ticking, timing, Gaps(clock)])
    fit(Training(plan, classifier, images, run=task.run, observer=watched, costs=timing.estimates))
    assert ticking.spans[:4] == ["training_steps", "validation_pass"] * 2
    measured = timing.comparison().phases[0].measured_seconds
    facts, known = timing.estimates.facts, recall(timing.estimates.machine)
    first = next(name for name in facts.groups if name in task.run.plan().phases[0].lr_by_group)
    spans = known.figures_of(facts.name)
    assert spans[steps_span(PIXELS, first)] == pytest.approx(SPAN_SECONDS["training_steps"])
    assert spans[validation_span(PIXELS)] == pytest.approx(SPAN_SECONDS["validation_pass"])
    assert spans["forward"] == pytest.approx(facts.gmacs / SPAN_SECONDS["validation_pass"], rel=1e-3)
    assert known.figures["epoch_seconds"] == pytest.approx(GAP)
    again = run_estimates(classifier, images).under(
        plan.augmentation, plan.selection, batch_size=plan.batch_size, engine="torch", seed=0
    )
    again.known.learn(view_figure("plain", pixels=images.pixels), 1e-9)
    again.known.learn(view_figure("augmented", pixels=images.pixels), 1e-9)
    estimated = again.announced(plan.phases).phases[0].seconds
    steps, validation = len(images.roles.train) * 0.125, len(images.roles.validation) * 0.0625
    assert estimated == pytest.approx(2 * (steps + validation + GAP), abs=0.01)
    assert estimated == pytest.approx(measured, abs=0.01)
