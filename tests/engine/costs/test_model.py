"""Cost: forecasts are those of a machine that is played step by step, and what is chosen is what is sooner done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.engine.costs.model import (
    MOST_VIEWS,
    REUSE,
    choose,
    first_trained,
    forecast,
    memory_bytes,
    phase_cost,
    resting_borders,
    stored_bytes,
    views_wanted,
)
from headstart.engine.costs.network import Border, NetworkFacts
from headstart.engine.costs.terms import (
    PIXELS,
    REPORTED,
    Choice,
    ImageCounts,
    Rates,
    Terms,
    frozen_stretch,
    judging_stretch,
    points_for,
    steps_stretch,
)
from headstart.plan.sections import AugmentationPlan, FrozenPrefixPlan, ProbePhase, TrainPhase

FACTS = NetworkFacts(
    name="net@224",
    gmacs=2.0,
    parameters=10_000_000,
    features=512,
    groups=("stem", "a", "b", "c", "head"),
    borders=(
        Border("a", 0.1, 800_000),
        Border("b", 0.4, 400_000),
        Border("c", 0.8, 100_000),
        Border("head", 1.0, 2_048),
    ),
    held_bytes=5e7,
)
RATES = Rates(
    cores=2,
    plain_view=0.008,
    varied_view=0.012,
    torch=40.0,
    onnxruntime=100.0,
    setup_seconds=3.0,
    reload_seconds=0.5,
    forward=30.0,
    training=10.0,
    moved=5e8,
    solved=2e6,
    step_seconds=0.002,
    epoch_seconds=0.1,
    end_seconds=0.5,
)
COUNTS = ImageCounts(fit=800, select=200, train=1000, report=300, classes=3)
COMPUTED = Choice("computed", None, 0, 0, "")


def terms(*, views: int | str = "auto", preset: str = "standard", **options: object) -> Terms:
    return Terms(AugmentationPlan(preset=preset, cached_views=views), batch_size=32, **options)


def phase(unfreeze: int = 1, epochs: int = 10, **options: object) -> TrainPhase:
    return TrainPhase(name="tune", epochs=epochs, unfreeze=unfreeze, head_lr=1e-3, **options)


class Machine:
    """Plays a phase image by image at exact rates, and looks at its clock."""

    def __init__(self, rates: Rates) -> None:
        self.rates, self.clock = rates, 0.0

    def view(self, kind: str) -> None:
        self.clock += getattr(self.rates, f"{kind}_view") / self.rates.cores

    def compute(self, share: float, rate: float) -> None:
        self.clock += share * FACTS.gmacs / rate

    def move(self, border: Border) -> None:
        self.clock += (border.bytes_per_image / 2 + 16) / self.rates.moved

    def stored_phase(self, border: Border, views: int, epochs: int) -> float:
        self.clock += self.rates.setup_seconds
        for image in range(COUNTS.fit * views + COUNTS.select):
            self.view("varied" if image < COUNTS.fit * views else "plain")
            self.compute(border.share, self.rates.onnxruntime)
            self.move(border)
        for _ in range(epochs):
            for _ in range(COUNTS.fit):
                self.move(border)
                self.compute(1 - border.share, self.rates.training)
                self.clock += self.rates.step_seconds / 32
            for _ in range(COUNTS.select):
                self.move(border)
                self.compute(1 - border.share, self.rates.forward)
            self.clock += self.rates.epoch_seconds
        return self.clock

    def computed_phase(self, rests: float, epochs: int) -> float:
        for _ in range(epochs):
            for _ in range(COUNTS.fit):
                self.view("varied")
                self.compute(rests, self.rates.forward)
                self.compute(1 - rests, self.rates.training)
                self.clock += self.rates.step_seconds / 32
            for _ in range(COUNTS.select):
                self.view("plain")
                self.compute(1.0, self.rates.forward)
            self.clock += self.rates.epoch_seconds
        return self.clock

    def searched(self, tests: list[tuple[float | None, float | None]], steps: int, border: Border | None) -> float:
        """Each test in steps of its own: shares behind the first that learns without and with what is varied."""
        start = border.share if border else 0.0
        for learning in (one for test in tests for one in test):
            for _ in range(steps * 32):
                if border:
                    self.move(border)
                else:
                    self.view("varied")
                if learning is None:
                    self.compute(1 - start, self.rates.forward)
                else:
                    self.compute(1 - start - learning, self.rates.forward)
                    self.compute(learning, self.rates.training)
                    self.clock += self.rates.step_seconds / 32
        return self.clock


@pytest.mark.parametrize("views", [1, 3])
def test_with_exact_rates_a_stored_phase_takes_what_the_machine_takes(views: int):
    border = FACTS.border("c")
    made = phase_cost(phase(), Choice("stored", "c", views, 0, ""), COUNTS, FACTS, RATES, terms())
    assert made.seconds == pytest.approx(Machine(RATES).stored_phase(border, views, 10), rel=1e-9)
    assert made.once_seconds == pytest.approx(Machine(RATES).stored_phase(border, views, 0), rel=1e-9)


def test_with_exact_rates_a_computed_phase_takes_what_the_machine_takes():
    made = phase_cost(phase(), COMPUTED, COUNTS, FACTS, RATES, terms())
    assert made.seconds == pytest.approx(Machine(RATES).computed_phase(0.8, 10), rel=1e-9)
    assert made.once_seconds == made.stored_bytes == 0


def test_a_stretch_that_was_measured_is_taken_as_it_was():
    measured = {steps_stretch("c", "c"): 0.5, frozen_stretch("c", "onnxruntime"): 0.001}
    plain = phase_cost(phase(), Choice("stored", "c", 2, 0, ""), COUNTS, FACTS, RATES, terms())
    known = phase_cost(
        phase(), Choice("stored", "c", 2, 0, ""), COUNTS, FACTS, replace(RATES, measured=measured), terms()
    )
    read = (100_000 / 2 + 16) / RATES.moved
    assert known.steps_seconds == pytest.approx(10 * COUNTS.fit * (0.5 + read))
    rows = 2 * COUNTS.fit + COUNTS.select
    assert known.frozen_seconds == pytest.approx(RATES.reload_seconds + rows * (0.001 + read))
    assert known.judging_seconds == plain.judging_seconds


def test_where_another_device_computes_the_longer_of_both_counts():
    beside = replace(RATES, decoding="beside")
    made = phase_cost(phase(), COMPUTED, COUNTS, FACTS, beside, terms())
    steps = COUNTS.fit * (1.6 / 30 + 0.4 / 10 + 0.002 / 32)
    assert made.seconds == pytest.approx(10 * (steps + COUNTS.select * 2 / 30 + 0.1))


SEARCHES = {
    "head and backbone, stored": (1, "c", "pretrained", [(None, 0.0), (0.0, 0.2)]),
    "head and backbone, from pixels": (1, None, "pretrained", [(None, 0.0), (0.0, 0.2)]),
    "head alone": (0, "head", "pretrained", [(None, 0.0)]),
    "random weights": (4, None, "random", [(None, 1.0)]),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_with_exact_rates_a_search_takes_what_the_machine_takes(name: str):
    unfreeze, border, weights, tests = SEARCHES[name]
    one = phase(unfreeze, peak_lr="find")
    way = COMPUTED if border is None else Choice("stored", border, 2, 0, "")
    said = terms(weights=weights)
    found, planned = (
        phase_cost(each, way, COUNTS, FACTS, RATES, said)
        for each in (one, one.model_copy(update={"peak_lr": "planned"}))
    )
    steps = points_for(10 * 25) + 1
    took = Machine(RATES).searched(tests, steps, FACTS.border(border) if border else None)
    assert found.search_seconds == pytest.approx(took, rel=1e-9)
    assert found.seconds - planned.seconds == pytest.approx(took)
    assert found.once_seconds - planned.once_seconds == pytest.approx(took)


def test_a_phase_that_goes_on_or_has_found_its_rates_searches_no_more():
    way = Choice("stored", "c", 2, 0, "")
    for one, said in ((phase(peak_lr="found"), terms()), (phase(peak_lr="find"), terms(epochs_done=1))):
        assert phase_cost(one, way, COUNTS, FACTS, RATES, said).search_seconds == 0


def test_batches_of_a_search_are_no_larger_than_the_images():
    few = replace(COUNTS, fit=10)
    made = phase_cost(phase(0, peak_lr="find"), Choice("stored", "head", 1, 0, ""), few, FACTS, RATES, terms())
    read = 21 * 10 * 2 * (2_048 / 2 + 16) / RATES.moved
    assert made.search_seconds == pytest.approx(21 * 10 * RATES.step_seconds / 32 + read)


counts = st.builds(
    ImageCounts, fit=st.integers(1, 10**5), select=st.integers(1, 10**4), train=st.just(1), report=st.just(0),
    classes=st.integers(2, 100),
)  # fmt: skip
rates = st.builds(
    lambda **figures: replace(RATES, **figures),
    torch=st.floats(0.1, 1e3), onnxruntime=st.sampled_from([0.0, 50.0, 500.0]), forward=st.floats(0.1, 1e3),
    training=st.floats(0.1, 1e3), moved=st.floats(1e5, 1e10), plain_view=st.floats(1e-4, 1), cores=st.integers(1, 64),
)  # fmt: skip


@given(counts, rates, st.integers(0, 3), st.integers(1, 30), st.integers(1, 8), st.floats(0, 1e12))
def test_stored_is_chosen_exactly_where_it_fits_and_is_not_slower(
    counts: ImageCounts, rates: Rates, unfreeze: int, epochs: int, views: int, room: float
):
    """With the number of views given, against every way tried by hand."""
    said = terms(views=views, room_bytes=room)
    wanted = min(views, epochs)
    one = phase(unfreeze, epochs)
    ways = {}
    for border in resting_borders(one, FACTS):
        size = stored_bytes(border, counts.fit * wanted + counts.select, "float16")
        if size <= room:
            way = Choice("stored", border.name, wanted, size, "")
            ways[border.name] = phase_cost(one, way, counts, FACTS, rates, said).seconds
    recomputed = phase_cost(one, COMPUTED, counts, FACTS, rates, said).seconds
    made = choose(one, counts, FACTS, rates, said)
    if ways and min(ways.values()) <= REUSE * recomputed:
        assert (made.way, made.views) == ("stored", wanted)
        assert ways[made.border] == min(ways.values())
        assert made.bytes <= room
    else:
        assert (made.way, made.border, made.views, made.bytes) == ("computed", None, 0, 0)
    assert made.why


@given(counts, rates, st.integers(1, 30), st.floats(0, 1e12))
def test_fewer_views_are_stored_only_where_more_do_not_fit(counts: ImageCounts, rates: Rates, epochs: int, room: float):
    made = choose(phase(1, epochs), counts, FACTS, rates, terms(room_bytes=room))
    wanted = min(MOST_VIEWS, epochs)
    assert made.views <= wanted
    if made.way == "stored" and made.views < wanted:
        assert stored_bytes(FACTS.border("c"), counts.fit * (made.views + 1) + counts.select, "float16") > room
        assert f"{made.views} of {wanted} views" in made.why


@given(counts, rates, st.integers(1, 3), st.integers(1, 20), st.integers(1, 7))
def test_more_images_epochs_or_views_never_cost_less(
    counts: ImageCounts, rates: Rates, unfreeze: int, epochs: int, views: int
):
    def seconds(counts: ImageCounts, epochs: int, views: int) -> float:
        way = Choice("stored", first_trained(phase(unfreeze), FACTS), views, 0, "")
        return phase_cost(phase(unfreeze, epochs), way, counts, FACTS, rates, terms()).seconds

    base = seconds(counts, epochs, views)
    assert seconds(replace(counts, fit=2 * counts.fit), epochs, views) > base
    assert seconds(counts, epochs + 1, views) > base
    assert seconds(counts, epochs, views + 1) > base
    plain = [forecast([ProbePhase(), phase(unfreeze, n)], counts, FACTS, rates, terms()).seconds for n in (epochs, 40)]
    assert plain[0] < plain[1]


def test_without_room_for_the_last_border_nothing_is_stored_and_the_sentence_says_how_much_is_missing():
    made = choose(phase(), COUNTS, FACTS, RATES, terms(views=2, room_bytes=1e7))
    assert made.way == "computed"
    assert made.why == "90 MB at least would have to be stored, and there is room for 10 MB"


def test_an_earlier_border_is_taken_where_the_last_one_is_too_large():
    large = FACTS.with_bytes("c", 10**8)
    made = choose(phase(), COUNTS, large, RATES, terms(views=2))
    assert (made.way, made.border) == ("stored", "b")
    assert "before b and not c" in made.why
    refused = choose(phase(), COUNTS, FACTS, RATES, terms(uncut=frozenset({"c", "b", "a"})))
    assert refused.way == "computed"


def test_what_is_stored_already_costs_nothing_again():
    rows = COUNTS.fit * 4 + COUNTS.select
    whole = forecast([phase()], COUNTS, FACTS, RATES, terms()).phases[0]
    again = forecast([phase()], COUNTS, FACTS, RATES, terms(kept={"c": rows})).phases[0]
    assert again.once_seconds == again.stored_bytes == 0
    assert again.seconds == pytest.approx(whole.seconds - whole.once_seconds)


def test_nothing_rests_where_all_learns_or_statistics_move_and_nothing_is_kept_where_the_plan_says_so():
    assert resting_borders(phase(4), FACTS) == ()
    assert resting_borders(phase(1, batch_norm="train"), FACTS) == ()
    assert [border.name for border in resting_borders(phase(1), FACTS)] == ["a", "b", "c"]
    assert choose(phase(4), COUNTS, FACTS, RATES, terms()).way == "computed"
    assert choose(phase(1), COUNTS, FACTS, RATES, terms(store="off")).why == "the plan keeps nothing"


def test_the_first_trained_group_is_told_from_rates_or_from_a_count():
    assert first_trained(phase(0), FACTS) == "head"
    assert first_trained(phase(2), FACTS) == "b"
    assert first_trained(phase(1).model_copy(update={"unfreeze": "all"}), FACTS) == "stem"
    assert first_trained(phase(0, lr_by_group={"c": 1e-3, "head": 1e-3}), FACTS) == "c"


@pytest.mark.parametrize(
    ("preset", "views", "epochs", "wanted"),
    [("none", "auto", 9, 1), ("standard", "auto", 9, 4), ("standard", "auto", 2, 2), ("light", 8, 9, 8)],
)
def test_views_are_those_that_were_asked_for_but_never_more_than_epochs(preset, views, epochs, wanted):
    assert views_wanted(AugmentationPlan(preset=preset, cached_views=views), epochs) == wanted


def test_room_that_one_phase_takes_is_not_there_for_the_next():
    rows = COUNTS.fit * 4 + COUNTS.select
    room = stored_bytes(FACTS.border("c"), rows, "float16") * 1.5
    first, second, _ = forecast([phase(), phase()], COUNTS, FACTS, RATES, terms(room_bytes=room)).phases
    assert first.choice.views == 4
    assert second.choice.views < 4


def test_epochs_that_are_done_are_not_forecast_again():
    whole, rest = (forecast([phase()], COUNTS, FACTS, RATES, terms(epochs_done=done)).phases[0] for done in (0, 7))
    assert rest.epochs == 3
    assert rest.steps_seconds == pytest.approx(0.3 * whole.steps_seconds)


def test_a_probe_alone_ends_cheaper_than_a_tuned_network():
    probe, both = (
        forecast(phases, COUNTS, FACTS, RATES, terms()) for phases in ([ProbePhase()], [ProbePhase(), phase()])
    )
    assert probe.phases[-1].name == both.phases[-1].name == "end"
    assert probe.phases[-1].seconds < both.phases[-1].seconds
    assert probe.seconds == pytest.approx(sum(cost.seconds for cost in probe.phases))
    solve = probe.phases[0]
    frozen = RATES.setup_seconds + 1000 * 2.0 / 100
    assert (solve.views_seconds, solve.frozen_seconds) == pytest.approx((1000 * 0.008 / 2, frozen))


def test_memory_grows_with_what_learns_and_with_the_batch():
    sizes = [memory_bytes([phase(unfreeze)], FACTS, terms()) for unfreeze in (0, 1, 2, 4)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    large = replace(terms(), batch_size=128)
    assert memory_bytes([phase(4)], FACTS, large) - sizes[-1] == pytest.approx(96 * 5e7, rel=1e-6)


def test_the_way_that_a_phase_took_is_what_a_resume_forecasts():
    stored = phase(frozen_prefix=FrozenPrefixPlan(activations="cached", cut_point="b", views=3))
    kept = {"b": COUNTS.fit * 3 + COUNTS.select}
    made = forecast([stored], COUNTS, FACTS, RATES, terms(epochs_done=4, kept=kept, room_bytes=0.0), chosen_by=RATES)
    way = made.phases[0].choice
    assert (way.way, way.border, way.views, made.phases[0].once_seconds) == ("stored", "b", 3, 0)
    computed = phase(frozen_prefix=FrozenPrefixPlan(activations="computed"))
    assert forecast([phase()], COUNTS, FACTS, RATES, terms()).phases[0].choice.way == "stored"
    assert forecast([computed], COUNTS, FACTS, RATES, terms()).phases[0].choice.way == "computed"
    assert forecast([stored], COUNTS, FACTS, RATES, terms(store="off")).phases[0].choice.way == "computed"


def test_a_border_that_cannot_be_cut_is_none_in_a_forecast():
    made = forecast([phase()], COUNTS, FACTS, RATES, terms(uncut=frozenset({"c"})), chosen_by=RATES)
    assert made.phases[0].choice.border == "b"


def test_a_forecast_counts_as_measured_only_where_what_it_needs_was_measured():
    def origin(*stretches: str, phases: Sequence[ProbePhase | TrainPhase]) -> str:
        known = replace(RATES, measured=dict.fromkeys(stretches, 0.01), origin="measured" if stretches else "related")
        return forecast(phases, COUNTS, FACTS, known, terms(), chosen_by=RATES).origin

    pooled, frozen = frozen_stretch("pooled", "onnxruntime"), frozen_stretch("c", "torch")
    steps, judging = steps_stretch("c", "c"), judging_stretch("c")
    tune, probe = [phase()], [ProbePhase()]
    assert origin(phases=tune) == "related"
    assert origin(pooled, phases=tune) == "related", "no step was ever timed"
    assert origin(pooled, frozen, judging, phases=tune) == "related"
    assert origin(pooled, frozen, steps, judging, phases=tune) == "measured"
    assert origin(pooled, phases=probe) == "measured"
    assert origin(judging, phases=probe) == "related"
    from_pixels = steps_stretch(PIXELS, "c"), judging_stretch(PIXELS)
    assert origin(*from_pixels, pooled, phases=tune) == "related", "by another way"
    assert forecast([phase()], COUNTS, FACTS, replace(RATES, origin="guessed"), terms()).origin == "guessed"


def test_a_choice_says_a_ratio_and_no_seconds_of_a_machine_that_nobody_has():
    stored = choose(phase(), COUNTS, FACTS, RATES, terms(views=2))
    ways = (phase_cost(phase(), way, COUNTS, FACTS, RATES, terms(views=2)).seconds for way in (COMPUTED, stored))
    ratio = next(ways) / next(ways)
    assert ratio > 1.5
    assert stored.why == f"about {ratio:.2g} times as fast as running everything in every epoch"
    slow = replace(RATES, moved=1e4)
    assert choose(phase(), COUNTS, FACTS, slow, terms(views=2)).why.startswith("storing would take about ")
    few = replace(RATES, torch=22.0, onnxruntime=0.0), terms(views=2, uncut=frozenset({"a", "b"}))
    few = choose(phase(1, 2), COUNTS, FACTS, *few)
    assert few.why.startswith("kept for later phases and runs, though it takes about 1.")
    for made in (stored, few):
        assert " s " not in made.why
        assert "min" not in made.why


def test_images_that_report_and_are_kept_take_nothing_to_judge():
    def end(report: int, kept: int):
        counts = replace(COUNTS, report=report)
        return forecast([ProbePhase()], counts, FACTS, RATES, terms(kept={REPORTED: kept})).phases[-1]

    assert end(300, 300).seconds == pytest.approx(RATES.end_seconds)
    assert end(300, 0).seconds > end(300, 200).seconds > end(300, 300).seconds
    assert end(20, 20).seconds == end(20, 0).seconds > RATES.end_seconds, "few are run through the network as it is"
