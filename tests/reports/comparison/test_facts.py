"""What a comparison folder tells."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from headstart.errors import RunError
from headstart.reports.comparison.facts import read_comparison_facts
from report_folders import make_comparison, make_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    runs = {name: [make_run(tmp_path / f"{name}{s}", seed=s) for s in range(2)] for name in ("a", "b")}
    return make_comparison(tmp_path / "comparison", runs)


def change(folder: Path, **values: object) -> None:
    path = folder / "comparison.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_runs_are_found_by_variant_and_seed(folder: Path):
    comparison = read_comparison_facts(folder)
    assert [one.name for one in comparison.variants] == ["a", "b", "resnet50"]
    assert comparison.number("b") == 2
    assert [run.plan.seed for run in comparison.runs_of("a")] == [0, 1]
    assert comparison.runs_of("resnet50") == []
    assert comparison.record.variant("never") is None
    assert comparison.missing == {}


def test_a_comparison_that_was_moved_still_finds_its_trials(folder: Path, tmp_path: Path):
    moved = tmp_path / "elsewhere"
    shutil.move(folder, moved)
    assert len(read_comparison_facts(moved).runs) == 4


def test_early_rungs_are_no_curves(folder: Path):
    trials = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))["trials"]
    trials[0]["rung"] = 0.25
    change(folder, trials=trials)
    assert [run.plan.seed for run in read_comparison_facts(folder).runs_of("a")] == [1]


def test_runs_that_are_gone_are_said(folder: Path):
    shutil.rmtree(folder / "trials" / "001-a-seed0")
    comparison = read_comparison_facts(folder)
    assert list(comparison.missing) == ["001-a-seed0"]
    assert "is no run folder" in comparison.missing["001-a-seed0"]
    assert len(comparison.runs) == 3


def test_a_comparison_without_a_finished_trial_is_an_error_with_the_way_out(folder: Path):
    trials = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))["trials"]
    change(folder, trials=[{**trial, "state": "to_come"} for trial in trials])
    way_on = rf"resume it with: headstart compare --resume {folder}"
    with pytest.raises(RunError, match=rf"no finished trial yet; .* {way_on}"):
        read_comparison_facts(folder)
    (folder / "comparison.json").unlink()
    with pytest.raises(RunError, match=rf"has no comparison\.json yet; .* {way_on}"):
        read_comparison_facts(folder)
