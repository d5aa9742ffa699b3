"""Plans of schema version 1, as headstart wrote them, read in the words of version 2; see `schema_1/`."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from headstart.errors import PlanError
from headstart.plan.image_counts import PlanCounts, counted
from headstart.plan.plan import SCHEMA_VERSION, DataPlan, Plan
from headstart.plan.request import Request
from headstart.plan.upgrade import upgraded, upgraded_path
from headstart.workflow.plans import make_plan

FILES = sorted((Path(__file__).parent / "schema_1").glob("*.yaml"))
PHOTOS = {"source": "photos"}
OPTIONS: dict[str, dict[str, Any]] = {
    name: {"strategy": name}
    for name in ("feature_extraction", "probe_then_tune", "discriminative", "gradual", "partial", "full", "scratch")
} | {
    "bit": {"strategy": "full", "lr_rule": "bit"},
    "options": {"strategy": "partial", "lr_rule": "decay_0.75", "peak_lr": "find", "epochs": 3, "unfreeze": 1},
}


def raw_of(name: str) -> dict[str, Any]:
    text = (Path(__file__).parent / "schema_1" / f"{name}.yaml").read_text(encoding="utf-8")
    raw: dict[str, Any] = yaml.safe_load(text)
    assert raw["schema_version"] == 1
    return raw


def paths_of(value: Any) -> set[str]:
    """Every key of nested values."""
    if isinstance(value, dict):
        return set(value) | {path for inner in value.values() for path in paths_of(inner)}
    return {path for inner in value for path in paths_of(inner)} if isinstance(value, list) else set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_plan_of_version_1_is_read_and_keeps_its_reasons(path: Path):
    raw = raw_of(path.stem)
    plan = Plan.read(path)
    assert plan.schema_version == SCHEMA_VERSION == 2
    assert list(plan.reasons) == [upgraded_path(reason) for reason in raw["reasons"]]
    assert Plan.from_dict(yaml.safe_load(plan.to_yaml())) == plan
    assert not paths_of(plan.model_dump(mode="json", exclude={"reasons"})) & {"thaw", "learning_rate", "strength"}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_values_are_those_that_the_same_options_give_today(name: str):
    data = DataPlan(**PHOTOS, group=r"(\d)" if name == "options" else None)
    request = Request(data, **OPTIONS[name])
    counts = PlanCounts(25, train=25 if name == "feature_extraction" else 20)
    today = counted(make_plan(request), request, counts)
    upgraded_plan = Plan.read(Path(__file__).parent / "schema_1" / f"{name}.yaml")
    assert upgraded_plan.model_copy(update={"reasons": {}}) == today.model_copy(update={"reasons": {}})
    assert upgraded_plan.reasons.keys() == today.reasons.keys()


def test_a_resolved_plan_keeps_its_cut_point_and_its_learning_rates():
    plan = Plan.from_dict(raw_of("resolved_partial"))
    probe, tune = plan.phases
    assert (probe.kind, tune.kind) == ("linear_probe", "train")
    assert tune.lr_by_group == {"blocks.5.3": 0.0005625000000000001, "blocks.6.0": 0.00075, "head": 0.001}
    assert tune.frozen_prefix.model_dump() == {"activations": "cached", "cut_point": "blocks.5.3", "views": 4}
    assert (tune.backbone_lr.rule, tune.backbone_lr.lr, tune.backbone_lr.decay) == ("layer_decay", 0.00075, 0.75)


def test_a_reason_whose_value_was_edited_in_a_file_of_version_1_is_left_out():
    raw = raw_of("partial")
    edited = copy.deepcopy(raw)
    edited["phases"][1]["thaw"] = 3
    edited["reasons"]["seed"] = "our lab's number"  # written by hand: it has no fingerprint
    before, after = Plan.from_dict(raw), Plan.from_dict(edited)
    assert after.phases[1].unfreeze == 3
    assert before.reasons.keys() - after.reasons.keys() == {"phases", "phases[1].unfreeze", "selection.patience"}
    assert after.reasons["seed"] == "our lab's number"


def test_reasons_name_the_options_that_there_are_now():
    text = Plan.from_dict(raw_of("partial")).reasons["phases[1].unfreeze"]
    assert "--unfreeze N" in text
    assert "--thaw" not in text


def test_faults_of_version_1_are_named_with_the_keys_of_version_2():
    raw = raw_of("partial")
    raw["phases"][1]["learning_rate"] = -1
    raw["phases"][1]["unfreeze"] = 2  # beside thaw: which of them counts is not guessed
    with pytest.raises(PlanError, match=r"upgraded from schema version 1") as caught:
        Plan.from_dict(raw, source="mine.yaml")
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["phases[1].head_lr", "phases[1].thaw"]


def test_a_plan_by_hand_that_names_no_version_may_use_either_words():
    old = {"strategy": "s", "data": PHOTOS, "model": {"name": "resnet18"}, "phases": [{"kind": "solve", "strength": 2}]}
    new = old | {"phases": [{"kind": "linear_probe", "l2_penalty": 2}]}
    assert Plan.from_dict(old) == Plan.from_dict(new)


def test_what_is_no_plan_of_version_1_stays_as_it_is():
    for raw in ({"schema_version": 2, "store": "off"}, {"schema_version": 3}, {"schema_version": "1", "store": 1}):
        assert upgraded(raw) == raw
    odd = {
        "schema_version": 1,
        "phases": 3,
        "data": None,
        "reasons": [1],
        "reasons_hold_for": "x",
        "class_weight": {"top": 2},
    }
    assert upgraded(odd) == {
        **{key: value for key, value in odd.items() if key != "reasons_hold_for"},
        "schema_version": 2,
        "reason_fingerprints": "x",
    }


def test_upgrading_does_not_touch_what_it_was_given():
    raw = raw_of("options")
    before = copy.deepcopy(raw)
    upgraded(raw)
    assert raw == before


def test_balanced_class_weights_are_a_method_of_imbalance():
    plain = {"strategy": "s", "data": PHOTOS, "model": {"name": "resnet18"}, "phases": [{"kind": "linear_probe"}]}
    plan = Plan.from_dict(plain | {"class_weight": "balanced"})
    assert (plan.imbalance, plan.class_weight) == ("class_weight", None)
    plan = Plan.from_dict(plain | {"class_weight": {"a": 2}})
    assert (plan.imbalance, plan.class_weight) == ("class_weight", {"a": 2.0})
    assert Plan.from_dict(plain).imbalance == "auto"
    with pytest.raises(PlanError, match="class_weight: imbalance is balanced_sampling, which takes no weights"):
        Plan.from_dict(plain | {"class_weight": {"a": 2}, "imbalance": "balanced_sampling"})
