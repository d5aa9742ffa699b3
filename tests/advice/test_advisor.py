"""The whole advice: the 20 expected answers, the grid, and plans that are plans."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from advice_grid import BUDGETS, DOMAINS, EXPECTED, IMAGES, TWO_CORES
from headstart.advice.advisor import ANY_DATA, advice_for
from headstart.advice.choices import Reason
from headstart.advice.situation import Situation
from headstart.engine.costs.memory import Measurements
from headstart.engine.costs.training_cost import Hardware
from headstart.errors import PlanError
from headstart.plan.plan import Plan, TrainPhase
from headstart.plan.presets import STRATEGIES
from headstart.plan.request import Request


def situation(**said: Any) -> Situation:
    return Situation(**{"hardware": TWO_CORES, **said})


def test_there_are_twenty_expected_strategies():
    assert len(EXPECTED) == 20


@pytest.mark.parametrize(("said", "right"), EXPECTED, ids=lambda value: str(value)[:60])
def test_the_expected_strategies_are_advised(said: dict[str, Any], right: str):
    advice = advice_for(situation(**said))
    assert advice.strategy in right.split()
    reason = advice.reasons[0]
    assert reason.path == "strategy"
    assert f"{said['images']:,}" in reason.reason, "the fact used is cited"
    assert said.get("domain", "photo") in reason.reason


def test_further_steps_and_warnings_of_the_expected_advice():
    low = advice_for(situation(images=300, similarity="low"))
    assert low.strategy == "progressive"
    few = advice_for(situation(images=30, classes=10, similarity="low"))
    assert few.strategy == "feature_extraction"
    assert any("may do badly" in warning for warning in few.warnings)
    assert "default of headstart train" in few.rejected["progressive"]
    bands = advice_for(situation(images=20_000, domain="satellite", channels=13))
    assert bands.plan.requires == ("channel_adaptation",)
    assert bands.plan.input.size == 320
    pages = advice_for(situation(images=1_000, domain="document"))
    assert any("microsoft/dit-base" in step.text for step in pages.steps)
    unlabelled = advice_for(situation(images=500, domain="document", unlabelled=200_000))
    assert unlabelled.plan.requires == ("self_supervised_pretraining",)
    assert "200,000 unlabelled images" in unlabelled.plan.reasons["requires"]
    both = advice_for(situation(images=500, domain="document", unlabelled=200_000, channels=4)).plan
    assert both.requires == ("channel_adaptation", "self_supervised_pretraining")
    assert all(step in both.reasons["requires"] for step in both.requires)
    far = advice_for(situation(images=150_000, similarity="low", budget_seconds=math.inf))
    assert "compare_with_scratch" in [step.name for step in far.steps]
    grey = advice_for(situation(images=500, domain="medical", channels=1))
    assert "three equal" in grey.plan.reasons["input"]
    tight = advice_for(situation(images=20_000, similarity="high", budget_seconds=60.0))
    assert "even feature_extraction takes about" in tight.warnings[0]


@pytest.mark.slow
def test_every_cell_is_a_whole_plan_with_reasons_and_sources():
    cells = 0
    for images, domain, similarity, unlabelled, channels, budget in itertools.product(
        IMAGES[::3], DOMAINS, (None, "low", "high"), (0, 50_000), (1, 3, 13), BUDGETS[1:3]
    ):
        said = {"images": images, "domain": domain, "similarity": similarity, "channels": channels}
        advice = advice_for(situation(**said, unlabelled=unlabelled, budget_seconds=budget))
        assert len(advice.reasons) >= 5
        assert all(reason.reason and reason.source for reason in advice.reasons)
        assert {advice.strategy, *advice.rejected} == set(STRATEGIES)
        assert advice.plan.strategy == advice.strategy
        assert ("channel_adaptation" in advice.plan.requires) == (channels == 13)
        cells += 1
    assert cells == 4 * 4 * 3 * 2 * 3 * 2


@settings(max_examples=25, deadline=None)
@given(
    images=st.integers(2, 500_000),
    domain=st.sampled_from(DOMAINS),
    similarity=st.one_of(st.none(), st.floats(0, 1)),
    classes=st.one_of(st.none(), st.integers(2, 50)),
    resolution=st.one_of(st.none(), st.integers(8, 4_000)),
    unlabelled=st.sampled_from((0, 20_000)),
    channels=st.sampled_from((1, 3, 4, 13)),
    budget=st.sampled_from(BUDGETS),
    gpu=st.sampled_from(("none", "one")),
)
def test_every_plan_survives_yaml_and_decides_what_it_explains(
    images: int, classes: int | None, gpu: Any, budget: float | None, **said: Any
):
    assume(classes is None or classes <= images)
    plan = advice_for(
        Situation(images=images, classes=classes, budget_seconds=budget, hardware=Hardware(4, gpu), **said)
    ).plan
    raw = plan.to_yaml()
    assert Plan.from_dict(plan.model_dump(mode="json")) == plan
    assert raw
    for path in ("strategy", "model.name", "input.size", "augmentation.preset", "augmentation.flip", "head.kind"):
        assert plan.reasons[path]
    for index, phase in enumerate(plan.phases):
        if isinstance(phase, TrainPhase):
            for what in ("batch_norm", "schedule", "head_lr"):
                assert plan.reasons[f"phases[{index}].{what}"]


@settings(max_examples=40, deadline=None)
@given(
    few=st.integers(2, 300_000),
    many=st.integers(2, 300_000),
    domain=st.sampled_from(DOMAINS),
    similarity=st.one_of(st.none(), st.floats(0, 1)),
    budget=st.sampled_from((None, math.inf)),
)
def test_with_the_real_prices_more_images_never_freeze_more(
    few: int, many: int, domain: Any, similarity: float | None, budget: float | None
):
    """Where no budget binds: under a budget more images cost more, and that may ask for a cheaper strategy."""
    from headstart.advice.rules import UNFREEZING

    few, many = sorted((few, many))
    said = {"domain": domain, "similarity": similarity, "budget_seconds": budget}
    first, second = (advice_for(situation(images=n, **said)).strategy for n in (few, many))
    assert UNFREEZING.index(first) <= UNFREEZING.index(second)


@settings(max_examples=40, deadline=None)
@given(
    images=st.integers(2, 300_000),
    domain=st.sampled_from(DOMAINS),
    small=st.floats(1, 1e7),
    large=st.floats(1, 1e7),
    resolution=st.sampled_from((None, 32)),
)
def test_with_the_real_prices_a_smaller_budget_never_costs_more(
    images: int, domain: Any, small: float, large: float, resolution: int | None
):
    small, large = sorted((small, large))
    said = {"images": images, "domain": domain, "unlabelled": 30_000, "resolution": resolution}
    tight, loose = (advice_for(situation(budget_seconds=budget, **said)) for budget in (small, large))
    assert tight.cost.seconds <= loose.cost.seconds + 1e-9
    assert tight.cost.seconds <= small or tight.strategy == "feature_extraction"
    assert len(tight.plan.requires) <= len(loose.plan.requires), "pretraining is the first thing to go"


def test_what_the_user_said_stays_and_needs_no_reason():
    request = Request(ANY_DATA, model="resnet18", input_size=96, batch_size=8, epochs=3, seed=7)
    advice = advice_for(situation(images=20_000, similarity="high"), replace(request, augmentation="light"))
    plan = advice.plan
    assert (plan.model.name, plan.input.size, plan.batch_size, plan.seed) == ("resnet18", 96, 8, 7)
    assert plan.augmentation.preset == "light"
    assert {phase.epochs for phase in plan.phases if isinstance(phase, TrainPhase)} == {3}
    said = {"model.name", "input.size", "batch_size", "augmentation.preset", "phases[1].epochs"}
    assert not said & set(plan.reasons)
    assert not said & {reason.path for reason in advice.reasons}


def test_an_option_the_advised_strategy_cannot_follow_is_refused_with_the_reason():
    with pytest.raises(PlanError, match=r"unfreeze: feature_extraction has no use for it"):
        advice_for(situation(images=500, similarity="high"), Request(ANY_DATA, unfreeze=2))


def test_the_caller_may_know_reasons_and_warnings():
    reasons = [Reason("domain", "somebody looked", "a paper")]
    advice = advice_for(situation(images=500), known_reasons=reasons, warnings=["uneven"])
    assert advice.plan.reasons["domain"] == "somebody looked [a paper]"
    assert advice.warnings[0] == "uneven"


def test_large_gaps_estimate_their_own_statistics():
    plan = advice_for(situation(images=30_000, domain="document")).plan
    assert [phase.batch_norm for phase in plan.phases if isinstance(phase, TrainPhase)] == ["train"]
    assert "AdaBN" in plan.reasons["phases[1].batch_norm"]


def test_a_budget_goes_into_the_plan_and_an_unlimited_one_does_not():
    assert advice_for(situation(images=500, budget_seconds=600.0)).plan.budget_seconds == 600.0
    assert advice_for(situation(images=500, budget_seconds=math.inf)).plan.budget_seconds is None


def test_what_was_measured_here_decides_what_fits_a_budget():
    fast = Measurements({"forward": 5_000.0, "training": 2_000.0, "torch": 9_000.0, "onnxruntime": 9_000.0})
    said = situation(images=6_000, similarity="high", budget_seconds=600.0)
    assert advice_for(said, known=fast).strategy == "progressive"
    assert advice_for(said, known=fast).costs.machine.speeds.origin == "related"
    assert advice_for(said).strategy == "feature_extraction"
