"""The speeds that follow from what is remembered of a machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.engine.costs.memory import Measurements, figure_of
from headstart.engine.costs.network import PIXELS, NetworkFacts, facts_of_card
from headstart.engine.costs.speeds import (
    CORE_SPEED,
    GPU_SPEED,
    Speeds,
    frozen_span,
    has_seen,
    learn_speed,
    nominal_speeds,
    speeds_of,
    steps_span,
    validation_span,
    view_figure,
)
from headstart.networks.cards.finding import find_model

FACTS = NetworkFacts("net@224", 2.0, 10**7, 512, ("stem", "head"), (), 1e8, utilisation=0.5)
OTHER = replace(FACTS, name="other@224", utilisation=0.25)


def test_another_network_is_expected_to_run_as_much_slower_as_its_kind():
    known = Measurements()
    learn_speed(known, "forward", 10.0, FACTS)
    same, other = (speeds_of(known, one, gemm=1e9) for one in (FACTS, OTHER))
    assert (same.forward, other.forward) == (10.0, 5.0)
    assert same.origin == "related"
    assert same.training == pytest.approx(10 / 3)
    assert same.torch > same.forward
    known.learn(frozen_span("pooled", "torch"), 0.3, network=FACTS.name)
    assert speeds_of(known, FACTS).origin == "measured"
    assert speeds_of(known, FACTS).measured == {frozen_span("pooled", "torch"): 0.3}
    assert speeds_of(known, OTHER).origin == "related"


def test_what_a_network_did_itself_says_more_than_what_others_did():
    known = Measurements()
    learn_speed(known, "forward", 10.0, FACTS)
    learn_speed(known, "forward", 100.0, OTHER)
    assert speeds_of(known, FACTS).forward == 10.0
    assert speeds_of(known, OTHER).forward == 100.0
    third = replace(FACTS, name="third@224")
    assert speeds_of(known, third).forward > 100.0, "of a higher utilisation than the one that was measured last"
    learn_speed(known, "onnxruntime", 30.0, FACTS)
    assert speeds_of(known, FACTS).onnxruntime == 30.0
    assert speeds_of(known, FACTS).training == pytest.approx(10 / 3)


def test_figures_of_a_network_say_nothing_of_another_before_a_run_has_learned_them():
    """So figures of the quick benchmark count for its own network alone."""
    benchmark = {figure_of("forward", FACTS.name): 50.0, view_figure("plain", pixels=2**18): 0.004}
    tried = speeds_of(Measurements(benchmark), FACTS, pixels=2**18)
    assert (tried.forward, tried.training, tried.plain_view) == (50.0, pytest.approx(50 / 3), 0.004)
    assert tried.augmented_view > tried.plain_view, "the other kind is dearer, as usual"
    assert tried.origin == "related"
    assert speeds_of(Measurements(benchmark), OTHER).origin == "guessed"
    known = Measurements()
    learn_speed(known, "training", 9.0, OTHER)
    both = Measurements({**benchmark, **known.figures})
    assert speeds_of(both, FACTS).training == pytest.approx(50 / 3), "its own says more than those of others"


MEASURED = {
    "efficientnet_lite0": (80.1, 114.2, 395.6),
    "timm/mobilenetv2_100.ra_in1k": (97.9, 165.0, 465.4),
    "timm/resnet18.a1_in1k": (91.4, 103.1, 130.9),
    "timm/resnet50.a1_in1k": (31.3, 43.2, 58.9),
}
"""Images a second at 224 px, eager in NHWC, folded, ONNX Runtime: docs/benchmarks.md, two cores."""


@pytest.mark.parametrize("name", MEASURED)
def test_ratios_are_those_of_the_table_of_measured_networks(name: str):
    """From the forward pass alone, as a quick benchmark gives it: folded and ONNX Runtime within a factor of 1.6."""
    facts = facts_of_card(find_model(name).card, size=224)
    eager, folded, onnxruntime = (speed * facts.gmacs for speed in MEASURED[name])
    expected = speeds_of(Measurements({figure_of("forward", facts.name): eager}), facts)
    assert 1 / 1.6 < expected.torch / folded < 1.6
    assert 1 / 1.6 < expected.onnxruntime / onnxruntime < 1.6
    stated = speeds_of(Measurements(), facts, gemm=2 * CORE_SPEED)
    assert 1 / 2 < stated.forward / eager < 2, "even without a quick benchmark"
    assert 1 / 2 < stated.onnxruntime / onnxruntime < 2


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("other", MEASURED)
def test_one_network_of_the_table_tells_of_the_others(name: str, other: str):
    one, two = (facts_of_card(find_model(key).card, size=224) for key in (name, other))
    for figure, at in (("forward", 0), ("onnxruntime", 2)):
        known = Measurements()
        known.learn(figure, MEASURED[other][at] * two.gmacs, network=two)
        found = getattr(speeds_of(known, one), figure) / (MEASURED[name][at] * one.gmacs)
        assert 1 / 1.7 < found < 1.7


def test_where_nothing_ran_usual_cores_tell():
    slow, fast = (speeds_of(Measurements(), FACTS, gemm=gemm) for gemm in (10.0, 100.0))
    assert slow.origin == "guessed"
    assert fast.forward == pytest.approx(10 * slow.forward)
    assert 0 < fast.training < fast.forward < fast.torch < fast.onnxruntime
    usual = speeds_of(Measurements(), FACTS)
    assert usual.forward == pytest.approx(speeds_of(Measurements(), FACTS, gemm=usual.cores * CORE_SPEED).forward)
    gpu = speeds_of(Measurements(), FACTS, device="cuda")
    assert gpu.forward == pytest.approx(speeds_of(Measurements(), FACTS, gemm=GPU_SPEED, device="cuda").forward)
    assert gpu.forward > 10 * usual.forward / usual.cores
    assert (gpu.onnxruntime, gpu.decoding) == (0, "in_parallel")


def test_a_resnet_50_trains_on_the_stated_gpu_as_on_an_a10g():
    facts = facts_of_card(find_model("timm/resnet50.a1_in1k").card, size=224)
    assert speeds_of(Measurements(), facts, device="cuda").training / facts.gmacs == pytest.approx(240, rel=0.05)


BEFORE = {"store": 5e8, "head": 2e6, "step_seconds": 2e-3, "epoch_seconds": 0.1, "end_seconds": 0.5}
BEFORE |= {"setup_seconds": 2.0, "reload_seconds": 0.5}
NOMINAL = {
    ("efficientnet_lite0", 200_000): (0.009, 10.429290666666665, 18.623733333333334, 7.449493333333333),
    ("efficientnet_lite0", 12_000_000): (0.481, 10.429290666666665, 18.623733333333334, 7.449493333333333),
    ("resnet18", 200_000): (0.009, 15.68, 28.0, 11.2),
}


@pytest.mark.parametrize(("name", "pixels"), NOMINAL)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_plans_are_chosen_by_never_changes(name: str, pixels: int, device: str):
    """Written down when speeds were guessed otherwise: other nominal speeds would train other weights for old plans."""
    view, torch, onnxruntime, forward = NOMINAL[name, pixels]
    made = nominal_speeds(facts_of_card(find_model(name).card, size=224), pixels=pixels, device=device)
    expected = Speeds(
        cores=made.cores,
        plain_view=pytest.approx(view),
        augmented_view=pytest.approx(view),
        torch=pytest.approx(torch),
        onnxruntime=pytest.approx(onnxruntime) if device == "cpu" else 0.0,
        forward=pytest.approx(forward),
        training=pytest.approx(forward / 3),
        decoding="shares_cores" if device == "cpu" else "in_parallel",
        **BEFORE,
    )
    assert made == expected


def test_views_of_larger_images_take_longer_and_nearest_sizes_are_asked():
    known = Measurements()
    guessed = [speeds_of(known, FACTS, pixels=pixels, gemm=1.0).plain_view for pixels in (10**4, 10**6)]
    assert guessed[0] < guessed[1]
    known.learn(view_figure("plain", pixels=2**18), 0.01)
    known.learn(view_figure("plain", pixels=2**24), 1.0)
    found = speeds_of(known, FACTS, pixels=2**19, gemm=1.0)
    usual = speeds_of(Measurements(), FACTS, pixels=2**19, gemm=1.0)
    assert 0.01 < found.plain_view < 0.02, "of twice the pixels, but what each image takes is not doubled"
    ratio = usual.augmented_view / usual.plain_view
    assert found.augmented_view / found.plain_view == pytest.approx(ratio), (
        "the other kind, where this one was not seen"
    )


def test_small_images_say_little_of_photos():
    """CIFAR's 1,024 pixels take 0.7 ms, photos of 200,000 take 2 to 4."""
    known = Measurements()
    known.learn(view_figure("plain", pixels=1024), 0.0007)
    assert 0.0005 < speeds_of(known, FACTS, pixels=200_000).plain_view < 0.004
    assert has_seen(known, "plain", pixels=1500)
    assert not has_seen(known, "plain", pixels=200_000)
    assert not has_seen(known, "augmented", pixels=1024)
    known.learn(view_figure("plain", pixels=200_000), 0.1)
    assert speeds_of(known, FACTS, pixels=200_000).plain_view == 0.1


def test_spans_have_names_of_their_own():
    names = [frozen_span("c", "torch"), frozen_span("c", "onnxruntime"), frozen_span("b", "torch")]
    names += [steps_span(PIXELS, "c"), steps_span("c", "c"), validation_span(PIXELS), validation_span("c")]
    assert len(set(names)) == len(names)
