"""What the number of images changes in a plan, and what it never changes."""

from __future__ import annotations

import pytest

from headstart.plan.image_counts import PlanCounts, counted
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


@pytest.mark.parametrize(("images", "epochs"), [(20, 8), (500, 8), (800, 5), (1000, 4), (50_000, 4)])
def test_a_step_passes_through_about_as_many_images_whatever_the_set(images: int, epochs: int) -> None:
    request = Request(DATA, strategy="progressive")
    phases = counted(STRATEGIES["progressive"](request), request, PlanCounts(images)).phases
    assert [phase.epochs for phase in phases[1:]] == [epochs] * 3


@pytest.mark.parametrize("lr", [None, 1e-3])
def test_every_layer_is_trained_at_once_where_images_are_enlarged(lr: float | None) -> None:
    """Fine detail is missing in all of them, which every layer was trained on."""
    request = Request(DATA, lr=lr, head_lr=lr and 2e-3)

    def resolved(one: Plan) -> Plan:
        return one.resolved(model_name="net:tag", input_size=224, group_names=GROUPS)

    small = PlanCounts(400, train=400, shorter_side=32, weights_size=224)
    plan = counted(STRATEGIES["progressive"](request), request, small)
    assert [(phase.name, phase.kind) for phase in plan.phases] == [("probe", "linear_probe"), ("all", "train")]
    assert "enlarged 7 times" in plan.reasons["phases"]
    assert not [path for path in plan.reasons if path.startswith("phases[2]")]
    step = resolved(plan).phases[1]
    assert set(list(step.lr_by_group.values())[:-1]) == {lr or 5e-4}
    assert step.lr_by_group["head"] == step.head_lr == (2e-3 if lr else 5e-4)
    assert counted(resolved(STRATEGIES["progressive"](request)), request, small) == resolved(plan)
    assert plan.input.size == "auto", "frozen features are best at the size of the weights"
    larger = PlanCounts(400, shorter_side=113, weights_size=224)
    assert len(counted(STRATEGIES["progressive"](request), request, larger).phases) == 4


@pytest.mark.parametrize(
    ("given", "counts", "size", "phases"),
    [
        (None, PlanCounts(500, shorter_side=32, weights_size=224, weights_sizes="any"), 128, 2),
        (None, PlanCounts(500, shorter_side=95, weights_size=224, weights_sizes="any"), 128, 4),  # 1.3 times
        (224, PlanCounts(500, shorter_side=32, weights_size=224, weights_sizes="any"), 224, 2),
        (None, PlanCounts(500, shorter_side=32, weights_size=224), "auto", 2),
        (None, PlanCounts(499, shorter_side=32, weights_size=224, weights_sizes="any"), "auto", 2),
        (None, PlanCounts(500, shorter_side=96, weights_size=224, weights_sizes="any"), "auto", 2),
        (None, PlanCounts(500, shorter_side=32, weights_size=96, weights_sizes="any"), "auto", 2),
        (None, PlanCounts(500), "auto", 4),
    ],
)
def test_tiny_images_have_a_smaller_input(given: int | None, counts: PlanCounts, size: int | str, phases: int) -> None:
    request = Request(DATA, input_size=given)
    plan = counted(STRATEGIES["progressive"](request), request, counts)
    assert (plan.input.size, len(plan.phases)) == (size, phases)
    assert ("shorter sides" in plan.reasons.get("input.size", "")) == (size == 128)
    resolved = STRATEGIES["progressive"](request).resolved(
        model_name="net:tag", input_size=counts.weights_size or 224, group_names=GROUPS
    )
    after = counted(resolved, request, counts).input.size
    assert after == (counts.weights_size or 224 if size == "auto" else size)


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
