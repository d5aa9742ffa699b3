"""Forecasts of a real network, and the way of each phase: weighed once, kept by a resume; bytes as the store has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headstart.engine.costs import quick_benchmark
from headstart.engine.costs.estimate import cached_bytes
from headstart.engine.costs.memory import Measurements, remember
from headstart.engine.costs.network import expected_gain
from headstart.engine.costs.phase_estimate import TEST_ROWS
from headstart.engine.costs.quick_benchmark import QuickThroughput
from headstart.engine.costs.run_estimate import RunEstimates, run_estimates
from headstart.engine.costs.speeds import learn_speed, speeds_of, view_figure
from headstart.engine.costs.timing import TimingObserver
from headstart.engine.known.features import pooled_part
from headstart.engine.prefix.cut import NetworkGraph
from headstart.engine.store import frozen_part, limit
from headstart.engine.store.activations import Activations, plain_view
from headstart.engine.store.store import ActivationStore
from headstart.errors import ModelError
from headstart.plan.plan import AugmentationPlan, FrozenPrefixPlan, ProbePhase, SelectionPlan, TrainPhase
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.training.activation_source import ActivationSource
from headstart.training.checkpoint import load_state
from headstart.training.feeds import feed_for
from headstart.training.loop import fit
from headstart.training.stopping import StopRequest
from headstart.training.training import Training

COMPUTED = FrozenPrefixPlan(activations="computed")


class Notes(Observer):
    """Remembers what was noted, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict]] = []

    def noted(self, event: Event) -> None:
        self.events.append((event.event, event.to_dict()))

    def of(self, event: str) -> list[dict]:
        return [values for name, values in self.events if name == event]


@pytest.fixture(autouse=True)
def _nothing_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))


def with_store(task, folder: Path):
    digests = {name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()}
    return replace(task.images, digests=digests, store=ActivationStore(folder))


def costs_for(task, folder: Path) -> RunEstimates:
    made = run_estimates(task.classifier(), with_store(task, folder))
    return made.under(
        task.plan.augmentation, task.plan.selection, batch_size=task.plan.batch_size, engine="torch", seed=0
    )


def test_estimated_bytes_are_those_that_the_store_writes(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="partial", epochs=2)
    costs, notes = costs_for(task, tmp_path / "store"), Notes()
    phase = task.plan.phases[1].model_copy(update={"head_refit_views": 0})
    found = costs.resolve(phase, notes)
    assert found.plan == FrozenPrefixPlan(activations="cached", cut_point="stage6", views=2)
    assert notes.of("prefix_planned")[0]["cut_point"] == "stage6"
    source = ActivationSource(costs.classifier, costs.images, observer=notes)
    resolved = phase.model_copy(update={"frozen_prefix": found.plan})
    feed_for(resolved, source, augmentation=task.plan.augmentation, seed=0, made=found.cut)
    rows = 2 * costs.counts.train + costs.counts.validation
    written = sum(path.stat().st_size for path in (tmp_path / "store").rglob("*.shard"))
    assert cached_bytes(costs.facts.cut_point("stage6"), rows, "float16") == pytest.approx(written, rel=0.05)
    announced = costs.announced([phase])
    assert announced.stored_bytes <= 2 * 1280 * rows, "only the end is still to be stored"
    assert announced.phases[0].once_seconds == 0


def test_an_announcement_names_every_phase_and_adds_up(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="gradual", epochs=2)
    costs = costs_for(task, tmp_path / "store")
    made = costs.announced(task.plan.phases, budget_seconds=1e-9)
    assert [phase.name for phase in made.phases] == [*(phase.name for phase in task.plan.phases), "end"]
    total = made.elapsed_seconds + sum(phase.seconds for phase in made.phases)
    assert made.total_seconds == pytest.approx(total, abs=0.01)
    assert made.speeds == "related", "the network was tried for a moment"
    assert made.previous_total_seconds is None
    assert (made.low_seconds, made.past_runs) == (None, 0), "no run has tested an estimate"
    costs.known.estimates["related"] = [0.5, 1.0, 2.0]
    again = costs.announced(task.plan.phases)
    assert again.low_seconds == pytest.approx(again.total_seconds / 2, abs=0.01)
    assert again.high_seconds == pytest.approx(2 * again.total_seconds, abs=0.01)
    assert again.past_runs == 3
    costs.announced_seconds = None
    assert "is shorter than that" in made.budget
    assert costs.announced(task.plan.phases, budget_seconds=1e9).budget is None
    assert costs.announced(task.plan.phases).budget is None


def test_what_is_left_if_the_probe_is_enough_is_said_where_tuning_may_be_skipped(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="partial", unfreeze=1, epochs=2)
    costs = costs_for(task, tmp_path / "store")
    costs.selection = SelectionPlan(when_cannot_improve="skip_tuning")
    assert costs.announced(task.plan.phases).without_tuning_seconds < costs.announced(task.plan.phases).total_seconds
    assert costs.announced(task.plan.phases[1:]).without_tuning_seconds is None, "the probe is done"
    costs.selection = SelectionPlan(when_cannot_improve="tune_anyway")
    assert costs.announced(task.plan.phases).without_tuning_seconds is None


def test_without_room_pixels_are_taken_and_the_event_says_why(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limit, "bytes_for", lambda root, folder: 1000)
    notes = Notes()
    task = prepare(strategy="partial", epochs=2)
    found = costs_for(task, tmp_path / "store").resolve(task.plan.phases[1], notes)
    assert (found.plan, found.cut) == (COMPUTED, None)
    assert "there is room for 1 kB" in notes.of("prefix_planned")[0]["why"]


def test_a_cut_point_that_cannot_be_cut_gives_way_to_an_earlier_one(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    original = NetworkGraph.cut

    def cut(self, border: str):
        if border == "stage6":
            raise ModelError("not at stage6")
        return original(self, border)

    monkeypatch.setattr(NetworkGraph, "cut", cut)
    task = prepare(strategy="partial", epochs=2)
    costs = costs_for(task, tmp_path / "store")
    phase = task.plan.phases[1]
    assert costs.announced([phase]).phases[0].cut_point == "stage6", "nobody has tried it yet"
    found = costs.resolve(phase, Notes())
    assert found.plan.cut_point == "stage5"
    assert "not at stage6" in found.why
    assert costs.announced([phase]).phases[0].cut_point == "stage5"
    remember(costs.machine, costs.known)
    assert costs_for(task, tmp_path / "store").announced([phase]).phases[0].cut_point == "stage5", "in a later run too"
    monkeypatch.setattr(NetworkGraph, "cut", original)
    assert costs.resolve(phase, Notes()).plan.cut_point == "stage6", (
        "what is remembered changes estimates and decides nothing"
    )
    assert costs.announced([phase]).phases[0].cut_point == "stage6"


def test_a_network_of_which_nothing_can_be_cut_is_estimated_to_store_nothing(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def graph(*args: object, **options: object) -> None:
        raise ModelError("no steps can be told")

    monkeypatch.setattr(frozen_part, "graph_of_classifier", graph)
    task = prepare(strategy="partial", epochs=2)
    costs = costs_for(task, tmp_path / "store")
    assert costs.resolve(task.plan.phases[1], Notes()).plan == COMPUTED
    assert costs.announced(task.plan.phases).phases[1].activations == "computed"


def test_what_really_crosses_is_weighed_again(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="partial", epochs=2)
    costs = costs_for(task, tmp_path / "store")
    phase = task.plan.phases[1]
    costs.announced([phase])  # looks inside
    true = costs.facts.cut_point("stage6").bytes_per_image
    costs.facts = costs.facts.with_bytes("stage6", 10**12)
    assert costs.resolve(phase, Notes()).plan.cut_point == "stage5", "nobody cuts where so much is said to cross"
    costs.facts = costs.facts.with_bytes("stage6", 1)
    assert costs.resolve(phase, Notes()).plan.cut_point == "stage6"
    assert costs.facts.cut_point("stage6").bytes_per_image == true


def test_the_way_that_a_plan_names_is_not_weighed(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="partial", epochs=2)
    phase = task.plan.phases[1].model_copy(update={"frozen_prefix": COMPUTED})
    notes = Notes()
    assert costs_for(task, tmp_path / "store").resolve(phase, notes).plan == COMPUTED
    assert notes.of("prefix_planned")[0]["why"] == "as the plan says"


class StopAfter(StopRequest):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def reason(self):
        self.looks -= 1
        return "signal" if self.looks < 0 else None


def slow_store() -> Measurements:
    """A machine on which whatever is stored takes forever."""
    return Measurements({"store": 1.0, "forward": 1e3, "training": 1e3, "torch": 1e3, "onnxruntime": 1e3})


def test_what_was_measured_here_changes_the_estimate_and_not_the_choice(prepare: Callable, tmp_path: Path):
    """Else the same plan would train other weights once a machine has learned its speeds."""
    task = prepare(strategy="partial", unfreeze=1, epochs=2)
    task.images = with_store(task, tmp_path / "store")
    phase, found, seconds = task.plan.phases[1], [], []
    for known in (Measurements(), slow_store()):
        costs = run_estimates(task.classifier(), task.images)
        costs.known = known
        found.append(costs.resolve(phase, Observer()).plan)
        seconds.append(costs.announced(task.plan.phases).total_seconds)
    assert found[0] == found[1]
    assert seconds[1] > 10 * seconds[0]


@pytest.mark.parametrize("first", ["cached", "computed"])
@pytest.mark.slow
def test_a_resume_takes_the_same_way_though_other_speeds_are_known_by_then(
    prepare: Callable, tmp_path: Path, first: str
):
    states = []
    for name in ("straight", "stopped"):
        task = prepare(name, strategy="partial", unfreeze=1, epochs=2)
        task.images = with_store(task, tmp_path / name)
        classifier = task.classifier()
        costs = run_estimates(classifier, task.images)
        if first == "computed":
            costs.nominal_speeds = lambda costs=costs: speeds_of(slow_store(), costs.facts)
        stop, watch = StopRequest(), Observer()
        if name == "stopped":
            watch.epoch_done = lambda row, stop=stop: stop.signalled() if row.epoch == 1 else None
        outcome = fit(
            Training(task.plan, classifier, task.images, run=task.run, observer=watch, stop=stop, costs=costs)
        )
        if name == "stopped":
            assert outcome.stopped == "signal"
            assert task.run.plan().phases[1].frozen_prefix.activations == first
            classifier = task.classifier()
            costs = run_estimates(classifier, task.images)
            if first == "cached":
                costs.nominal_speeds = lambda costs=costs: speeds_of(slow_store(), costs.facts)
            plan = task.run.plan()
            fit(Training(plan, classifier, task.images, run=task.run, costs=costs))
        assert task.run.plan().phases[1].frozen_prefix.activations == first
        states.append(load_state(task.run.checkpoint).network)
    assert all(torch.equal(tensor, states[1][path]) for path, tensor in states[0].items())


def test_a_store_that_is_too_full_after_all_changes_the_resolved_prefix(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    task = prepare(strategy="partial", unfreeze=1, epochs=1)
    task.images = with_store(task, tmp_path / "store")
    monkeypatch.setattr("headstart.engine.store.activations.Activations.room_for", lambda self, rows: False)
    notes = Notes()
    fit(Training(task.plan, task.classifier(), task.images, run=task.run, observer=notes, stop=StopRequest()))
    assert notes.of("prefix_planned")[0]["activations"] == "cached"
    assert notes.of("not_cached")
    assert task.run.plan().phases[1].frozen_prefix == COMPUTED


def test_a_head_alone_needs_no_look_inside(prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def never(*args: object, **options: object) -> None:
        raise AssertionError("looked inside")

    monkeypatch.setattr("headstart.engine.costs.network_counts.counted_facts_of", never)
    task = prepare(strategy="feature_extraction", head_solver="adam", epochs=2)
    costs = costs_for(task, tmp_path / "store")
    costs.announced(task.plan.phases)
    phase = task.plan.phases[0]
    assert isinstance(phase, TrainPhase)
    assert costs.resolve(phase, Notes()).plan == FrozenPrefixPlan(activations="cached", cut_point="head", views=2)
    few = replace(costs, augmentation=AugmentationPlan(preset="none"))
    assert few.resolve(phase, Notes()).plan.views == 1


def test_a_trained_head_finds_the_rows_of_the_run_before(prepare: Callable, tmp_path: Path):
    """They are stored as pooled features, because nothing else enters the head."""
    task = prepare(strategy="feature_extraction", head_solver="adam", epochs=2)
    costs = costs_for(task, tmp_path / "store")
    phase = task.plan.phases[0]
    assert costs.announced([phase]).phases[0].once_seconds > 0
    found = costs.resolve(phase, Notes())
    options = {"augmentation": task.plan.augmentation, "seed": 0, "made": found.cut}
    resolved = phase.model_copy(update={"frozen_prefix": found.plan})
    feed_for(resolved, ActivationSource(costs.classifier, costs.images), **options)
    for again in (phase, resolved):
        made = costs_for(task, tmp_path / "store").announced([again]).phases[0]
        assert (made.once_seconds, made.stored_bytes, made.cut_point) == (0, 0, "head")


def test_the_rows_of_a_resolved_phase_are_looked_for_where_it_keeps_them(prepare: Callable, tmp_path: Path):
    """A resume: the plan says an earlier border and another number of views than a new run would take."""
    task = prepare(strategy="partial", epochs=4)
    costs = costs_for(task, tmp_path / "store")
    way = FrozenPrefixPlan(activations="cached", cut_point="stage5", views=1)
    phase = task.plan.phases[1].model_copy(update={"frozen_prefix": way})
    options = {"augmentation": task.plan.augmentation, "seed": 0}
    feed_for(phase, ActivationSource(costs.classifier, costs.images), **options)
    made = costs.announced([phase], epochs_done=2).phases[0]
    assert (made.once_seconds, made.cut_point, made.views, made.epochs) == (0, "stage5", 1, 2)


SEEN = QuickThroughput(together=20.0, one_core=15.0)


def test_a_repeated_run_finds_what_was_reported_on(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="partial", epochs=2)
    images = with_store(task, tmp_path / "store")
    classifier, report = task.classifier(), images.roles.test
    kept = Activations(pooled_part(classifier), images.spec, images.digests, images.store, precision="float32")
    kept.reader(report, [plain_view(images.spec)])
    costs = costs_for(task, tmp_path / "store")
    assert costs._stored([ProbePhase()])[TEST_ROWS] == len(report) > 0
    assert TEST_ROWS not in costs._stored(task.plan.phases), "a tuned network has other features"


def count_benchmarks(monkeypatch: pytest.MonkeyPatch, found: QuickThroughput | None = SEEN) -> list[int]:
    taken: list[int] = []

    def benchmark(network: object, *, channels: int, size: int) -> QuickThroughput | None:
        taken.append(size)
        return found

    monkeypatch.setattr(quick_benchmark, "quick_throughput", benchmark)
    return taken


def test_the_network_is_tried_once_and_only_if_nothing_is_known_of_it(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    taken = count_benchmarks(monkeypatch)
    task = prepare(strategy="partial", epochs=2)
    costs = costs_for(task, tmp_path / "store")
    costs.announced(task.plan.phases)
    costs.announced(task.plan.phases)
    assert taken == [32]
    assert costs.speeds().forward == pytest.approx(20 * costs.facts.gmacs)
    apart = (15 * torch.get_num_threads() * 20) ** 0.5 * costs.facts.gmacs
    assert costs.speeds().torch == pytest.approx(1.4 * apart), "engines give each core images of its own"
    assert replace(costs, engine="auto").speeds().onnxruntime == pytest.approx(
        apart * expected_gain(costs.facts.utilisation)
    )
    known = Measurements()
    learn_speed(known, "onnxruntime", 5.0, costs.facts)
    probe, tune = [ProbePhase()], task.plan.phases
    for phases, benchmarks in ((probe, 1), (tune, 2)):  # a head needs no forward pass of the network as it is
        again = replace(costs_for(task, tmp_path / "store"), known=known)
        again.announced(phases)
        assert len(taken) == benchmarks
    learn_speed(known, "forward", 7.0, costs.facts)
    again = replace(costs_for(task, tmp_path / "store"), known=known)
    again.announced(tune)
    assert len(taken) == 2
    assert again.speeds().forward == 7.0


def test_what_needs_torch_waits_until_torch_has_built_the_network(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    taken, task = count_benchmarks(monkeypatch), prepare(strategy="partial", epochs=2)
    costs = costs_for(task, tmp_path / "store")
    learn_speed(costs.known, "onnxruntime", 5.0, costs.facts)
    kind = type(costs.classifier)
    monkeypatch.setattr("headstart.engine.costs.run_estimate.KnownClassifier", kind)
    monkeypatch.setattr(kind, "is_built", False, raising=False)
    costs.announced(task.plan.phases)
    assert (taken, costs.facts.counted) == ([], False)
    monkeypatch.setattr(kind, "is_built", True)
    for _ in range(2):
        costs.announced(task.plan.phases)
    assert (taken, costs.facts.counted) == ([32], True)


def test_a_network_that_cannot_be_tried_is_guessed(prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    count_benchmarks(monkeypatch, found=None)
    task = prepare(strategy="partial", epochs=2)
    assert costs_for(task, tmp_path / "store").announced(task.plan.phases).speeds == "guessed"


def test_views_are_shared_by_the_threads_that_compute(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    costs = costs_for(prepare(strategy="partial", epochs=2), tmp_path / "store")
    before = costs.nominal_speeds().cores
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert costs.speeds().cores == 1
    assert costs.nominal_speeds().cores == before


def test_plain_views_alone_are_tried_where_no_others_are_needed(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[list[str]] = []
    monkeypatch.setattr(
        quick_benchmark, "benchmarked_views", lambda images, augmentation, kinds: asked.append(list(kinds)) or {}
    )
    task = prepare(strategy="partial", epochs=2)
    costs_for(task, tmp_path / "store").announced([ProbePhase()])
    costs_for(task, tmp_path / "store").announced(task.plan.phases)
    known = Measurements()
    known.learn(view_figure("plain", pixels=task.images.pixels), 0.01)
    replace(costs_for(task, tmp_path / "store"), known=known).announced(task.plan.phases)
    assert asked == [["plain"], ["plain", "augmented"], ["augmented"]]


def test_a_search_is_estimated_before_it_was_made_and_counts_random_weights(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="partial", epochs=2, peak_lr="find")
    costs = costs_for(task, tmp_path / "store")
    phase = task.plan.phases[1]
    made, going_on = (costs.announced([phase], epochs_done=done).phases[0] for done in (0, 1))
    assert made.search_seconds > 0
    assert made.once_seconds > made.search_seconds
    assert going_on.search_seconds == 0
    assert costs._settings().weights == "pretrained"
    random = prepare("random", strategy="scratch", epochs=2)
    assert costs_for(random, tmp_path / "store")._settings().weights == "random"


def test_behind_the_first_phase_the_rest_is_estimated_with_what_is_known_by_then(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="gradual", epochs=2)
    costs, notes = costs_for(task, tmp_path / "store"), Notes()
    first = costs.announced(task.plan.phases, budget_seconds=1e3)
    costs.resolve(task.plan.phases[1], notes)
    again = notes.of("estimates")
    assert len(again) == 1
    names = [phase.name for phase in first.phases]
    assert [phase["name"] for phase in again[0]["phases"]] == names[1:]
    assert again[0]["previous_total_seconds"] == first.total_seconds
    costs.known.learn("store", 10.0)  # a store that takes forever
    costs.resolve(task.plan.phases[2], notes)
    assert notes.of("estimates")[1]["total_seconds"] > 10 * again[0]["total_seconds"]
    assert (first.budget, again[0]["budget"]) == (None, None)
    assert "is shorter" in notes.of("estimates")[1]["budget"]
    costs.resolve(task.plan.phases[2], notes)
    assert len(notes.of("estimates")) == 2, "nothing ended since"


def test_a_run_tells_its_later_estimates_and_keeps_the_first(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="partial", unfreeze=1, epochs=1)
    task.images = with_store(task, tmp_path / "store")
    classifier, notes = task.classifier(), Notes()
    timing = TimingObserver(run_estimates(classifier, task.images))

    class Both(Notes):
        """Passes what is noted to the timing observer too."""

        def noted(self, event: Event) -> None:
            notes.noted(event)
            timing.noted(event)

    fit(
        Training(
            task.plan,
            classifier,
            task.images,
            run=task.run,
            observer=Both(),
            stop=StopRequest(),
            costs=timing.estimates,
        )
    )
    told = notes.of("estimates")
    assert [[phase["name"] for phase in one["phases"]] for one in told] == [["probe", "tune", "end"], ["tune", "end"]]
    assert timing.comparison().total_seconds == told[0]["total_seconds"]
