"""The request: its bounds, what a strategy has no use for, and what the user decided."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.errors import PlanError
from headstart.knowledge.transfer import LR_RULES
from headstart.plan.assembly import NO_USE_FOR
from headstart.plan.plan import DataPlan
from headstart.plan.presets import STRATEGIES
from headstart.plan.request import Request

DATA = DataPlan(source="photos")
EXAMPLES: dict[str, Any] = {"unfreeze": 2, "lr_rule": "ulmfit", "grain": "block"}


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_rates_are_found_in_every_phase_that_trains(strategy: str) -> None:
    plain, found = (STRATEGIES[strategy](Request(DATA, peak_lr=wish)) for wish in ("planned", "find"))
    for before, after in zip(plain.phases, found.phases, strict=True):
        assert getattr(before, "peak_lr", None) == (None if before.kind == "linear_probe" else "planned")
        assert after == (before if before.kind == "linear_probe" else before.model_copy(update={"peak_lr": "find"}))


def test_an_unknown_way_to_peak_rates_is_a_fault() -> None:
    with pytest.raises(PlanError, match="peak_lr: 'found' must be one of planned, find"):
        Request(DATA, peak_lr="found")  # type: ignore[arg-type]


@pytest.mark.parametrize(("strategy", "option"), [(s, o) for s, options in NO_USE_FOR.items() for o in options])
def test_an_option_without_use_is_refused_with_the_reason(strategy: str, option: str) -> None:
    with pytest.raises(PlanError) as caught:
        STRATEGIES[strategy](Request(DATA, **{option: EXAMPLES[option]}))
    assert caught.value.faults == (f"{option}: {strategy} has no use for it: {NO_USE_FOR[strategy][option]}",)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("option", sorted(EXAMPLES))
def test_an_option_is_refused_or_changes_the_plan(strategy: str, option: str) -> None:
    """Nothing the user says is dropped without a word."""
    if option in NO_USE_FOR.get(strategy, {}):
        return
    first, second = (STRATEGIES[strategy](Request(DATA, **said)) for said in ({}, {option: EXAMPLES[option]}))
    changed = {name for name in type(first).model_fields if getattr(first, name) != getattr(second, name)}
    if (strategy, option) == ("partial", "unfreeze"):
        assert changed == {"reasons"}, "two groups are what it unfreezes anyway"
    else:
        assert changed - {"reasons"}


def test_all_options_without_use_are_named_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        STRATEGIES["feature_extraction"](Request(DATA, **EXAMPLES))
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["unfreeze", "lr_rule", "grain"]


def test_tables_name_only_what_there_is() -> None:
    assert set(NO_USE_FOR) <= set(STRATEGIES)
    assert {option for options in NO_USE_FOR.values() for option in options} <= set(Request.__dataclass_fields__)


def test_unknown_rates_are_answered_with_the_nearest() -> None:
    with pytest.raises(PlanError) as caught:
        Request(DATA, lr_rule="ulm_fit", unfreeze=0)
    for words in (
        "unfreeze: 0 must be 1..10000",
        "lr_rule: 'ulm_fit' must be one of",
        *LR_RULES,
        "did you mean ulmfit",
    ):
        assert words in str(caught.value)


def test_a_permission_goes_into_the_plan() -> None:
    assert STRATEGIES["full"](Request(DATA)).model.noncommercial_weights == "refuse"
    allowed = STRATEGIES["full"](Request(DATA, noncommercial_weights="allow"))
    assert allowed.model.noncommercial_weights == "allow"


@pytest.mark.parametrize(
    ("path", "option"),
    [
        ("model.name", {"model": "resnet18"}),
        ("model.grain", {"grain": "stage"}),
        ("input.size", {"input_size": 64}),
        ("batch_size", {"batch_size": 8}),
        ("phases[1].epochs", {"epochs": 3}),
        ("phases[1].unfreeze", {"unfreeze": 3}),
    ],
)
def test_what_the_user_decided_needs_no_reason(path: str, option: dict[str, Any]) -> None:
    assert Request(DATA, **option).says(path)
    assert not Request(DATA).says(path)
    assert not Request(DATA, **option).says("optimizer")


def test_a_learning_rate_scales_all_phases_and_says_so() -> None:
    photos = DataPlan(source="photos")
    usual, given = (STRATEGIES["gradual"](Request(photos, lr=rate)) for rate in (None, 2e-3))
    trained = [p for p in given.phases if p.kind == "train"]
    assert [p.head_lr for p in trained] == pytest.approx([2 * p.head_lr for p in usual.phases[1:]])
    assert [p.backbone_lr.lr for p in trained] == pytest.approx([2 * p.backbone_lr.lr for p in usual.phases[1:]])
    assert given.reasons["phases[1].head_lr"] == "given: learning rate 0.002; the backbone's in ratio"
    ladder = STRATEGIES["discriminative"](Request(photos, lr=5e-4))
    assert (ladder.phases[1].head_lr, ladder.phases[1].backbone_lr.rule) == (5e-4, "by_depth")
    assert "the fixed ladder of the backbone stays" in ladder.reasons["phases[1].head_lr"]


def test_a_learning_rate_of_the_head_leaves_the_backbone_as_it_is() -> None:
    photos = DataPlan(source="photos")
    usual, given = (STRATEGIES["gradual"](Request(photos, head_lr=rate)) for rate in (None, 2e-3))
    assert [p.head_lr for p in given.phases[1:]] == pytest.approx([2 * p.head_lr for p in usual.phases[1:]])
    assert [p.backbone_lr for p in given.phases[1:]] == [p.backbone_lr for p in usual.phases[1:]]
    assert given.reasons["phases[1].head_lr"] == "given: learning rate 0.002 for the head; the backbone keeps its own"
    both = STRATEGIES["full"](Request(photos, lr=1e-3, head_lr=1e-2)).phases[1]
    assert (both.head_lr, both.backbone_lr.lr) == (1e-2, 1e-3)


def test_patience_device_and_workers_stand_in_the_plan() -> None:
    photos = DataPlan(source="photos")
    usual = STRATEGIES["full"](Request(photos))
    assert (usual.selection.patience, usual.device, usual.workers) == (None, "auto", "auto")
    given = STRATEGIES["full"](Request(photos, patience=3, device="cuda:1", workers=2))
    assert (given.selection.patience, given.device, given.workers) == (3, "cuda:1", 2)
    assert given.reasons["selection.patience"] == "given: 3"
    assert type(given).from_dict(given.model_dump(mode="json")) == given


def test_an_optimizer_and_a_weight_decay_take_the_place_of_the_planned_ones() -> None:
    plan = STRATEGIES["scratch"](Request(DataPlan(source="photos"), optimizer="sgd", weight_decay=0.0))
    assert (plan.optimizer.name, plan.optimizer.weight_decay, plan.optimizer.label_smoothing) == ("sgd", 0.0, 0.1)
    assert (plan.reasons["optimizer.name"], plan.reasons["optimizer.weight_decay"]) == ("given: sgd", "given: 0.0")
    assert "optimizer" not in plan.reasons


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"lr": 0.0}, "lr: 0 must be > 0 and <= 1"),
        ({"weight_decay": 2.0}, r"weight_decay: 2 must be 0\.\.1"),
        ({"optimizer": "adamv"}, "optimizer: 'adamv' must be one of adamw, adam, sgd; did you mean ada"),
        ({"class_weight": "balance"}, "class_weight: 'balance' must be balanced, .* did you mean balanced"),
        ({"class_weight": {"a": 0}}, r"class_weight\['a'\]: 0 must be a number > 0"),
    ],
)
def test_numbers_of_training_that_are_none_are_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        STRATEGIES["full"](Request(DataPlan(source="photos"), **given))


def test_class_weights_stand_in_the_plan_with_any_head() -> None:
    photos = DataPlan(source="photos")
    plan = STRATEGIES["full"](Request(photos, class_weight={"a": 2}))
    assert type(plan).from_dict(plan.model_dump(mode="json")).class_weight == {"a": 2.0}
    deep = STRATEGIES["feature_extraction"](Request(photos, class_weight="balanced", head="multi_depth"))
    assert (deep.imbalance, deep.class_weight, deep.head.kind) == ("class_weight", None, "multi_depth")


def test_imbalance_and_metric_are_decided_by_the_images_unless_they_are_given() -> None:
    photos = DataPlan(source="photos")
    plan = STRATEGIES["progressive"](Request(photos))
    assert (plan.imbalance, plan.selection.metric) == ("auto", "auto")
    plan = STRATEGIES["full"](Request(photos, imbalance="balanced_sampling", metric="macro_f1"))
    assert (plan.imbalance, plan.selection.metric) == ("balanced_sampling", "macro_f1")
    with pytest.raises(PlanError, match="class_weight: imbalance is logit_adjustment, which takes no weights"):
        STRATEGIES["full"](Request(photos, class_weight="balanced", imbalance="logit_adjustment"))
    with pytest.raises(PlanError, match="imbalance: 'oversample' must be one of auto, none, class_weight"):
        Request(photos, imbalance="oversample")  # type: ignore[arg-type]
