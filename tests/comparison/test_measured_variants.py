"""Only validation figures that were obtained in the same way on the same images meet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.comparison.grid import Trial
from headstart.comparison.measured_variants import keep_common_validation, measure
from headstart.comparison.rounds import TrialSchedule
from headstart.comparison.summary import comparison_result
from headstart.comparison.trial_record import read_trial
from headstart.files import write_json
from trial_folders import comparison_of, write_trial

GOOD = [True] * 45 + [False] * 5


def whole(trials: list[Trial]) -> TrialSchedule:
    return TrialSchedule(tuple(trials), {}, 0)


def test_validation_images_are_those_that_all_share_within_a_way(tmp_path: Path):
    """The solved head of an older comparison has 50 images of its own way; the tuned networks share 40 of theirs."""
    vary = {"model": ["one", "two", "three"]}
    comparison, trials = comparison_of(tmp_path / "c", vary=vary, seeds=[0])
    ways = ("out of fold in train", "held-out 20% of train", "held-out 20% of train")
    for trial, images, way in zip(trials, (50, 40, 45), ways, strict=True):
        write_trial(
            comparison, trial, test=GOOD, validation=[True] * (images - 5) + [False] * 5, selected_on=way, fit=50
        )
    measured = measure(comparison, comparison.plan(), whole(trials))
    keep_common_validation(list(measured.values()))
    assert {name: len(one.validation[0].images) for name, one in measured.items()} == {
        "one": 50,
        "two": 40,
        "three": 40,
    }
    assert measured["one"].method == "out of fold in train"
    assert measured["two"].cost.seconds == 10.0
    assert measured["two"].cost.parameters == 11689512


def test_heads_judged_on_a_sample_are_another_way(tmp_path: Path):
    comparison, trials = comparison_of(tmp_path / "c", seeds=[0])
    for trial, images in zip(trials, (20, 15), strict=True):  # of 20 training images
        write_trial(comparison, trial, test=GOOD, validation=[True] * images, selected_on="out of fold in train")
    measured = measure(comparison, comparison.plan(), whole(trials))
    assert [one.method for one in measured.values()] == [
        "out of fold in train",
        "out of fold in train, on a sample of it",
    ]


def test_groups_of_data_json_reach_the_answers(tmp_path: Path):
    comparison, trials = comparison_of(tmp_path / "c", seeds=[0])
    run = write_trial(comparison, trials[0], test=GOOD, validation=GOOD)
    data = replace(run.data(), group_of={"report/0": "p", "report/1": "p", "select/3": "q", "gone": "p"})
    write_json(run.folder / "data.json", data.to_dict())
    record = read_trial(run)
    assert record.test.groups == {"report/0": "p", "report/1": "p"}
    assert record.validation.groups == {"select/3": "q"}


def test_out_of_fold_figures_are_not_ranked_against_held_out_ones(tmp_path: Path):
    """An older comparison: the solved head has the better figure on the same images, from heads fitted on others."""
    ways: dict[str, Any] = {"selected_on": "out of fold in train", "validation": [True] * 50, "sure": 0.8}
    comparison, trials = comparison_of(tmp_path / "c")
    for trial in trials:
        tuned: dict[str, Any] = {"validation": GOOD, "epochs": [GOOD], "selected": "tune/1"}
        write_trial(comparison, trial, test=GOOD, **(tuned if trial.variant.name == "one" else ways))
    answer = comparison_result(comparison, whole(trials))
    assert [pair.on for pair in answer.pairs] == ["test"]
    assert answer.chosen.not_ranked == ("two",)
    assert "two cannot be ranked against the others: validated out of fold in train" in answer.chosen.headline
    assert [row.validation_method for row in answer.variants] == ["held-out 20% of train", "out of fold in train"]
