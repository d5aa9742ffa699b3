"""What is remembered of a machine, and the rates that follow."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.engine.costs.memory import (
    CORE_RATE,
    FIGURES,
    GPU_RATE,
    Known,
    Trial,
    nominal_rates,
    rates_of,
    recall,
    remember,
)
from headstart.engine.costs.network import NetworkFacts, facts_of_card
from headstart.engine.costs.terms import Rates, frozen_stretch
from headstart.files import locked
from headstart.networks.cards.finding import find_model

FACTS = NetworkFacts("net@224", 2.0, 10**7, 512, ("stem", "head"), (), 1e8, vigour=0.5)
OTHER = replace(FACTS, name="other@224", vigour=0.25)


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    return tmp_path


def test_what_is_remembered_comes_back_for_its_machine_and_for_whoever_asks_for_the_last(own_home: Path):
    assert recall("a") == recall() == Known()
    known = Known()
    known.learn("moved", 1e9)
    known.learn_stretch(FACTS, "steps", 0.01)
    known.learn_facts(FACTS)
    remember("a", known)
    remember("b", Known({"moved": 1.0}, {}))
    assert recall("a") == known
    assert recall("a").facts_of("net@224") == FACTS
    assert recall() == Known({"moved": 1.0}, {})
    assert recall("a").facts_of("unknown@224") is None


ANOTHER_FORMAT = '{"latest": "a", "machines": {"a": {"figures": {"onnxruntime": 1.0}, "networks": {}}}}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": 2, "machines": 3}',
        '{"format": 2, "latest": "a", "machines": {"a": {"figures": 1}}}',
        '{"format": 2, "latest": "a", "machines": {"a": {"figures": {"moved": "x"}, "networks": {}}}}',
        ANOTHER_FORMAT,
    ],
)
def test_a_damaged_file_counts_as_none(own_home: Path, text: str):
    (own_home / "rates.json").write_text(text)
    assert recall("a") == recall() == Known()
    remember("a", Known({"moved": 2.0}, {}))
    assert recall("a").figures == {"moved": 2.0}


def test_a_home_that_may_not_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "file"))
    remember("a", Known({"moved": 2.0}, {}))
    assert recall("a") == Known()


def test_a_new_measurement_moves_most_of_the_way_and_nonsense_moves_nothing():
    known = Known()
    known.learn("moved", 100.0)
    known.learn("moved", 200.0)
    assert known.figures["moved"] == pytest.approx(170.0)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        known.learn("moved", wrong)
    assert known.figures["moved"] == pytest.approx(170.0)


def test_two_runs_at_once_keep_what_the_other_learned(own_home: Path):
    first = recall("a")
    first.learn("moved", 1e9)
    first.learn_stretch(FACTS, "steps", 0.5)
    remember("a", first)
    one, two = recall("a"), recall("a")
    one.learn("solved", 3e7)
    one.learn_stretch(FACTS, "judging", 0.1)
    one.learn_facts(FACTS)
    remember("b", Known({"moved": 1.0}, {}))
    remember("a", one)
    two.learn("moved", 3e9)
    two.learn_stretch(FACTS, "frozen", 0.2)
    two.learn_stretch(OTHER, "steps", 0.7)
    two.learn_cut(FACTS, "head", works=False)
    remember("a", two)
    both = recall("a")
    assert both.figures == {"moved": pytest.approx(2.4e9), "solved": 3e7}
    assert both.stretches_of(FACTS.name) == {"steps": 0.5, "judging": 0.1, "frozen": 0.2}
    assert both.stretches_of(OTHER.name) == {"steps": 0.7}
    assert (both.facts_of(FACTS.name), both.uncut_of(FACTS.name)) == (FACTS, {"head"})
    one.learn("end_seconds", 0.9)
    remember("a", one)
    assert recall("a").figures == {**both.figures, "end_seconds": 0.9}, "what one had read before is no news"
    assert recall("b").figures == {"moved": 1.0}


def test_remembering_waits_for_who_is_remembering(own_home: Path):
    done: list[str] = []

    def work() -> None:
        remember("a", Known({"moved": 2.0}, {}))
        done.append("remembered")

    thread = threading.Thread(target=work)
    with locked(own_home):
        thread.start()
        thread.join(0.3)
        assert not done
    thread.join()
    assert recall("a").figures == {"moved": 2.0}


def test_another_network_is_expected_to_run_as_much_slower_as_its_kind():
    known = Known()
    known.learn("forward", 10.0, network=FACTS)
    same, other = (rates_of(known, one, gemm=1e9) for one in (FACTS, OTHER))
    assert (same.forward, other.forward) == (10.0, 5.0)
    assert same.origin == "related"
    assert same.training == pytest.approx(10 / 3)
    assert same.torch > same.forward
    known.learn_stretch(FACTS, frozen_stretch("pooled", "torch"), 0.3)
    assert rates_of(known, FACTS).origin == "measured"
    assert rates_of(known, FACTS).measured == {frozen_stretch("pooled", "torch"): 0.3}
    assert rates_of(known, OTHER).origin == "related"


def test_what_a_network_did_itself_says_more_than_what_others_did():
    known = Known()
    known.learn("forward", 10.0, network=FACTS)
    known.learn("forward", 100.0, network=OTHER)
    assert rates_of(known, FACTS).forward == 10.0
    assert rates_of(known, OTHER).forward == 100.0
    third = replace(FACTS, name="third@224")
    assert rates_of(known, third).forward > 100.0, "of a higher vigour than the one that was measured last"
    known.learn("onnxruntime", 30.0, network=FACTS)
    assert rates_of(known, FACTS).onnxruntime == 30.0
    assert rates_of(known, FACTS).training == pytest.approx(10 / 3)


def test_a_trial_counts_until_a_run_has_measured_and_for_nobody_else():
    trial = Trial({"forward": 50.0}, {"plain": 0.004})
    known = Known()
    tried = rates_of(known, FACTS, pixels=2**18, trial=trial)
    assert (tried.forward, tried.training, tried.plain_view) == (50.0, pytest.approx(50 / 3), 0.004)
    assert tried.varied_view > tried.plain_view, "the other kind is dearer, as usual"
    assert tried.origin == "related"
    assert known == Known()
    known.learn("forward", 10.0, network=FACTS)
    known.learn_view("plain", 0.009, pixels=2**18)
    after = rates_of(known, FACTS, pixels=2**18, trial=trial)
    assert (after.forward, after.plain_view) == (10.0, pytest.approx(0.009))
    known.learn("training", 9.0, network=OTHER)
    assert rates_of(Known(known.figures, {}), FACTS, trial=trial).training == pytest.approx(50 / 3)


MEASURED = {
    "efficientnet_lite0": (80.1, 114.2, 395.6),
    "timm/mobilenetv2_100.ra_in1k": (97.9, 165.0, 465.4),
    "timm/resnet18.a1_in1k": (91.4, 103.1, 130.9),
    "timm/resnet50.a1_in1k": (31.3, 43.2, 58.9),
}
"""Images a second at 224 px, eager in NHWC, folded, ONNX Runtime: docs/benchmarks.md, two cores."""


@pytest.mark.parametrize("name", MEASURED)
def test_ratios_are_those_of_the_table_of_measured_networks(name: str):
    """From the forward pass alone, what a glance gives: folded PyTorch and ONNX Runtime within a factor of 1.6."""
    facts = facts_of_card(find_model(name).card, size=224)
    eager, folded, onnxruntime = (speed * facts.gmacs for speed in MEASURED[name])
    expected = rates_of(Known(), facts, trial=Trial({"forward": eager}))
    assert 1 / 1.6 < expected.torch / folded < 1.6
    assert 1 / 1.6 < expected.onnxruntime / onnxruntime < 1.6
    stated = rates_of(Known(), facts, gemm=2 * CORE_RATE)
    assert 1 / 2 < stated.forward / eager < 2, "even without a glance"
    assert 1 / 2 < stated.onnxruntime / onnxruntime < 2


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("other", MEASURED)
def test_one_network_of_the_table_tells_of_the_others(name: str, other: str):
    one, two = (facts_of_card(find_model(key).card, size=224) for key in (name, other))
    for figure, at in (("forward", 0), ("onnxruntime", 2)):
        known = Known()
        known.learn(figure, MEASURED[other][at] * two.gmacs, network=two)
        found = getattr(rates_of(known, one), figure) / (MEASURED[name][at] * one.gmacs)
        assert 1 / 1.7 < found < 1.7


def test_where_nothing_ran_usual_cores_tell():
    slow, fast = (rates_of(Known(), FACTS, gemm=gemm) for gemm in (10.0, 100.0))
    assert slow.origin == "guessed"
    assert fast.forward == pytest.approx(10 * slow.forward)
    assert 0 < fast.training < fast.forward < fast.torch < fast.onnxruntime
    usual = rates_of(Known(), FACTS)
    assert usual.forward == pytest.approx(rates_of(Known(), FACTS, gemm=usual.cores * CORE_RATE).forward)
    gpu = rates_of(Known(), FACTS, device="cuda")
    assert gpu.forward == pytest.approx(rates_of(Known(), FACTS, gemm=GPU_RATE, device="cuda").forward)
    assert gpu.forward > 10 * usual.forward / usual.cores
    assert (gpu.onnxruntime, gpu.decoding) == (0, "beside")


def test_a_resnet_50_trains_on_the_stated_gpu_as_on_an_a10g():
    facts = facts_of_card(find_model("timm/resnet50.a1_in1k").card, size=224)
    assert rates_of(Known(), facts, device="cuda").training / facts.gmacs == pytest.approx(240, rel=0.05)


BEFORE = {"moved": 5e8, "solved": 2e6, "step_seconds": 2e-3, "epoch_seconds": 0.1, "end_seconds": 0.5}
BEFORE |= {"setup_seconds": 2.0, "reload_seconds": 0.5}
NOMINAL = {
    ("efficientnet_lite0", 200_000): (0.009, 10.429290666666665, 18.623733333333334, 7.449493333333333),
    ("efficientnet_lite0", 12_000_000): (0.481, 10.429290666666665, 18.623733333333334, 7.449493333333333),
    ("resnet18", 200_000): (0.009, 15.68, 28.0, 11.2),
}


@pytest.mark.parametrize(("name", "pixels"), NOMINAL)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_plans_are_chosen_by_never_changes(name: str, pixels: int, device: str):
    """Written down when rates were guessed otherwise: other nominal rates would train other weights for old plans."""
    view, torch, onnxruntime, forward = NOMINAL[name, pixels]
    made = nominal_rates(facts_of_card(find_model(name).card, size=224), pixels=pixels, device=device)
    expected = Rates(
        cores=made.cores,
        plain_view=pytest.approx(view),
        varied_view=pytest.approx(view),
        torch=pytest.approx(torch),
        onnxruntime=pytest.approx(onnxruntime) if device == "cpu" else 0.0,
        forward=pytest.approx(forward),
        training=pytest.approx(forward / 3),
        decoding="shares_cores" if device == "cpu" else "beside",
        **BEFORE,
    )
    assert made == expected


def test_views_of_larger_images_take_longer_and_nearest_sizes_are_asked():
    known = Known()
    guessed = [rates_of(known, FACTS, pixels=pixels, gemm=1.0).plain_view for pixels in (10**4, 10**6)]
    assert guessed[0] < guessed[1]
    known.learn_view("plain", 0.01, pixels=2**18)
    known.learn_view("plain", 1.0, pixels=2**24)
    found = rates_of(known, FACTS, pixels=2**19, gemm=1.0)
    usual = rates_of(Known(), FACTS, pixels=2**19, gemm=1.0)
    assert 0.01 < found.plain_view < 0.02, "of twice the pixels, but what each image takes is not doubled"
    ratio = usual.varied_view / usual.plain_view
    assert found.varied_view / found.plain_view == pytest.approx(ratio), "the other kind, where this one was not seen"


def test_small_images_say_little_of_photos():
    """CIFAR's 1,024 pixels take 0.7 ms, photos of 200,000 take 2 to 4."""
    known = Known()
    known.learn_view("plain", 0.0007, pixels=1024)
    assert 0.0005 < rates_of(known, FACTS, pixels=200_000).plain_view < 0.004
    assert known.has_seen("plain", pixels=1500)
    assert not known.has_seen("plain", pixels=200_000)
    assert not known.has_seen("varied", pixels=1024)
    tried = rates_of(known, FACTS, pixels=200_000, trial=Trial(views={"plain": 0.1}))
    assert tried.plain_view == 0.1


def test_every_figure_is_one_of_rates():
    assert set(FIGURES) <= set(Rates.__dataclass_fields__)


def test_how_right_estimates_were_is_remembered_for_each_origin_of_their_figures(own_home: Path):
    for took in (8.0, 12.0, 30.0):
        known = recall("a")
        known.learn_estimate("related", estimated=10.0, took=took)
        remember("a", known)
    kept = recall("a").kept_estimates("related")
    assert kept is not None
    assert (kept.runs, kept.low, kept.high) == (3, 0.8, 3.0)
    assert recall("a").kept_estimates("measured") is None, "figures of another origin say nothing of these"
    assert recall("b").kept_estimates("related") is None, "nor does another machine"


def test_runs_that_end_at_the_same_time_both_count(own_home: Path):
    first, second = recall("a"), recall("a")
    first.learn_estimate("measured", estimated=1.0, took=1.0)
    second.learn_estimate("measured", estimated=1.0, took=2.0)
    remember("a", first)
    remember("a", second)
    remember("a", second)
    assert recall("a").estimates["measured"][:2] == [1.0, 2.0]


def test_rates_are_plain_json(own_home: Path):
    remember("a", Known({"moved": 2.0}, {}))
    assert json.loads((own_home / "rates.json").read_text())["latest"] == "a"
