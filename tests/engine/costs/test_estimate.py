"""Estimates are those of a machine that is played step by step, and the choice is what is done sooner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.engine.costs.estimate import (
    COMPUTED,
    FEWEST_POINTS,
    MOST_CACHED_VIEWS,
    MOST_POINTS,
    REUSE,
    Estimator,
    Phases,
    PrefixChoice,
    cached_bytes,
    first_trained,
    frozen_cut_points,
    points_for,
    views_to_cache,
)
from headstart.engine.costs.network import PIXELS, CutPoint, NetworkFacts
from headstart.engine.costs.phase_estimate import (
    TEST_ROWS,
    CostEstimate,
    ImageCounts,
    PhaseEstimate,
    Settings,
)
from headstart.engine.costs.speeds import Speeds, frozen_span, steps_span, validation_span
from headstart.plan.sections import AugmentationPlan, FrozenPrefixPlan, ProbePhase, TrainPhase

FACTS = NetworkFacts(
    name="net@224",
    gmacs=2.0,
    parameters=10_000_000,
    features=512,
    groups=("stem", "a", "b", "c", "head"),
    cut_points=(
        CutPoint("a", 0.1, 800_000),
        CutPoint("b", 0.4, 400_000),
        CutPoint("c", 0.8, 100_000),
        CutPoint("head", 1.0, 2_048),
    ),
    held_bytes=5e7,
)
SPEEDS = Speeds(
    cores=2,
    plain_view=0.008,
    augmented_view=0.012,
    torch=40.0,
    onnxruntime=100.0,
    setup_seconds=3.0,
    reload_seconds=0.5,
    forward=30.0,
    training=10.0,
    store=5e8,
    head=2e6,
    step_seconds=0.002,
    epoch_seconds=0.1,
    end_seconds=0.5,
)
COUNTS = ImageCounts(train=800, validation=200, training_pool=1000, test=300, classes=3)


def cached(cut_point: str, views: int) -> FrozenPrefixPlan:
    return FrozenPrefixPlan(activations="cached", cut_point=cut_point, views=views)


def terms(*, views: int | str = "auto", preset: str = "standard", **options: object) -> Settings:
    return Settings(AugmentationPlan(preset=preset, cached_views=views), batch_size=32, **options)


def phase(unfreeze: int = 1, epochs: int = 10, **options: object) -> TrainPhase:
    return TrainPhase(name="tune", epochs=epochs, unfreeze=unfreeze, head_lr=1e-3, **options)


def train_phase(
    phase: TrainPhase,
    prefix: FrozenPrefixPlan,
    counts: ImageCounts,
    facts: NetworkFacts,
    speeds: Speeds,
    settings: Settings,
) -> PhaseEstimate:
    return Estimator(counts, facts, speeds, settings).train_phase(phase, prefix)


def estimate(
    phases: Phases,
    counts: ImageCounts,
    facts: NetworkFacts,
    speeds: Speeds,
    settings: Settings,
    chosen_by: Speeds | None = None,
) -> CostEstimate:
    return Estimator(counts, facts, speeds, settings).estimate(phases, chosen_by=chosen_by)


def choose(
    phase: TrainPhase, counts: ImageCounts, facts: NetworkFacts, speeds: Speeds, settings: Settings
) -> PrefixChoice:
    return Estimator(counts, facts, speeds, settings).choose(phase)


class Machine:
    """Plays a phase image by image at exact speeds, and looks at its clock."""

    def __init__(self, speeds: Speeds) -> None:
        self.speeds, self.clock = speeds, 0.0

    def view(self, kind: str) -> None:
        self.clock += getattr(self.speeds, f"{kind}_view") / self.speeds.cores

    def compute(self, share: float, speed: float) -> None:
        self.clock += share * FACTS.gmacs / speed

    def move(self, point: CutPoint) -> None:
        self.clock += (point.bytes_per_image / 2 + 16) / self.speeds.store

    def stored_phase(self, point: CutPoint, views: int, epochs: int) -> float:
        self.clock += self.speeds.setup_seconds
        for image in range(COUNTS.train * views + COUNTS.validation):
            self.view("augmented" if image < COUNTS.train * views else "plain")
            self.compute(point.share, self.speeds.onnxruntime)
            self.move(point)
        for _ in range(epochs):
            for _ in range(COUNTS.train):
                self.move(point)
                self.compute(1 - point.share, self.speeds.training)
                self.clock += self.speeds.step_seconds / 32
            for _ in range(COUNTS.validation):
                self.move(point)
                self.compute(1 - point.share, self.speeds.forward)
            self.clock += self.speeds.epoch_seconds
        return self.clock

    def computed_phase(self, frozen_share: float, epochs: int) -> float:
        for _ in range(epochs):
            for _ in range(COUNTS.train):
                self.view("augmented")
                self.compute(frozen_share, self.speeds.forward)
                self.compute(1 - frozen_share, self.speeds.training)
                self.clock += self.speeds.step_seconds / 32
            for _ in range(COUNTS.validation):
                self.view("plain")
                self.compute(1.0, self.speeds.forward)
            self.clock += self.speeds.epoch_seconds
        return self.clock

    def searched(self, tests: list[tuple[float | None, float | None]], steps: int, point: CutPoint | None) -> float:
        """Each test in steps of its own: shares behind the first that learns without and with what is varied."""
        start = point.share if point else 0.0
        for learning in (one for test in tests for one in test):
            for _ in range(steps * 32):
                if point:
                    self.move(point)
                else:
                    self.view("augmented")
                if learning is None:
                    self.compute(1 - start, self.speeds.forward)
                else:
                    self.compute(1 - start - learning, self.speeds.forward)
                    self.compute(learning, self.speeds.training)
                    self.clock += self.speeds.step_seconds / 32
        return self.clock


@pytest.mark.parametrize("views", [1, 3])
def test_with_exact_speeds_a_stored_phase_takes_what_the_machine_takes(views: int):
    border = FACTS.cut_point("c")
    made = train_phase(phase(), cached("c", views), COUNTS, FACTS, SPEEDS, terms())
    assert made.seconds == pytest.approx(Machine(SPEEDS).stored_phase(border, views, 10), rel=1e-9)
    assert made.once_seconds == pytest.approx(Machine(SPEEDS).stored_phase(border, views, 0), rel=1e-9)


def test_with_exact_speeds_a_computed_phase_takes_what_the_machine_takes():
    made = train_phase(phase(), COMPUTED, COUNTS, FACTS, SPEEDS, terms())
    assert made.seconds == pytest.approx(Machine(SPEEDS).computed_phase(0.8, 10), rel=1e-9)
    assert made.once_seconds == made.stored_bytes == 0


def test_a_cross_fitted_step_is_one_fold_and_all_images_and_nothing_else_is():
    phase = TrainPhase(
        name="s", epochs=4, unfreeze="by_cost", most_trained_share=0.25, begins="if_it_can_pay", folds=3, head_lr=1e-3
    )
    assert first_trained(phase, FACTS) == "c"
    settings = Settings(AugmentationPlan(), batch_size=32)
    crossed = Estimator(ImageCounts(300, 0, 300, 0, classes=2), FACTS, SPEEDS, settings)
    # The same work by hand: 500 images trained and 100 validated in each epoch.
    plain = Estimator(ImageCounts(500, 100, 500, 0, classes=2), FACTS, SPEEDS, settings)
    way = FrozenPrefixPlan(activations="cached", cut_point="c", views=2)
    each = plain.train_phase(phase.model_copy(update={"folds": 0}), way).epoch_seconds
    assert crossed.train_phase(phase, way).epoch_seconds == pytest.approx(each)
    assert crossed.train_phase(phase, way).stored_bytes == cached_bytes(FACTS.cut_point("c"), 900, "float16")
    held_out = Estimator(ImageCounts(300, 60, 360, 0, classes=2), FACTS, SPEEDS, settings)
    assert held_out.train_phase(phase, way) == held_out.train_phase(phase.model_copy(update={"folds": 0}), way)


def test_a_span_that_was_measured_is_taken_as_it_was():
    measured = {steps_span("c", "c"): 0.5, frozen_span("c", "onnxruntime"): 0.001}
    plain = train_phase(phase(), cached("c", 2), COUNTS, FACTS, SPEEDS, terms())
    known = train_phase(phase(), cached("c", 2), COUNTS, FACTS, replace(SPEEDS, measured=measured), terms())
    read = (100_000 / 2 + 16) / SPEEDS.store
    rows, views = 2 * COUNTS.train + COUNTS.validation, 2 * COUNTS.train * 0.012 + COUNTS.validation * 0.008
    assert known.once_seconds == pytest.approx(SPEEDS.reload_seconds + rows * (0.001 + read) + views / 2)
    step = 0.2 * FACTS.gmacs / SPEEDS.training + SPEEDS.step_seconds / 32
    assert known.epoch_seconds == pytest.approx(plain.epoch_seconds + COUNTS.train * (0.5 - step))


def test_where_another_device_computes_the_longer_of_both_counts():
    beside = replace(SPEEDS, decoding="in_parallel")
    made = train_phase(phase(), COMPUTED, COUNTS, FACTS, beside, terms())
    steps = COUNTS.train * (1.6 / 30 + 0.4 / 10 + 0.002 / 32)
    assert made.seconds == pytest.approx(10 * (steps + COUNTS.validation * 2 / 30 + 0.1))


SEARCHES = {
    "head and backbone, stored": (1, "c", "pretrained", [(None, 0.0), (0.0, 0.2)]),
    "head and backbone, from pixels": (1, None, "pretrained", [(None, 0.0), (0.0, 0.2)]),
    "head alone": (0, "head", "pretrained", [(None, 0.0)]),
    "random weights": (4, None, "random", [(None, 1.0)]),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_with_exact_speeds_a_search_takes_what_the_machine_takes(name: str):
    unfreeze, border, weights, tests = SEARCHES[name]
    one = phase(unfreeze, peak_lr="find")
    way = COMPUTED if border is None else cached(border, 2)
    said = terms(weights=weights)
    found, planned = (
        train_phase(each, way, COUNTS, FACTS, SPEEDS, said)
        for each in (one, one.model_copy(update={"peak_lr": "planned"}))
    )
    steps = points_for(10 * 25) + 1
    took = Machine(SPEEDS).searched(tests, steps, FACTS.cut_point(border) if border else None)
    assert found.search_seconds == pytest.approx(took, rel=1e-9)
    assert found.seconds - planned.seconds == pytest.approx(took)
    assert found.once_seconds - planned.once_seconds == pytest.approx(took)


def test_a_phase_that_goes_on_or_has_found_its_speeds_searches_no_more():
    way = cached("c", 2)
    for one, said in ((phase(peak_lr="found"), terms()), (phase(peak_lr="find"), terms(epochs_done=1))):
        assert train_phase(one, way, COUNTS, FACTS, SPEEDS, said).search_seconds == 0


def test_batches_of_a_search_are_no_larger_than_the_images():
    few = replace(COUNTS, train=10)
    made = train_phase(phase(0, peak_lr="find"), cached("head", 1), few, FACTS, SPEEDS, terms())
    read = 21 * 10 * 2 * (2_048 / 2 + 16) / SPEEDS.store
    assert made.search_seconds == pytest.approx(21 * 10 * SPEEDS.step_seconds / 32 + read)


counts = st.builds(
    ImageCounts, train=st.integers(1, 10**5), validation=st.integers(1, 10**4), training_pool=st.just(1),
    test=st.just(0), classes=st.integers(2, 100),
)  # fmt: skip
speeds = st.builds(
    lambda **figures: replace(SPEEDS, **figures),
    torch=st.floats(0.1, 1e3), onnxruntime=st.sampled_from([0.0, 50.0, 500.0]), forward=st.floats(0.1, 1e3),
    training=st.floats(0.1, 1e3), store=st.floats(1e5, 1e10), plain_view=st.floats(1e-4, 1), cores=st.integers(1, 64),
)  # fmt: skip


@given(counts, speeds, st.integers(0, 3), st.integers(1, 30), st.integers(1, 8), st.floats(0, 1e12))
def test_stored_is_chosen_exactly_where_it_fits_and_is_not_slower(
    counts: ImageCounts, speeds: Speeds, unfreeze: int, epochs: int, views: int, room: float
):
    """With the number of views given, against every way tried by hand."""
    said = terms(views=views, room_bytes=room)
    wanted = min(views, epochs)
    one = phase(unfreeze, epochs)
    ways = {}
    for point in frozen_cut_points(one, FACTS):
        size = cached_bytes(point, counts.train * wanted + counts.validation, "float16")
        if size <= room:
            way = cached(point.name, wanted)
            ways[point.name] = train_phase(one, way, counts, FACTS, speeds, said).seconds
    recomputed = train_phase(one, COMPUTED, counts, FACTS, speeds, said).seconds
    made, why = choose(one, counts, FACTS, speeds, said)
    if ways and min(ways.values()) <= REUSE * recomputed:
        assert (made.activations, made.views) == ("cached", wanted)
        assert ways[made.cut_point] == min(ways.values())
    else:
        assert made == COMPUTED
    assert why


@given(counts, speeds, st.integers(1, 30), st.floats(0, 1e12))
def test_fewer_views_are_stored_only_where_more_do_not_fit(
    counts: ImageCounts, speeds: Speeds, epochs: int, room: float
):
    made, why = choose(phase(1, epochs), counts, FACTS, speeds, terms(room_bytes=room))
    wanted = min(MOST_CACHED_VIEWS, epochs)
    assert made.views <= wanted
    if made.activations == "cached" and made.views < wanted:
        assert cached_bytes(FACTS.cut_point("c"), counts.train * (made.views + 1) + counts.validation, "float16") > room
        assert f"{made.views} of {wanted} views" in why


@given(counts, speeds, st.integers(1, 3), st.integers(1, 20), st.integers(1, 7))
def test_more_images_epochs_or_views_never_cost_less(
    counts: ImageCounts, speeds: Speeds, unfreeze: int, epochs: int, views: int
):
    def seconds(counts: ImageCounts, epochs: int, views: int) -> float:
        way = cached(first_trained(phase(unfreeze), FACTS), views)
        return train_phase(phase(unfreeze, epochs), way, counts, FACTS, speeds, terms()).seconds

    base = seconds(counts, epochs, views)
    assert seconds(replace(counts, train=2 * counts.train), epochs, views) > base
    assert seconds(counts, epochs + 1, views) > base
    assert seconds(counts, epochs, views + 1) > base
    plain = [estimate([ProbePhase(), phase(unfreeze, n)], counts, FACTS, speeds, terms()).seconds for n in (epochs, 40)]
    assert plain[0] < plain[1]


def test_without_room_for_the_last_cut_point_nothing_is_stored_and_the_sentence_says_how_much_is_missing():
    made = choose(phase(), COUNTS, FACTS, SPEEDS, terms(views=2, room_bytes=1e7))
    assert made.plan == COMPUTED
    assert made.why == "90 MB at least would have to be stored, and there is room for 10 MB"


def test_an_earlier_cut_point_is_taken_where_the_last_one_is_too_large():
    large = FACTS.with_bytes("c", 10**8)
    made, why = choose(phase(), COUNTS, large, SPEEDS, terms(views=2))
    assert (made.activations, made.cut_point) == ("cached", "b")
    assert "before b and not c" in why
    refused = choose(phase(), COUNTS, replace(FACTS, uncut=("a", "b", "c")), SPEEDS, terms())
    assert refused.plan == COMPUTED


def test_what_is_stored_already_costs_nothing_again():
    rows = COUNTS.train * 4 + COUNTS.validation
    whole = estimate([phase()], COUNTS, FACTS, SPEEDS, terms()).phases[0]
    again = estimate([phase()], COUNTS, FACTS, SPEEDS, terms(stored={"c": rows})).phases[0]
    assert again.once_seconds == again.stored_bytes == 0
    assert again.seconds == pytest.approx(whole.seconds - whole.once_seconds)


def test_no_prefix_is_frozen_where_all_is_trained_or_statistics_move_and_none_is_cached_where_the_plan_says_so():
    assert frozen_cut_points(phase(4), FACTS) == ()
    assert frozen_cut_points(phase(1, batch_norm="train"), FACTS) == ()
    assert [point.name for point in frozen_cut_points(phase(1), FACTS)] == ["a", "b", "c"]
    assert choose(phase(4), COUNTS, FACTS, SPEEDS, terms()).plan == COMPUTED
    assert choose(phase(1), COUNTS, FACTS, SPEEDS, terms(store="off")).why == "the plan stores nothing"


def test_the_first_trained_group_is_told_from_speeds_or_from_a_count():
    assert first_trained(phase(0), FACTS) == "head"
    assert first_trained(phase(2), FACTS) == "b"
    assert first_trained(phase(1).model_copy(update={"unfreeze": "all"}), FACTS) == "stem"
    assert first_trained(phase(0, lr_by_group={"c": 1e-3, "head": 1e-3}), FACTS) == "c"


@pytest.mark.parametrize(
    ("preset", "views", "epochs", "wanted"),
    [("none", "auto", 9, 1), ("standard", "auto", 9, 4), ("standard", "auto", 2, 2), ("light", 8, 9, 8)],
)
def test_views_are_those_that_were_asked_for_but_never_more_than_epochs(preset, views, epochs, wanted):
    assert views_to_cache(AugmentationPlan(preset=preset, cached_views=views), epochs) == wanted


def test_room_that_one_phase_takes_is_not_there_for_the_next():
    rows = COUNTS.train * 4 + COUNTS.validation
    room = cached_bytes(FACTS.cut_point("c"), rows, "float16") * 1.5
    first, second, _ = estimate([phase(), phase()], COUNTS, FACTS, SPEEDS, terms(room_bytes=room)).phases
    assert first.views == 4
    assert second.views < 4


def test_epochs_that_are_done_are_not_estimated_again():
    whole, rest = (estimate([phase()], COUNTS, FACTS, SPEEDS, terms(epochs_done=done)).phases[0] for done in (0, 7))
    assert rest.epochs == 3
    assert rest.epoch_seconds == pytest.approx(whole.epoch_seconds)


def test_a_probe_alone_ends_cheaper_than_a_tuned_network():
    probe, both = (
        estimate(phases, COUNTS, FACTS, SPEEDS, terms()) for phases in ([ProbePhase()], [ProbePhase(), phase()])
    )
    assert probe.phases[-1].name == both.phases[-1].name == "end"
    assert probe.phases[-1].seconds < both.phases[-1].seconds
    assert probe.seconds == pytest.approx(sum(cost.seconds for cost in probe.phases))
    solve = probe.phases[0]
    frozen = SPEEDS.setup_seconds + 1000 * 2.0 / 100
    assert solve.once_seconds == pytest.approx(1000 * 0.008 / 2 + frozen)


def test_memory_grows_with_what_learns_and_with_the_batch():
    sizes = [Estimator(COUNTS, FACTS, SPEEDS, terms()).memory_bytes([phase(unfreeze)]) for unfreeze in (0, 1, 2, 4)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    large = replace(terms(), batch_size=128)
    assert Estimator(COUNTS, FACTS, SPEEDS, large).memory_bytes([phase(4)]) - sizes[-1] == pytest.approx(
        96 * 5e7, rel=1e-6
    )


def test_the_way_that_a_phase_took_is_what_a_resume_estimates():
    stored = phase(frozen_prefix=FrozenPrefixPlan(activations="cached", cut_point="b", views=3))
    kept = {"b": COUNTS.train * 3 + COUNTS.validation}
    made = estimate(
        [stored], COUNTS, FACTS, SPEEDS, terms(epochs_done=4, stored=kept, room_bytes=0.0), chosen_by=SPEEDS
    )
    way = made.phases[0]
    assert (way.activations, way.cut_point, way.views, made.phases[0].once_seconds) == ("cached", "b", 3, 0)
    computed = phase(frozen_prefix=FrozenPrefixPlan(activations="computed"))
    assert estimate([phase()], COUNTS, FACTS, SPEEDS, terms()).phases[0].activations == "cached"
    assert estimate([computed], COUNTS, FACTS, SPEEDS, terms()).phases[0].activations == "computed"
    assert estimate([stored], COUNTS, FACTS, SPEEDS, terms(store="off")).phases[0].activations == "computed"


def test_a_cut_point_that_cannot_be_cut_is_none_in_an_estimate():
    made = estimate([phase()], COUNTS, replace(FACTS, uncut=("c",)), SPEEDS, terms(), chosen_by=SPEEDS)
    assert made.phases[0].cut_point == "b"


def test_an_estimate_counts_as_measured_only_where_what_it_needs_was_measured():
    def origin(*spans: str, phases: Sequence[ProbePhase | TrainPhase]) -> str:
        known = replace(SPEEDS, measured=dict.fromkeys(spans, 0.01), origin="measured" if spans else "related")
        return estimate(phases, COUNTS, FACTS, known, terms(), chosen_by=SPEEDS).origin

    pooled, frozen = frozen_span("pooled", "onnxruntime"), frozen_span("c", "torch")
    steps, validation = steps_span("c", "c"), validation_span("c")
    tune, probe = [phase()], [ProbePhase()]
    assert origin(phases=tune) == "related"
    assert origin(pooled, phases=tune) == "related", "no step was ever timed"
    assert origin(pooled, frozen, validation, phases=tune) == "related"
    assert origin(pooled, frozen, steps, validation, phases=tune) == "measured"
    assert origin(pooled, phases=probe) == "measured"
    assert origin(validation, phases=probe) == "related"
    from_pixels = steps_span(PIXELS, "c"), validation_span(PIXELS)
    assert origin(*from_pixels, pooled, phases=tune) == "related", "by another way"
    assert estimate([phase()], COUNTS, FACTS, replace(SPEEDS, origin="guessed"), terms()).origin == "guessed"


def test_a_choice_says_a_ratio_and_no_seconds_of_a_machine_that_nobody_has():
    stored = choose(phase(), COUNTS, FACTS, SPEEDS, terms(views=2))
    ways = (train_phase(phase(), way, COUNTS, FACTS, SPEEDS, terms(views=2)).seconds for way in (COMPUTED, stored.plan))
    ratio = next(ways) / next(ways)
    assert ratio > 1.5
    assert stored.why == f"about {ratio:.2g} times as fast as running everything in every epoch"
    slow = replace(SPEEDS, store=1e4)
    assert choose(phase(), COUNTS, FACTS, slow, terms(views=2)).why.startswith("storing would take about ")
    torch_alone = replace(SPEEDS, torch=22.0, onnxruntime=0.0)
    few = choose(phase(1, 2), COUNTS, replace(FACTS, uncut=("a", "b")), torch_alone, terms(views=2))
    assert few.why.startswith("stored for later phases and runs, though it takes about 1.")
    for made in (stored, few):
        assert " s " not in made.why
        assert "min" not in made.why


def test_test_images_whose_features_are_stored_take_no_time():
    def end(test: int, kept: int):
        counts = replace(COUNTS, test=test)
        return estimate([ProbePhase()], counts, FACTS, SPEEDS, terms(stored={TEST_ROWS: kept})).phases[-1]

    assert end(300, 300).seconds == pytest.approx(SPEEDS.end_seconds)
    assert end(300, 0).seconds > end(300, 200).seconds > end(300, 300).seconds
    assert end(20, 20).seconds == end(20, 0).seconds > SPEEDS.end_seconds, "few are run through the network as it is"


@given(steps=st.integers(1, 10**6))
def test_two_range_tests_take_a_third_of_the_phase_and_a_hundred_steps_at_most(steps: int):
    points = points_for(steps)
    assert FEWEST_POINTS <= points <= MOST_POINTS
    assert 2 * points <= max(2 * FEWEST_POINTS, min(100, steps / 3))
