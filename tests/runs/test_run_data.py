"""data.json comes back as the values that were written."""

from __future__ import annotations

import json

import pytest

from headstart.findings import Finding
from headstart.input_spec import CutShares, ViewFacts
from headstart.runs.run_data import RoleCounts, RunData
from run_values import run_data


def test_every_value_comes_back_from_json():
    data = run_data(
        content_of={"all": "x", "test": "y"},
        roles={"train": RoleCounts(2, {"a": 1, "b": 1}), "test": RoleCounts(1, {"a": 1})},
        images={"train": ("1.png", "2.png"), "test": ("3.png",)},
        unreadable={"4.png": "cut"},
        view=ViewFacts(224, "crop", None, CutShares(0.1, 0.2)),
        findings=(Finding("info", "small", "e", "r"),),
        groups=2,
        group_of={"1.png": "p", "2.png": "p"},
    )
    raw = json.loads(json.dumps(data.to_dict()))
    assert RunData.from_dict(raw) == data
    assert (data.counts("train").images, data.counts("validation").images, data.all_images) == (2, 0, 3)
    assert (data.ids("test"), data.ids("validation")) == (("3.png",), ())


def test_an_unknown_role_is_a_fault():
    raw = run_data().to_dict() | {"roles": {"dev": {"images": 3, "classes": {}}}}
    with pytest.raises(ValueError, match="roles"):
        RunData.from_dict(raw)
