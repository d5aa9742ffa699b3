"""A key that stands in the wrong place, or under a peer's name, is answered with the place where it belongs."""

from __future__ import annotations

import re

import pytest

from checkout import ROOT
from headstart.errors import PlanError
from headstart.plan.keys import OTHER_NAMES, key_paths, where_it_stands
from headstart.plan.plan import Plan

PATHS = key_paths(Plan)


def test_every_key_of_a_plan_has_its_path():
    assert {
        "batch_size",
        "optimizer.weight_decay",
        "phases[].head_lr",
        "phases[].l2_penalty",
        "phases[].schedule.warmup_epochs",
        "phases[].backbone_lr.lr",
        "data.group",
    } <= set(PATHS)
    assert len(PATHS) == len(set(PATHS))


def test_the_guide_shows_every_key():
    guide = (ROOT / "docs" / "guide" / "plans.md").read_text(encoding="utf-8")
    block = guide[guide.index("schema_version: 2 ") : guide.index("A reason belongs to a value")]
    missing = [path for path in PATHS if not re.search(rf"(?m)(^|[ {{]){path.rpartition('.')[2]}:", block)]
    assert missing == []


def test_every_other_name_leads_to_keys_that_exist():
    for name, paths in OTHER_NAMES.items():
        assert set(paths) <= set(PATHS), name


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("lr", "phases[].head_lr"),
        ("learning_rate", "phases[].head_lr"),
        ("epochs", "phases[].epochs"),
        ("weight_decay", "optimizer.weight_decay"),
        ("imgsz", "input.size"),
        ("Batch-Size", "batch_size"),
        ("label_smooting", "optimizer.label_smoothing"),
    ],
)
def test_the_place_is_named(key: str, place: str):
    assert place in where_it_stands(key, PATHS)


def test_a_word_like_no_key_gets_no_guess():
    assert where_it_stands("xyzzy", PATHS) == ""


def test_a_plan_with_the_learning_rate_in_the_optimizer_is_told_where_it_is():
    raw = {
        "strategy": "mine",
        "data": {"source": "photos"},
        "model": {"name": "resnet18"},
        "optimizer": {"lr": 1e-3},
        "phases": [{"kind": "linear_probe"}],
    }
    with pytest.raises(PlanError) as caught:
        Plan.from_dict(raw)
    assert "optimizer.lr: is no key of a plan" in str(caught.value)
    assert "did you mean phases[].head_lr" in str(caught.value)
