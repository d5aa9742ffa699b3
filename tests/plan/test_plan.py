"""A plan survives YAML, names every fault at once, and settles what the network decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import PlanError
from headstart.knowledge.transfer import SMALLEST_USEFUL_LR
from headstart.plan.plan import DataPlan, LrRule, Plan, TrainPhase
from headstart.plan.presets import STRATEGIES, Request

GROUPS = ("stem", "stage1", "stage2", "stage3", "stage4", "head")
DATA = DataPlan(source="photos")


def raw_plan() -> dict[str, Any]:
    return yaml.safe_load(STRATEGIES["probe_then_tune"](Request(DATA)).to_yaml())


def with_rates(rule: LrRule, unfreeze: int | str = "all") -> Plan:
    tune = TrainPhase(name="tune", epochs=1, unfreeze=unfreeze, head_lr=1e-3, backbone_lr=rule)
    return STRATEGIES["probe_then_tune"](Request(DATA)).changed(phases=[tune.model_dump()])


def settled_rates(plan: Plan, groups: tuple[str, ...] = GROUPS) -> dict[str, float]:
    phase = plan.resolved(model_name="net:tag", input_size=224, group_names=groups).phases[0]
    assert isinstance(phase, TrainPhase)
    return phase.lr_by_group


def faults_of(path: Path) -> PlanError:
    with pytest.raises(PlanError) as caught:
        Plan.read(path)
    return caught.value


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_every_preset_survives_a_file_unchanged(strategy: str, tmp_path: Path) -> None:
    plan = STRATEGIES[strategy](Request(DATA))
    path = tmp_path / "plan.yaml"
    path.write_text(plan.to_yaml(), encoding="utf-8")
    assert Plan.read(path) == plan


@settings(max_examples=50, deadline=None)
@given(
    strategy=st.sampled_from(sorted(STRATEGIES)),
    seed=st.integers(0, 2**32 - 1),
    epochs=st.none() | st.integers(1, 10_000),
    size=st.none() | st.integers(32, 2048),
    budget=st.none() | st.floats(1e-9, 1e18),
    source=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20),
)
def test_any_request_survives_yaml(
    strategy: str, seed: int, epochs: int | None, size: int | None, budget: float | None, source: str
) -> None:
    request = Request(
        DataPlan(source=source),
        seed=seed,
        epochs=epochs,
        input_size=size,
        budget_seconds=budget,
        reasons=(("seed", source),),
    )
    plan = STRATEGIES[strategy](request)
    again = Plan.from_dict(yaml.safe_load(plan.to_yaml()))
    assert again == plan
    assert again.to_yaml() == plan.to_yaml()


@pytest.mark.parametrize("text", ["yes", "null", "1e-3", "a: b # c", "ü", "a\tb\nc", "a\x07b", "a\u2028b", "a\x85b"])
def test_text_that_yaml_could_take_for_something_else_survives(text: str) -> None:
    plan = STRATEGIES["gradual"](Request(DataPlan(source=text)))
    assert Plan.from_dict(yaml.safe_load(plan.to_yaml())).data.source == text


def test_five_faults_are_listed_at_once_with_their_paths(tmp_path: Path) -> None:
    raw = raw_plan()
    raw["phases"][1]["head_lr"] = -0.1
    raw["phases"][1]["schedule"]["warmup_epochs"] = 99
    raw["batch_size"] = 0
    raw["domain"] = "photograph"
    raw["colour"] = "red"
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    error = faults_of(path)
    assert len(error.faults) == 5
    for start in (
        "phases[1].head_lr: -0.1 must be > 0",
        "phases[1].schedule.warmup_epochs: 99 must be < epochs",
        "batch_size: 0 must be >= 1",
        "domain: 'photograph' must be 'photo'",
        "colour: is no key of a plan",
    ):
        assert sum(fault.startswith(start) for fault in error.faults) == 1, start
        assert start in str(error)
    assert str(error).startswith(f"{path} has 5 faults: ")


def test_a_plan_of_a_newer_schema_says_how_to_upgrade_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    path.write_text("schema_version: 3\nsomething: new\n", encoding="utf-8")
    error = faults_of(path)
    assert len(error.faults) == 1
    for words in ("3 is newer than 2", "pip install --upgrade headstart", str(path)):
        assert words in str(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 1\n- 2\n", "holds list, not a mapping"),
        ("", "holds NoneType, not a mapping"),
        ("just text", "holds str, not a mapping"),
        ("a: [1, 2\nb: }", "is not YAML"),
        ("a: !!python/object:os.system {}", "is not YAML"),
    ],
)
def test_a_file_that_is_no_plan_is_refused_by_name(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    assert words in str(faults_of(path))
    assert str(path) in str(faults_of(path))


def test_a_missing_file_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in str(faults_of(tmp_path / "nowhere.yaml"))
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    assert "cannot be read" in str(faults_of(tmp_path / "bytes.yaml"))


def test_exponents_as_people_write_them_are_numbers(tmp_path: Path) -> None:
    raw = raw_plan()
    raw["phases"][1]["head_lr"] = "WRITTEN"
    text = yaml.safe_dump(raw)
    assert text.count("WRITTEN") == 1
    path = tmp_path / "plan.yaml"
    path.write_text(text.replace("WRITTEN", "3e-3"), encoding="utf-8")  # YAML 1.1 reads this as text
    assert Plan.read(path).phases[1].head_lr == 3e-3


def test_a_changed_copy_is_checked_and_the_first_stays() -> None:
    plan = STRATEGIES["gradual"](Request(DATA))
    assert plan.changed(seed=5, data=DataPlan(source="b")).data.source == "b"
    assert (plan.seed, plan.data.source) == (0, "photos")
    with pytest.raises(PlanError, match="seed: -1 must be >= 0"):
        plan.changed(seed=-1)
    with pytest.raises(ValueError, match="frozen"):
        plan.seed = 3  # type: ignore[misc]


def test_data_options_list_every_fault() -> None:
    with pytest.raises(PlanError) as caught:
        DataPlan.from_options(source="", limit_train="ten", test_fraction=1.0)
    assert len(caught.value.faults) == 3
    assert "the data options has 3 faults" in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "unfreeze", "expected"),
    [
        (LrRule(rule="uniform", lr=2e-4), 2, {"stage3": 2e-4, "stage4": 2e-4, "head": 1e-3}),
        (LrRule(rule="uniform"), 0, {"head": 1e-3}),
        (
            LrRule(rule="layer_decay", lr=8e-4, decay=0.5),
            "all",
            {"stem": 5e-5, "stage1": 1e-4, "stage2": 2e-4, "stage3": 4e-4, "stage4": 8e-4, "head": 1e-3},
        ),
        (LrRule(rule="layer_decay", lr=8e-4, decay=0.5), 2, {"stage3": 4e-4, "stage4": 8e-4, "head": 1e-3}),
        (
            LrRule(rule="by_depth"),
            "all",
            {"stem": 1e-6, "stage1": 1e-6, "stage2": 5e-6, "stage3": 1e-5, "stage4": 5e-5, "head": 1e-3},
        ),
        (LrRule(rule="by_depth"), 1, {"stage4": 5e-5, "head": 1e-3}),
        (
            LrRule(rule="by_group", groups={"stage4": 3e-5, "stage3": 7e-6}),
            2,
            {"stage3": 7e-6, "stage4": 3e-5, "head": 1e-3},
        ),
    ],
)
def test_settled_rates(rule: LrRule, unfreeze: int | str, expected: dict[str, float]) -> None:
    rates = settled_rates(with_rates(rule, unfreeze))
    assert list(rates) == list(expected), "stem to head"
    assert rates == pytest.approx(expected, rel=1e-12)


def test_settling_decides_every_auto_and_changes_nothing_else() -> None:
    plan = STRATEGIES["probe_then_tune"](Request(DATA))
    settled = plan.resolved(model_name="net:tag", input_size=240, group_names=GROUPS)
    assert (settled.model.name, settled.input.size, settled.engine) == ("net:tag", 240, "auto")
    assert (plan.model.name, plan.input.size, plan.engine) == ("tf_efficientnet_lite0", "auto", "auto")
    assert settled.phases[0] == plan.phases[0]
    assert (
        settled.model_copy(update={name: getattr(plan, name) for name in ("model", "input", "phases", "engine")})
        == plan
    )
    assert Plan.from_dict(yaml.safe_load(settled.to_yaml())) == settled


def test_settling_keeps_what_the_model_starts_from() -> None:
    asked = {"name": "net", "weights": "random", "grain": "block", "noncommercial_weights": "allow"}
    plan = STRATEGIES["scratch"](Request(DATA)).changed(model=asked)
    settled = plan.resolved(model_name="net:tag", input_size=224, group_names=GROUPS)
    assert settled.model.model_dump() == {**asked, "name": "net:tag"}


def test_rates_that_rounding_swallows_are_used_and_said() -> None:
    groups = (*(f"block{i}" for i in range(60)), "head")
    rule = LrRule(rule="layer_decay", lr=7.5e-4, decay=0.75)
    settled = with_rates(rule).resolved(model_name="n", input_size=224, group_names=groups)
    rates = settled.phases[0].lr_by_group
    small = [name for name, rate in rates.items() if rate < SMALLEST_USEFUL_LR]
    assert len(small) > 10
    assert rates["block0"] == pytest.approx(7.5e-4 * 0.75**59), "not clamped"
    said = settled.reasons["phases[0].lr_by_group"]
    for words in (f"block0 to {small[-1]} ({len(small)} of 61 groups)", f"{rates['block0']:.1e}", "nearly frozen"):
        assert words in said
    few = with_rates(rule).resolved(model_name="n", input_size=224, group_names=GROUPS)
    assert few.reasons == with_rates(rule).reasons


def test_a_size_the_user_set_stays() -> None:
    plan = STRATEGIES["gradual"](Request(DATA, input_size=96))
    assert plan.resolved(model_name="n", input_size=224, group_names=GROUPS).input.size == 96


def test_unfreezing_more_groups_than_there_are_is_refused_with_their_names() -> None:
    with pytest.raises(PlanError) as caught:
        settled_rates(with_rates(LrRule(), 6))
    assert caught.value.faults == (
        "phases[0].unfreeze: 6 must be <= 5, the backbone groups (stem, stage1, stage2, stage3, stage4)",
    )


def test_listed_rates_must_name_the_unfrozen_groups_exactly() -> None:
    with pytest.raises(PlanError) as caught:
        settled_rates(with_rates(LrRule(rule="by_group", groups={"stage3": 1e-5, "stagefour": 1e-5}), 2))
    fault = caught.value.faults[0]
    assert fault.startswith("phases[0].backbone_lr.groups: must name exactly stage3, stage4")
    assert "unknown: stagefour" in fault
    assert "missing: stage4" in fault


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"activations": "cached", "cut_point": "stage4", "views": 2}, None),
        ({"activations": "cached", "cut_point": "stage1", "views": 2}, None),
        ({"activations": "computed"}, None),
        (
            {"activations": "cached", "cut_point": "head", "views": 2},
            "'head' must be one of stage1, stage2, stage3, stage4",
        ),
        ({"activations": "cached", "cut_point": "nothing", "views": 2}, "'nothing' must be one of"),
    ],
)
def test_what_is_stored_must_lie_before_all_that_learns(said: dict[str, Any], fault: str | None) -> None:
    tune = TrainPhase(name="tune", epochs=1, unfreeze=1, head_lr=1e-3).model_dump()
    plan = STRATEGIES["probe_then_tune"](Request(DATA)).changed(phases=[{**tune, "frozen_prefix": said}])
    if fault is None:
        settled_rates(plan)
    else:
        with pytest.raises(PlanError, match=fault):
            settled_rates(plan)


def test_moving_statistics_cannot_be_stored() -> None:
    said = {"activations": "cached", "cut_point": "stage1", "views": 1}
    tune = TrainPhase(name="tune", epochs=1, unfreeze=1, head_lr=1e-3, batch_norm="train").model_dump()
    plan = STRATEGIES["probe_then_tune"](Request(DATA)).changed(phases=[{**tune, "frozen_prefix": said}])
    with pytest.raises(PlanError, match="cached needs batch_norm pretrained_statistics, not train"):
        settled_rates(plan)
