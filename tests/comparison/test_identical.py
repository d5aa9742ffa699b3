"""One model under several names is one entry; models that only look alike are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headstart.comparison.grid import Trial
from headstart.comparison.identical import Entry
from headstart.comparison.record import ComparisonRecord, ProbeSelections
from headstart.comparison.rounds import TrialSchedule
from headstart.comparison.summary import comparison_result
from trial_folders import comparison_of, write_trial

GOOD = [True] * 45 + [False] * 5
POOR = [True] * 10 + [False] * 40


def whole(trials: list[Trial]) -> TrialSchedule:
    return TrialSchedule(tuple(trials), {}, 0)


def two_variants(folder: Path, first: dict[str, Any], second: dict[str, Any]) -> ComparisonRecord:
    """The answer of two variants with the same answers, but for what is said."""
    comparison, trials = comparison_of(folder)
    for trial in trials:
        usual = {"test": GOOD, "validation": GOOD, "selected": "probe"}
        write_trial(comparison, trial, **{**usual, **(first if trial.variant.name == "one" else second)})
    return comparison_result(comparison, whole(trials))


def test_one_model_under_two_names_is_one_entry(tmp_path: Path):
    tuned = {"epochs": [POOR], "seconds": 90.0}
    answer = two_variants(tmp_path / "same", tuned, {"seconds": 100.0})
    assert answer.entries == (Entry("two", ("one",), "one selected the linear probe in 2 of 2 seeds"),)
    assert answer.entries[0].variants == ("two", "one")
    rows = {row.name: row for row in answer.variants}
    assert (rows["one"].same_model_as, rows["two"].same_model_as) == ("two", None)
    assert (rows["one"].selected_probe, rows["two"].selected_probe) == (ProbeSelections(2, 2), None)
    assert answer.pairs == (), "a model is not compared with itself"
    assert answer.chosen.variant == "two"


@pytest.mark.parametrize(
    "other",
    [
        {"sure": 0.8},  # the same answers, but not the same probabilities: another network
        {"test": [*GOOD[1:], True]},
        {"validation": POOR},
        {"epochs": [GOOD], "selected": "tune/1", "sure": 0.9002},
    ],
)
def test_models_that_only_look_alike_are_two_entries(tmp_path: Path, other: dict[str, Any]):
    answer = two_variants(tmp_path / "c", {"epochs": [POOR]}, {"epochs": [POOR], **other})
    assert [entry.same_model for entry in answer.entries] == [(), ()]
    assert {pair.on for pair in answer.pairs} == {"validation", "test"}


def test_a_seed_of_its_own_makes_another_entry(tmp_path: Path):
    comparison, trials = comparison_of(tmp_path / "c")
    for trial in trials[:3]:
        write_trial(comparison, trial, test=GOOD, validation=GOOD)
    assert len(comparison_result(comparison, whole(trials)).entries) == 2
