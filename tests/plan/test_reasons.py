"""A reason goes when a value it speaks of changes, however the plan was changed, and stays otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import PlanError
from headstart.plan.plan import DataPlan, OptimizerPlan, Plan
from headstart.plan.presets import STRATEGIES, Request
from headstart.plan.reasons import ANY_SOURCE, BEHIND, value_at


def plan_of(strategy: str = "probe_then_tune", source: str = "photos") -> Plan:
    reasons = (("domain", "the default; see --domain"), ("augmentation.flip", "left and right mean nothing here"))
    return STRATEGIES[strategy](Request(DataPlan(source=source), reasons=reasons))


def edited(plan: Plan, path: str, value: Any) -> Plan:
    """The plan as a user edits it: in the file."""
    raw = yaml.safe_load(plan.to_yaml())
    *steps, last = (
        int(step) if step.isdigit() else step for step in path.replace("]", "").replace("[", ".").split(".")
    )
    place = raw
    for step in steps:
        place = place[step]
    place[last] = value
    return Plan.from_dict(raw)


@pytest.mark.parametrize(
    ("path", "value", "gone"),
    [
        ("optimizer.name", "sgd", {"optimizer", "phases[1].head_lr"}),
        ("batch_size", 16, {"batch_size", "phases[1].batch_norm"}),
        ("phases[1].head_lr", 0.001, {"phases", "phases[1].head_lr", "phases[1].backbone_lr"}),
        ("phases[1].epochs", 7, {"phases", "phases[1].epochs", "phases[1].schedule"}),
        ("model.name", "resnet18", {"model.name", "input.size"}),
        ("domain", "medical", {"domain", "augmentation.flip", "augmentation.preset"}),
        ("seed", 7, set()),
    ],
)
def test_what_is_edited_in_the_file_loses_its_reason(path: str, value: Any, gone: set[str]):
    plan = plan_of()
    lost = set(plan.reasons) - set(edited(plan, path, value).reasons)
    assert gone & set(plan.reasons) <= lost
    assert path not in edited(plan, path, value).reasons
    unrelated = {"phases[0].l2_penalty"} - gone
    assert not unrelated & lost


@settings(max_examples=40, deadline=None)
@given(strategy=st.sampled_from(sorted(STRATEGIES)), data=st.data())
def test_no_reason_outlives_its_own_value(strategy: str, data: st.DataObject):
    """Whatever number is changed in the file, no reason at its path or above it is left."""
    plan = plan_of(strategy)
    raw = plan.model_dump(mode="json", exclude={"reasons", "schema_version"})
    numbers = [path for path in _leaves(raw) if type(value_at(raw, path)) in (int, float)]
    path = data.draw(st.sampled_from(sorted(numbers)))
    value = value_at(raw, path)
    changed = value / 2 if isinstance(value, float) and value else value + 1
    try:
        after = edited(plan, path, changed)
    except PlanError:
        return  # a fault of the plan, and another test's matter
    of_value = [one for one in after.reasons if path == one or path.startswith((f"{one}.", f"{one}["))]
    assert of_value == []


def _leaves(raw: Any, path: str = "") -> list[str]:
    if isinstance(raw, dict):
        return [one for key, value in raw.items() for one in _leaves(value, f"{path}.{key}" if path else key)]
    if isinstance(raw, list):
        return [one for index, value in enumerate(raw) for one in _leaves(value, f"{path}[{index}]")]
    return [path]


def test_a_changed_copy_loses_the_reasons_too():
    plan = plan_of()
    assert "optimizer" in plan.reasons
    assert "optimizer" not in plan.changed(optimizer=OptimizerPlan(name="sgd")).reasons


def test_naming_the_images_of_an_advice_without_images_changes_no_reason():
    plan = plan_of(source=ANY_SOURCE)
    named = plan.changed(data=plan.data.model_copy(update={"source": "photos"}))
    assert named.reasons == plan.reasons
    other = named.changed(data=named.data.model_copy(update={"source": "scans"}))
    assert "domain" not in other.reasons, "it was found for other images"


def test_a_sentence_written_by_hand_stays(tmp_path: Path):
    path = tmp_path / "plan.yaml"
    path.write_text(
        "strategy: mine\ndata: {source: photos}\nmodel: {name: resnet18}\nphases: [{kind: solve}]\n"
        "reasons: {batch_size: what our GPU holds}\n",
        encoding="utf-8",
    )
    assert Plan.read(path).reasons == {"batch_size": "what our GPU holds"}


def test_the_table_of_values_behind_reasons_names_values_that_exist():
    raw = plan_of().model_dump(mode="json")
    for path, others in BEHIND.items():
        for one in (path, *others):
            *above, last = one.replace("[]", "[1]").split(".")
            assert last in value_at(raw, ".".join(above)) if above else last in raw
