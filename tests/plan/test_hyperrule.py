"""BiT-HyperRule against the schedule of its own code."""

from __future__ import annotations

import math

import pytest

from headstart.errors import PlanError
from headstart.plan.hyperrule import EPOCHS_WITHOUT_COUNT
from headstart.plan.image_counts import PlanCounts, counted
from headstart.plan.plan import DataPlan, Plan, TrainPhase
from headstart.plan.presets import STRATEGIES, Request
from headstart.training.learning_rates.schedules import learning_rate_at

DATA = DataPlan(source="photos")


def bit(images: int | None = None, *, train: int | None = None, **options: object) -> tuple[Plan, TrainPhase]:
    request = Request(DATA, lr_rule="bit", **options)
    plan = STRATEGIES["full"](request)
    if images is not None:
        plan = counted(plan, request, PlanCounts(images, train=train))
    (phase,) = plan.phases
    assert isinstance(phase, TrainPhase)
    return plan, phase


def published_rate(step: int, images: int, base: float) -> float:
    """The rule as its authors' code states it: supports, a linear rise, then a staircase."""
    if images < 20_000:
        supports = [100, 200, 300, 400, 500]
    elif images < 500_000:
        supports = [500, 3000, 6000, 9000, 10_000]
    else:
        supports = [500, 6000, 12_000, 18_000, 20_000]
    if step < supports[0]:
        return base * step / supports[0]
    for support in supports[1:]:
        if support < step:
            base /= 10
    return base


@pytest.mark.parametrize(
    ("images", "steps"),
    [(128, 500), (19_968, 500), (19_999, 500), (20_000, 10_000), (499_968, 10_000), (500_000, 20_000)],
)
def test_the_schedule_is_the_published_one_step_by_step(images: int, steps: int) -> None:
    _, phase = bit(images)
    per_epoch = math.ceil(images / 128)
    taken = phase.epochs * per_epoch
    assert steps <= taken < steps + per_epoch, "whole epochs, at least the steps of the rule"
    for step in range(0, taken, max(1, steps // 1000)):
        rate = learning_rate_at(
            phase.schedule,
            peak=phase.head_lr,
            step=step,
            steps_per_epoch=per_epoch,
            epochs=phase.epochs,
            validation_losses=[],
        )
        at = step * steps / taken  # the shape is stretched over the steps that are taken
        near = [published_rate(round(at) + off, images, 0.001) for off in (-2, -1, 0, 1, 2)]
        rise = 0.001 / (100 if images < 20_000 else 500)
        assert any(rate == pytest.approx(other, abs=1.5 * rise * (at < 500), rel=1e-6) for other in near), step


def test_the_rule_is_sgd_at_one_rate_from_a_head_of_zeros() -> None:
    plan, phase = bit(1000)
    assert plan.strategy == "full"
    assert (plan.optimizer.name, plan.optimizer.momentum, plan.optimizer.weight_decay) == ("sgd", 0.9, 0.0)
    assert plan.optimizer.label_smoothing == 0
    assert plan.batch_size == 128
    rates = plan.resolved(model_name="n", input_size=224, group_names=("stem", "a", "head")).phases[0].lr_by_group
    assert rates == {"stem": 0.001, "a": 0.001, "head": 0.001}
    assert phase.unfreeze == "all"


@pytest.mark.parametrize(("batch_size", "rate"), [(128, 0.001), (512, 0.003), (1024, 0.003), (32, 0.00025)])
def test_both_published_batches_have_their_published_rate(batch_size: int, rate: float) -> None:
    plan, phase = bit(1000, batch_size=batch_size)
    assert plan.batch_size == batch_size
    assert phase.head_lr == pytest.approx(rate)
    assert "batch_size" not in plan.reasons


@pytest.mark.parametrize(("images", "alpha"), [(None, 0.0), (19_999, 0.0), (20_000, 0.1)])
def test_batches_are_mixed_from_twenty_thousand_images_on(images: int | None, alpha: float) -> None:
    plan, _ = bit(images)
    assert plan.augmentation.mixup_alpha == alpha
    assert ("augmentation.mixup_alpha" in plan.reasons) == (alpha > 0)


def test_steps_are_counted_on_the_images_an_epoch_passes_through() -> None:
    _, whole = bit(244)
    _, held_out = bit(244, train=128)
    assert (whole.epochs, held_out.epochs) == (250, 500)


def test_without_a_count_of_images_it_says_what_stands_in() -> None:
    plan, phase = bit()
    assert phase.epochs == EPOCHS_WITHOUT_COUNT
    assert "unknown until the images are counted" in plan.reasons["phases[0].epochs"]


def test_epochs_of_the_user_keep_the_shape() -> None:
    plan, phase = bit(1000, epochs=10)
    assert phase.epochs == 10
    assert phase.schedule.warmup_epochs == pytest.approx(2)
    assert phase.schedule.milestones == (0.4, 0.6, 0.8)
    assert "phases[0].epochs" not in plan.reasons


def test_what_differs_from_the_paper_is_said() -> None:
    plan, _ = bit()
    assert "128 of 160" in plan.reasons["input.size"]
    assert "keeps the last" in plan.reasons["selection.patience"]
    assert "no BatchNorm" in plan.reasons["phases[0].batch_norm"]
    assert "random crops and flips" in plan.reasons["phases"]


@pytest.mark.parametrize("option", [{"head": "mlp"}, {"head_solver": "adam"}])
def test_its_head_is_its_own(option: dict[str, str]) -> None:
    with pytest.raises(PlanError, match="BiT-HyperRule has one linear layer that starts from zeros"):
        bit(**option)


@pytest.mark.parametrize("strategy", ["probe_then_tune", "discriminative", "partial"])
def test_other_strategies_say_where_it_goes(strategy: str) -> None:
    with pytest.raises(PlanError, match=f"lr_rule: bit goes with full, not with {strategy}"):
        STRATEGIES[strategy](Request(DATA, lr_rule="bit"))
