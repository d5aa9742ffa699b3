"""A plan as a flat table, and what differs between runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from headstart.errors import RunError
from headstart.plan.plan import DataPlan
from headstart.plan.reasons import FINGERPRINTS
from headstart.plan.request import Request
from headstart.runs.folder import Run
from headstart.runs.settings import differing_settings, flat, raw_plan, settings_of
from headstart.workflow.plans import make_plan
from made_runs import make_run


def test_nested_values_get_dotted_names():
    values = {"a": None, "b": {"c": [1, 2]}, "phases": [{"name": "x", "rate": 0.1}, {"name": "y", "rate": 0.2}]}
    assert flat(values) == {"b.c.0": 1, "b.c.1": 2, "phases.x.rate": 0.1, "phases.y.rate": 0.2}
    assert flat({"path": Path("a/b"), "on": True}) == {"path": "a/b", "on": True}


def test_every_value_of_a_plan_is_in_the_table():
    plan = make_plan(Request(DataPlan(source="photos"), epochs=3))
    table = flat(plan.model_dump(mode="json", exclude={"reasons"}))
    assert (table["strategy"], table["phases.last_stages.epochs"], table["data.source"]) == ("progressive", 3, "photos")
    assert table == flat(yaml.safe_load(plan.to_yaml()) | {"reasons": None, FINGERPRINTS: None})


def test_only_what_differs_is_told(tmp_path: Path):
    phases = [{"name": "tune", "epochs": 5, "head_lr": 1e-3}]
    runs = [Run(make_run(tmp_path / "a")), Run(make_run(tmp_path / "b", seed=1, phases=phases))]
    assert settings_of(runs[0])["seed"] == 0
    assert differing_settings(runs) == {
        "phases.probe.kind": ("linear_probe", None),
        "phases.tune.epochs": (3, 5),
        "phases.tune.head_lr": (None, 1e-3),
        "seed": (0, 1),
    }
    assert differing_settings([runs[0], runs[0]]) == {}


def test_a_plan_that_is_none_is_an_error(tmp_path: Path):
    with pytest.raises(RunError, match=r"plan.resolved.yaml is missing"):
        raw_plan(tmp_path)
    (tmp_path / "plan.resolved.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match="cannot be read"):
        raw_plan(tmp_path)
