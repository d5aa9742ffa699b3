"""What the number of images changes in a plan, and what it never changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.plan.image_counts import PlanCounts, balanced, counted
from headstart.plan.plan import DataPlan, Plan
from headstart.plan.presets import STRATEGIES
from headstart.plan.request import Request

DATA = DataPlan(source="photos")
FEW, MANY = PlanCounts(40, train=32), PlanCounts(30_000, train=24_000)
GROUPS = ("stem", "stage1", "stage2", "stage3", "stage4", "head")


def paths_that_differ(before: object, after: object, path: str = "") -> set[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = before.keys() | after.keys()
        parts = [paths_that_differ(before.get(key), after.get(key), f"{path}.{key}") for key in keys]
        return set().union(*parts)
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return set().union(*(paths_that_differ(old, new, f"{path}[{index}]") for index, (old, new) in pairs))
    return set() if before == after else {path.lstrip(".")}


def changes(plan: Plan, request: Request, counts: PlanCounts) -> set[str]:
    return paths_that_differ(plan.model_dump(mode="json"), counted(plan, request, counts).model_dump(mode="json"))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("counts", [FEW, MANY], ids=["few", "many"])
def test_only_the_default_epochs_of_tuning_follow_the_number_of_images(strategy: str, counts: PlanCounts) -> None:
    request = Request(DATA, strategy=strategy)  # type: ignore[arg-type]
    tuned = strategy in ("probe_then_tune", "discriminative", "partial", "full")
    expected = {"phases[1].epochs"} if tuned and counts is FEW else set()
    if strategy == "progressive" and counts is MANY:
        expected = {f"phases[{step}].{field}" for step in (1, 2, 3) for field in ("epochs", "folds")}
        expected.add("reasons.phases[1].folds")
    assert changes(STRATEGIES[strategy](request), request, counts) == expected


@pytest.mark.parametrize("strategy", ["probe_then_tune", "progressive", "discriminative", "partial", "full"])
def test_epochs_that_were_given_stay(strategy: str) -> None:
    request = Request(DATA, strategy=strategy, epochs=7)  # type: ignore[arg-type]
    assert changes(STRATEGIES[strategy](request), request, FEW) == set()


@pytest.mark.parametrize(
    ("counts", "folds"),
    [
        (PlanCounts(4_000, train=3_200), 0),
        (PlanCounts(4_000), 0),  # the images are counted, but not divided yet
        (PlanCounts(3_999, train=3_199), 3),  # compared with a strategy that holds images out
        (PlanCounts(4_000, train=4_000), 3),  # of a plan whose images were divided before they were so many
    ],
)
@pytest.mark.parametrize("epochs", [None, 3])
def test_of_many_images_a_part_validates_the_steps(counts: PlanCounts, folds: int, epochs: int | None) -> None:
    request = Request(DATA, strategy="progressive", epochs=epochs)
    plan = counted(STRATEGIES["progressive"](request), request, counts)
    assert [phase.folds for phase in plan.phases[1:]] == [folds] * 3
    assert plan.reasons["phases[1].folds"].startswith("none" if folds == 0 else "3 networks")


@pytest.mark.parametrize(("images", "epochs"), [(20, 8), (1000, 8), (1600, 5), (2000, 4), (50_000, 4)])
def test_a_step_passes_through_about_as_many_images_whatever_the_set(images: int, epochs: int) -> None:
    request = Request(DATA, strategy="progressive")
    phases = counted(STRATEGIES["progressive"](request), request, PlanCounts(images)).phases
    assert [phase.epochs for phase in phases[1:]] == [epochs] * 3


TINY = PlanCounts(500, shorter_side=32, weights_size=224, weights_sizes="any")


@pytest.mark.parametrize(
    ("given", "counts", "size", "phases"),
    [
        (None, TINY, 128, 2),
        (96, TINY, 96, 2),
        (224, TINY, 224, 2),
        (None, replace(TINY, weights_sizes="fixed"), "auto", 4),
        (None, replace(TINY, pool=499), "auto", 4),
        (None, replace(TINY, shorter_side=96), "auto", 4),
        (None, replace(TINY, weights_size=128), "auto", 4),
        (None, PlanCounts(500), "auto", 4),
    ],
)
def test_every_layer_is_trained_at_a_small_input_where_images_are_tiny(
    given: int | None, counts: PlanCounts, size: int | str, phases: int
) -> None:
    request = Request(DATA, input_size=given, lr=2e-3, head_lr=1e-3)

    def resolved(one: Plan) -> Plan:
        return one.resolved(model_name="net:tag", input_size=counts.weights_size or 224, group_names=GROUPS)

    plan = counted(STRATEGIES["progressive"](request), request, counts)
    assert (plan.input.size, len(plan.phases)) == (size, phases)
    assert ("shorter sides" in plan.reasons.get("input.size", "")) == (size == 128)
    assert counted(resolved(STRATEGIES["progressive"](request)), request, counts) == resolved(plan)
    last = plan.phases[-1]
    assert (last.name, last.kind, last.folds) == ("all", "train", 0 if phases == 2 else 3)
    without_held_out = counted(STRATEGIES["progressive"](request), request, replace(counts, train=counts.pool))
    assert without_held_out.phases[-1].folds == (2 if phases == 2 else 3)
    given_to_first = (1e-3, 2e-3) if phases == 2 else (2e-4, 4e-4)  # deeper steps: a fifth of it
    assert (last.head_lr, last.backbone_lr.lr) == given_to_first
    assert not [path for path in plan.reasons if path.startswith(f"phases[{phases}]")]


def test_bit_hyperrule_follows_the_row_of_its_table() -> None:
    request = Request(DATA, strategy="full", lr_rule="bit")
    assert changes(STRATEGIES["full"](request), request, MANY) == {
        "augmentation.mixup_alpha",
        "phases[0].schedule.milestones[0]",
        "phases[0].schedule.milestones[2]",
        "phases[0].schedule.warmup_epochs",
        "phases[0].epochs",
        "reasons.phases[0].schedule",
        "reasons.phases[0].epochs",
        "reasons.augmentation.mixup_alpha",
    }


@pytest.mark.parametrize("lr_rule", [None, "ulmfit", "bit"])
def test_counting_and_resolving_give_the_same_plan_in_either_order(lr_rule: str | None) -> None:
    request = Request(DATA, strategy="full", lr_rule=lr_rule)  # type: ignore[arg-type]
    plan = STRATEGIES["full"](request)

    def resolved(one: Plan) -> Plan:
        return one.resolved(model_name="net:tag", input_size=224, group_names=GROUPS)

    assert counted(resolved(plan), request, FEW) == resolved(counted(plan, request, FEW))


UNEVEN = {"common": 400, "rare": 20}


def test_the_numbers_of_images_decide_the_imbalance_and_it_the_metric() -> None:
    plan = STRATEGIES["progressive"](Request(DATA))
    even = balanced(plan, {"a": 60, "b": 50})
    assert (even.imbalance, even.selection.metric) == ("none", "accuracy")
    uneven = balanced(plan, UNEVEN)
    assert (uneven.imbalance, uneven.selection.metric) == ("logit_adjustment", "balanced_accuracy")
    assert "400" in uneven.reasons["imbalance"]
    assert "largest ones" in uneven.reasons["selection.metric"]
    assert balanced(uneven, {"a": 1, "b": 1}) == uneven  # resolved once


def test_what_was_given_stays_and_has_no_reason() -> None:
    given = balanced(STRATEGIES["full"](Request(DATA, imbalance="none", metric="macro_f1")), UNEVEN)
    assert (given.imbalance, given.selection.metric) == ("none", "macro_f1")
    assert not {"imbalance", "selection.metric"} & set(given.reasons)
    weighted = balanced(STRATEGIES["full"](Request(DATA, class_weight={"rare": 3.0})), UNEVEN)
    assert (weighted.imbalance, weighted.selection.metric) == ("class_weight", "accuracy")
    assert balanced(STRATEGIES["full"](Request(DATA)), {}).imbalance == "auto"  # images that nobody has counted
