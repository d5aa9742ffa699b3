"""Grids from YAML, all faults at once; combinations, their order, and values put at paths of a plan."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.comparison.grid import GridPlan, Variant, changed, rung_sizes, split_changes, trials_of
from headstart.errors import PlanError
from headstart.plan.plan import DataPlan
from headstart.plan.presets import Request, full

YAML = """
data: {source: photos, limit_train: 100/class}
base: {strategy: full, epochs: 5}
vary:
  model: [tf_efficientnet_lite0, resnet18]
  phases[tune].head_lr: [1.0e-3, 1.0e-4]
  recipe:
    plain: {}
    smooth: {optimizer.label_smoothing: 0.1, batch_size: 64}
seeds: [3, 4]
"""


def grid(**values: Any) -> GridPlan:
    raw = {"data": {"source": "photos"}, "vary": {"strategy": ["full", "gradual"]}, **values}
    return GridPlan.from_dict(raw, source="test")


def test_a_file_gives_all_combinations_in_its_order(tmp_path: Path):
    (tmp_path / "grid.yaml").write_text(YAML)
    plan = GridPlan.read(tmp_path / "grid.yaml")
    variants = plan.variants()
    assert [variant.name for variant in variants[:3]] == [
        "tf_efficientnet_lite0, 0.001, plain",
        "tf_efficientnet_lite0, 0.001, smooth",
        "tf_efficientnet_lite0, 0.0001, plain",
    ]
    assert len(variants) == 8
    assert variants[-1].changes == {
        "model": "resnet18",
        "phases[tune].head_lr": 1e-4,
        "optimizer.label_smoothing": 0.1,
        "batch_size": 64,
    }


def test_it_is_written_and_read_again(tmp_path: Path):
    (tmp_path / "grid.yaml").write_text(YAML)
    plan = GridPlan.read(tmp_path / "grid.yaml")
    (tmp_path / "again.yaml").write_text(plan.to_yaml())
    assert GridPlan.read(tmp_path / "again.yaml") == plan


def test_what_the_command_line_says_takes_the_place_of_keys(tmp_path: Path):
    (tmp_path / "grid.yaml").write_text(YAML)
    plan = GridPlan.read(tmp_path / "grid.yaml", data={"source": "other"}, base={"epochs": 2}, seeds=[7], metric=None)
    assert (plan.data.source, plan.data.limit_train) == ("other", "100/class")
    assert plan.base == {"strategy": "full", "epochs": 2}
    assert (plan.seeds, plan.metric) == ((7,), "accuracy")


def test_what_is_usual_stands_behind_the_file_and_what_varies(tmp_path: Path):
    (tmp_path / "grid.yaml").write_text("data: {source: x, limit_train: '9'}\nvary: {epochs: [1, 2]}\n")
    usual = {"usual_data": {"limit_train": "5", "limit_test": "7"}, "usual_base": {"epochs": 3, "input_size": 96}}
    plan = GridPlan.read(tmp_path / "grid.yaml", **usual)
    assert (plan.data.limit_train, plan.data.limit_test) == ("9", "7")
    assert plan.base == {"input_size": 96}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"vary": {"strategy": []}}, "vary.strategy: has no values"),
        ({"vary": {"strategy": ["full"]}}, "at least two variants"),
        ({"vary": {"strategy": ["full", "full"]}}, "two variants are called 'full'"),
        ({"base": {"strategy": "full"}}, "base.strategy: varies already"),
        ({"seeds": [1, 1]}, "names a seed twice"),
        ({"halving": "successive"}, "three or more"),
        ({"vary": {"epochs": [1, 2], "recipe": {"a": {"epochs": 3}, "b": {}}}}, "epochs and recipe both set epochs"),
        ({"seeds": []}, "seeds"),
        ({"metric": "speed"}, "metric"),
        ({"colour": 1}, "colour"),
    ],
)
def test_faults_are_told(values: dict[str, Any], message: str):
    with pytest.raises(PlanError, match=message.replace("(", r"\(")):
        grid(**values)


def test_a_file_that_is_no_grid_is_told(tmp_path: Path):
    for text, message in (("- a", "not a mapping"), ("a: [", "is not YAML")):
        (tmp_path / "grid.yaml").write_text(text)
        with pytest.raises(PlanError, match=message):
            GridPlan.read(tmp_path / "grid.yaml")
    with pytest.raises(PlanError, match="cannot be read"):
        GridPlan.read(tmp_path / "none.yaml")


@given(st.integers(2, 6), st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True))
def test_the_first_seed_of_everything_comes_first(count: int, seeds: list[int]):
    variants = [Variant(f"v{index}", {}) for index in range(count)]
    trials = trials_of(variants, seeds)
    assert [trial.seed for trial in trials] == [seed for seed in seeds for _ in variants]
    assert [trial.number for trial in trials] == list(range(1, count * len(seeds) + 1))
    assert len({trial.name for trial in trials}) == len(trials)


@given(st.text(min_size=1, max_size=80))
def test_any_name_makes_a_folder(name: str):
    folder = trials_of([Variant(name, {})], [0])[0].name
    assert "/" not in folder
    assert len(folder) <= 80
    assert folder.isascii()


@given(st.integers(2, 40))
def test_rounds_halve_and_keep_two(count: int):
    shares, places = zip(*rung_sizes(count), strict=True)
    assert shares[-1] == 1.0
    assert list(shares) == sorted(shares)
    assert places[0] == count
    assert all(2 <= later <= earlier for earlier, later in itertools.pairwise(places))


def raw_plan() -> dict[str, Any]:
    return full(Request(data=DataPlan(source="x"))).model_dump(mode="json")


def test_values_are_put_at_paths():
    raw = changed(
        raw_plan(),
        {
            "phases[tune].head_lr": 0.5,
            "phases[0].folds": 3,
            "optimizer.name": "sgd",
            "phases[tune].backbone_lr": {"rule": "uniform", "lr": 0.1},
        },
    )
    assert raw["phases"][1]["head_lr"] == 0.5
    assert raw["phases"][0]["folds"] == 3
    assert raw["optimizer"]["name"] == "sgd"
    assert raw["phases"][1]["backbone_lr"] == {"rule": "uniform", "lr": 0.1}


def test_every_path_that_leads_nowhere_is_told():
    with pytest.raises(PlanError) as told:
        changed(raw_plan(), {"phases[head].epochs": 1, "phases[7].epochs": 1, "optimiser.name": "sgd", "a b": 1})
    text = str(told.value)
    assert "4 faults" in text
    assert "no 'head' among probe, tune" in text


def test_options_and_paths_are_told_apart():
    assert split_changes({"epochs": 2, "optimizer.name": "sgd"}, ["epochs"]) == (
        {"epochs": 2},
        {"optimizer.name": "sgd"},
    )


def test_folds_repeat_the_training_and_have_rows_in_their_order():
    raw = {"data": {"source": "x"}, "vary": {"model": ["a", "b"]}, "folds": 3}
    plan = GridPlan.from_dict(raw, source="test")
    assert (plan.seeds, plan.folds) == ((0,), 3)
    assert GridPlan.from_dict({**raw, "seeds": [4, 1]}, source="test").seeds == (4, 1)
    trials = trials_of(plan.variants(), [4, 1], plan.folds)
    assert [trial.name for trial in trials[:3]] == ["001-a-seed4-fold1", "002-b-seed4-fold1", "003-a-seed4-fold2"]
    assert trials[0].words == "a, seed 4, fold 1 of 3"
    rows = [trial.repeat for trial in trials if trial.variant.name == "a"]
    assert len(set(rows)) == 6
    assert sorted(rows) == [*sorted(rows[3:]), *sorted(rows[:3])], "seed 1 before seed 4"
    with pytest.raises(PlanError, match=r"folds: .*1.* must be >= 2"):
        GridPlan.from_dict({**raw, "folds": 1}, source="test")
