"""Every strategy makes a complete plan that says why."""

from __future__ import annotations

import re
from typing import Any

import pytest

from headstart.errors import PlanError
from headstart.knowledge.transfer import LR_RULES
from headstart.plan.image_counts import FEW_TRAINING_IMAGES, PlanCounts, counted
from headstart.plan.plan import AugmentationPlan, DataPlan, Plan, ProbePhase, TrainPhase
from headstart.plan.presets import (
    DEFAULT_MODEL,
    DEFAULT_STRATEGY,
    PARTIAL_GROUPS,
    SCRATCH_EPOCHS,
    STRATEGIES,
    Request,
    strategy_named,
)

DATA = DataPlan(source="photos")
GROUPS = ("stem", "stage1", "stage2", "stage3", "stage4", "head")
TUNING = sorted(set(STRATEGIES) - {"feature_extraction", "scratch"})
TAKE_RATES = ["discriminative", "full", "partial", "probe_then_tune"]
SHARED_RATES = sorted(set(LR_RULES) - {"bit"})
EVERY = pytest.mark.parametrize("strategy", sorted(STRATEGIES))


def resolved(plan: Plan) -> Plan:
    return plan.resolved(model_name="net:tag", input_size=224, group_names=GROUPS)


def tuned(plan: Plan) -> TrainPhase:
    """The one trained phase."""
    (phase,) = (phase for phase in plan.phases if isinstance(phase, TrainPhase))
    return phase


def value_at(plan: Plan, path: str) -> Any:
    value: Any = plan.model_dump()
    for step in re.findall(r"\w+", path):
        value = value[int(step) if step.isdigit() else step]
    return value


def explained(plan: Plan, path: str) -> bool:
    """Whether the value or something that holds it has a reason."""
    parts = re.findall(r"\.?\w+|\[\d+\]", path)
    return any("".join(parts[:end]) in plan.reasons for end in range(1, len(parts) + 1))


@EVERY
def test_a_strategy_makes_a_valid_plan_of_its_name(strategy: str) -> None:
    plan = STRATEGIES[strategy](Request(DATA))
    assert Plan.from_dict(plan.model_dump(mode="json")) == plan
    assert plan.strategy == strategy
    assert plan.model.name == DEFAULT_MODEL
    assert len(resolved(plan).phases) == len(plan.phases) >= 1


@EVERY
def test_what_the_user_said_is_in_the_plan(strategy: str) -> None:
    request = Request(
        DATA,
        model="resnet18",
        domain="medical",
        augmentation="light",
        input_size=96,
        epochs=7,
        seed=11,
        batch_size=8,
        budget_seconds=60.0,
        reasons=(("domain", "because"),),
    )
    plan = STRATEGIES[strategy](request)
    assert (plan.data, plan.model.name, plan.domain) == (DATA, "resnet18", "medical")
    assert (plan.augmentation, plan.input.size) == (AugmentationPlan(preset="light", flip="none"), 96)
    assert (plan.seed, plan.batch_size, plan.budget_seconds) == (11, 8, 60.0)
    assert {phase.epochs for phase in plan.phases if isinstance(phase, TrainPhase)} <= {7}
    assert plan.reasons["domain"] == "because"
    for path in ("model.name", "input.size", "batch_size"):
        assert path not in plan.reasons


@EVERY
def test_every_defaulted_value_has_a_reason_and_every_reason_a_value(strategy: str) -> None:
    plan = STRATEGIES[strategy](Request(DATA))
    assert "model.name" in plan.reasons
    assert "input.size" in plan.reasons
    for index, phase in enumerate(plan.phases):
        keys = ["l2_penalty"] if isinstance(phase, ProbePhase) else ["epochs", "batch_norm"]
        for key in keys:
            assert explained(plan, f"phases[{index}].{key}"), f"phases[{index}].{key}"
    if any(isinstance(phase, TrainPhase) for phase in plan.phases):
        for path in ("optimizer", "batch_size", "selection.patience"):
            assert path in plan.reasons
    assert len(plan.reasons) >= 4
    for path, reason in plan.reasons.items():
        assert value_at(plan, path) is not None or path == "selection.patience", path
        assert len(reason) > 10, path


@EVERY
def test_epochs_the_user_set_have_no_reason(strategy: str) -> None:
    plan = STRATEGIES[strategy](Request(DATA, epochs=7))
    assert not [path for path in plan.reasons if path.endswith("epochs") and path.startswith("phases")]
    said = " ".join(plan.reasons[path] for path in plan.reasons if path.startswith("phases"))
    assert not re.search(r"\b\d+ (epochs|passes)", said), "a reason names epochs that the plan does not have"


def test_naming_the_epochs_asks_for_tuning_even_when_it_is_futile() -> None:
    assert STRATEGIES["probe_then_tune"](Request(DATA)).selection.when_cannot_improve == "skip_tuning"
    assert STRATEGIES["probe_then_tune"](Request(DATA, epochs=3)).selection.when_cannot_improve == "tune_anyway"


@pytest.mark.parametrize(
    ("images", "epochs"), [(None, 10), (FEW_TRAINING_IMAGES - 1, 5), (FEW_TRAINING_IMAGES, 10), (1, 5)]
)
def test_few_images_get_few_epochs(images: int | None, epochs: int) -> None:
    plan = STRATEGIES["probe_then_tune"](Request(DATA))
    phase = (plan if images is None else counted(plan, Request(DATA), PlanCounts(images))).phases[1]
    assert isinstance(phase, TrainPhase)
    assert phase.epochs == epochs


def test_discriminative_keeps_pretrained_groups_at_a_tenth_of_the_heads_rate_and_below() -> None:
    phase = tuned(resolved(STRATEGIES["discriminative"](Request(DATA))))
    *backbone, head = phase.lr_by_group.values()
    assert len(backbone) == len(GROUPS) - 1
    assert max(backbone) <= head / 10 * (1 + 1e-9)
    assert backbone == sorted(backbone), "rates fall towards the stem"


@pytest.mark.parametrize("strategy", ["full", "partial", "probe_then_tune"])
def test_a_solved_head_is_tuned_at_the_rate_of_the_backbone_without_smoothing(strategy: str) -> None:
    plan = STRATEGIES[strategy](Request(DATA))
    assert set(tuned(resolved(plan)).lr_by_group.values()) == {2e-4}
    assert plan.optimizer.label_smoothing == 0
    for path in ("phases[1].head_lr", "optimizer.label_smoothing"):
        assert "fitted" in plan.reasons[path]


@pytest.mark.parametrize("strategy", TUNING)
@pytest.mark.parametrize(("epochs", "rise"), [(None, 2.0), (1, 0.6), (2, 1.2), (5, 2.0), (40, 2.0)])
def test_what_starts_from_the_solved_head_rises_over_the_first_epochs(
    strategy: str, epochs: int | None, rise: float
) -> None:
    plan = STRATEGIES[strategy](Request(DATA, epochs=epochs))
    phases = [phase for phase in plan.phases if isinstance(phase, TrainPhase)]
    assert [phase.schedule.warmup_epochs for phase in phases] == pytest.approx([rise] * len(phases))
    assert "linear rise over the first epochs" in plan.reasons["phases[1].schedule"]
    assert Plan.from_dict(plan.model_dump(mode="json")) == plan


@pytest.mark.parametrize("strategy", TUNING)
def test_the_head_is_solved_on_an_augmented_view_too_before_it_is_tuned_on_augmented_views(strategy: str) -> None:
    plan = STRATEGIES[strategy](Request(DATA))
    views = [phase.head_refit_views for phase in plan.phases if isinstance(phase, TrainPhase)]
    if strategy == "progressive":  # each of its steps may begin from the probe
        assert set(views) == {1}
    else:
        assert views == [1, *[0] * (len(views) - 1)], "only where the phase behind the probe begins"
    assert "augmented view" in plan.reasons["phases[1].head_refit_views"]
    plain = STRATEGIES[strategy](Request(DATA, augmentation="none"))
    assert {phase.head_refit_views for phase in plain.phases if isinstance(phase, TrainPhase)} == {0}
    assert "phases[1].head_refit_views" not in plain.reasons


def test_gradual_unfreezes_one_more_stage_a_phase_at_a_tenth_of_the_rate() -> None:
    phases = resolved(STRATEGIES["gradual"](Request(DATA))).phases
    assert [list(phase.lr_by_group) for phase in phases[1:]] == [
        ["head"],
        ["stage4", "head"],
        ["stage3", "stage4", "head"],
    ]
    assert [phase.head_lr for phase in phases[1:]] == pytest.approx([1e-3, 1e-4, 1e-5])
    assert [phase.epochs for phase in phases[1:]] == [5, 5, 10]


@pytest.mark.parametrize("strategy", TUNING)
def test_tuning_starts_from_the_solved_probe(strategy: str) -> None:
    assert isinstance(STRATEGIES[strategy](Request(DATA)).phases[0], ProbePhase)


@pytest.mark.parametrize("strategy", TUNING)
@pytest.mark.parametrize(
    ("options", "asked"), [({"head": "mlp"}, "an mlp head"), ({"head_solver": "adam"}, "head_solver adam")]
)
def test_a_head_that_cannot_be_solved_does_not_go_with_the_probe(
    strategy: str, options: dict[str, Any], asked: str
) -> None:
    with pytest.raises(PlanError) as caught:
        STRATEGIES[strategy](Request(DATA, **options))
    for words in (asked, "feature_extraction", strategy):
        assert words in str(caught.value)
    (phase,) = STRATEGIES["feature_extraction"](Request(DATA, **options)).phases
    assert isinstance(phase, TrainPhase)
    assert phase.unfreeze == 0


@pytest.mark.parametrize("strategy", [*(one for one in TUNING if one != "progressive"), "scratch"])
def test_a_head_at_every_depth_goes_with_frozen_layers(strategy: str) -> None:
    with pytest.raises(PlanError, match=f"multi_depth head goes with feature_extraction .*{strategy} trains them"):
        STRATEGIES[strategy](Request(DATA, head="multi_depth"))
    plan = STRATEGIES["feature_extraction"](Request(DATA, head="multi_depth", head_solver="ridge"))
    assert plan.head.kind == "multi_depth"
    assert [phase.kind for phase in plan.phases] == ["linear_probe"]
    with pytest.raises(PlanError, match="a multi_depth head is fitted"):
        STRATEGIES["feature_extraction"](Request(DATA, head="multi_depth", head_solver="adam"))


def test_progressive_tries_a_head_at_every_depth_unless_a_head_was_given() -> None:
    preset = STRATEGIES["progressive"]
    plan = preset(Request(DATA))
    assert (plan.head.kind, plan.phases[0].alternative_head) == ("linear", "multi_depth")
    assert plan.phases[0].candidates == ("probe", "multi_depth")
    assert "--head linear leaves it out" in plan.reasons["phases[0].alternative_head"]
    plain = preset(Request(DATA, head="linear"))
    assert plain.phases == (plain.phases[0].model_copy(update={"alternative_head": "none"}), *plan.phases[1:])
    assert plain.phases[0].candidates == ("probe",)
    assert "phases[0].alternative_head" not in plain.reasons
    deep = preset(Request(DATA, head="multi_depth"))
    assert (deep.head.kind, [phase.name for phase in deep.phases]) == ("multi_depth", ["probe"])
    assert "cannot be tuned" in deep.reasons["phases"]
    for name in set(TUNING) - {"progressive"} | {"feature_extraction"}:
        assert STRATEGIES[name](Request(DATA)).phases[0].candidates == ("probe",), name


def test_gradual_counts_blocks_where_blocks_are_asked_for() -> None:
    plan = STRATEGIES["gradual"](Request(DATA, grain="block"))
    assert [phase.name for phase in plan.phases] == ["probe", "head", "last_block", "last_two_blocks"]
    assert "a block is unfrozen only once" in plan.reasons["phases"]


@pytest.mark.parametrize(
    ("asked", "trained"), [(None, ["stage3", "stage4", "head"]), (1, ["stage4", "head"]), (5, list(GROUPS))]
)
def test_partial_unfreezes_the_last_groups(asked: int | None, trained: list[str]) -> None:
    plan = STRATEGIES["partial"](Request(DATA, unfreeze=asked))
    rates = tuned(resolved(plan)).lr_by_group
    assert list(rates) == trained
    assert ("phases[1].unfreeze" in plan.reasons) == (asked is None)
    assert plan.selection.when_cannot_improve == "tune_anyway"


def test_full_is_the_default_that_always_tunes() -> None:
    default, full = (STRATEGIES[name](Request(DATA)) for name in ("probe_then_tune", "full"))
    assert full.selection.when_cannot_improve == "tune_anyway"
    assert default.selection.when_cannot_improve == "skip_tuning"
    same = full.model_copy(update={"strategy": default.strategy, "selection": default.selection})
    assert same == default


def test_scratch_protects_nothing_and_reads_no_weights() -> None:
    plan = STRATEGIES["scratch"](Request(DATA))
    phase = tuned(resolved(plan))
    assert plan.model.weights == "random"
    assert len(set(phase.lr_by_group.values())) == 1
    assert list(phase.lr_by_group) == list(GROUPS)
    assert (phase.batch_norm, phase.epochs, plan.selection.patience) == ("train", SCRATCH_EPOCHS, None)
    assert 0 < phase.schedule.warmup_epochs < phase.epochs
    assert "ten-fold rule" in plan.reasons["phases[0].backbone_lr"]
    for epochs in (1, 2, 10_000):
        assert tuned(STRATEGIES["scratch"](Request(DATA, epochs=epochs))).schedule.warmup_epochs < epochs
    assert STRATEGIES["scratch"](Request(DATA, head="mlp")).head.kind == "mlp"


def test_scratch_refuses_a_file_of_weights_it_would_not_read() -> None:
    with pytest.raises(PlanError, match=r"model\.weights: random reads no file"):
        STRATEGIES["scratch"](Request(DATA, model="resnet18:file:w.pth"))


@pytest.mark.parametrize("strategy", ["probe_then_tune", "discriminative", "partial"])
def test_unfreeze_counts_the_groups_that_learn(strategy: str) -> None:
    phase = tuned(resolved(STRATEGIES[strategy](Request(DATA, unfreeze=3))))
    assert list(phase.lr_by_group) == ["stage2", "stage3", "stage4", "head"]


# Rates as the papers give them, from the rate of the head down to the stem.
PUBLISHED = {
    "decay_0.75": [1, 0.75, 0.5625, 0.421875, 0.31640625, 0.2373046875],
    "decay_0.9": [1, 0.9, 0.81, 0.729, 0.6561, 0.59049],
    "ulmfit": [1, 1 / 2.6, 1 / 6.76, 1 / 17.576, 1 / 45.6976, 1 / 118.81376],
    "ten_fold": [1, 0.1, 0.1, 0.1, 0.1, 0.1],
    "by_depth": [1, 0.05, 0.01, 0.005, 0.001, 0.001],
}


@pytest.mark.parametrize("strategy", TAKE_RATES)
@pytest.mark.parametrize("name", SHARED_RATES)
def test_named_rates_are_the_published_ones_in_every_strategy_that_takes_them(strategy: str, name: str) -> None:
    plan = STRATEGIES[strategy](Request(DATA, lr_rule=name))
    rates = list(tuned(resolved(plan)).lr_by_group.values())[::-1]
    assert len(rates) == (1 + PARTIAL_GROUPS if strategy == "partial" else len(GROUPS))
    assert [rate / rates[0] for rate in rates] == pytest.approx(PUBLISHED[name][: len(rates)], rel=1e-6)
    assert name in plan.reasons["phases[1].backbone_lr"]
    assert LR_RULES[name].source in plan.reasons["phases[1].backbone_lr"]
    assert rates[0] == 1e-3
    assert "phases[1].head_lr" not in plan.reasons, "it spoke of the strategy's own"


@pytest.mark.parametrize("strategy", TAKE_RATES)
def test_decay_counts_blocks_unless_told_otherwise(strategy: str) -> None:
    plan = STRATEGIES[strategy](Request(DATA, lr_rule="decay_0.75"))
    assert plan.model.grain == "block"
    assert "blocks" in plan.reasons["model.grain"]
    coarse = STRATEGIES[strategy](Request(DATA, lr_rule="decay_0.75", grain="stage"))
    assert coarse.model.grain == "stage"
    assert "model.grain" not in coarse.reasons
    assert STRATEGIES[strategy](Request(DATA, lr_rule="ulmfit")).model.grain == "stage"


def test_partial_says_what_it_counts() -> None:
    assert "(blocks)" in STRATEGIES["partial"](Request(DATA, lr_rule="decay_0.9")).reasons["phases[1].unfreeze"]
    assert "(stages)" in STRATEGIES["partial"](Request(DATA)).reasons["phases[1].unfreeze"]


def test_a_ratio_of_rates_has_no_floor_that_would_end_it() -> None:
    plan = STRATEGIES["discriminative"](Request(DATA, lr_rule="ulmfit"))
    assert tuned(plan).schedule.final_lr == 0
    assert "floor" in plan.reasons["phases[1].schedule"]
    assert tuned(STRATEGIES["discriminative"](Request(DATA, lr_rule="by_depth"))) == tuned(
        STRATEGIES["discriminative"](Request(DATA))
    )


def test_a_typo_offers_the_nearest_strategy() -> None:
    with pytest.raises(PlanError) as caught:
        strategy_named("probe_than_tune")
    for words in ("'probe_than_tune'", *STRATEGIES, "did you mean probe_then_tune"):
        assert words in str(caught.value)
    assert strategy_named(DEFAULT_STRATEGY) is STRATEGIES["progressive"]


def test_a_bad_request_lists_every_fault() -> None:
    with pytest.raises(PlanError) as caught:
        Request(DATA, epochs=0, input_size=16, batch_size=0, seed=-1, budget_seconds=-5.0)
    assert caught.value.faults == (
        "input_size: 16 must be 32..2048",
        "epochs: 0 must be 1..10000",
        "batch_size: 0 must be 1..65536",
        f"seed: -1 must be 0..{2**32 - 1}",
        "budget: -5 s must be > 0",
    )


@EVERY
def test_every_strategy_describes_itself_in_one_line(strategy: str) -> None:
    assert (STRATEGIES[strategy].__doc__ or "").splitlines()[0].endswith(".")


@pytest.mark.parametrize("strategy", [*TUNING, "feature_extraction"])
def test_the_probe_is_solved_in_the_way_that_was_asked_for(strategy: str) -> None:
    for asked, solver in (("logistic", "logistic"), ("ridge", "ridge")):
        plan = STRATEGIES[strategy](Request(DATA, head_solver=asked))
        assert isinstance(plan.phases[0], ProbePhase)
        assert plan.phases[0].solver == solver
        assert plan.phases[1:] == STRATEGIES[strategy](Request(DATA)).phases[1:]


@pytest.mark.parametrize(
    ("strategy", "options", "words"),
    [
        ("scratch", {}, "scratch trains its head with the rest"),
        ("full", {"lr_rule": "bit"}, "starts from zeros"),
        ("feature_extraction", {"head": "mlp"}, "an mlp head is trained"),
    ],
)
def test_ridge_where_nothing_is_solved_is_refused(strategy: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        STRATEGIES[strategy](Request(DATA, head_solver="ridge", **options))
