"""The answer of a comparison from folders whose figures are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.comparison.comparison import Comparison, TrialEnd
from headstart.comparison.grid import Trial
from headstart.comparison.record import ComparedImages, TrainingTime
from headstart.comparison.rounds import TrialSchedule, schedule
from headstart.comparison.summary import comparison_result, validation_values
from trial_folders import comparison_of, write_trial

GOOD = [True] * 45 + [False] * 5
POOR = [True] * 10 + [False] * 40


def whole(trials: list[Trial]) -> TrialSchedule:
    return TrialSchedule(tuple(trials), {}, 0)


def filled(folder: Path, **values: object) -> tuple[Comparison, list[Trial]]:
    """Two models, one good and slow, one poor and quick; the poor one is better on the test set."""
    comparison, trials = comparison_of(folder, **values)
    for trial in trials:
        is_good = trial.variant.name in ("one", "1e-3")
        write_trial(
            comparison,
            trial,
            test=POOR if is_good else GOOD,
            validation=GOOD if is_good else POOR,
            seconds=30.0 if is_good else 5.0,
        )
    return comparison, trials


def test_what_chooses_and_what_reports_are_kept_apart(tmp_path: Path):
    comparison, trials = filled(tmp_path / "c")
    answer = comparison_result(comparison, whole(trials))
    assert answer.finished
    assert answer.chosen.variant == "one", "chosen on select, although it is worse on report"
    assert answer.chosen.test.accuracy == pytest.approx(0.2)
    by_role = {pair.on: pair for pair in answer.pairs}
    assert (by_role["validation"].verdict, by_role["test"].verdict) == ("a", "b")
    assert by_role["test"].difference == pytest.approx(-0.7)
    rows = {row.name: row for row in answer.variants}
    assert rows["one"].validation.accuracy == pytest.approx(0.9)
    assert rows["one"].test.by_seed == pytest.approx((0.2, 0.2))
    assert rows["one"].seconds == TrainingTime(30.0, (30.0, 30.0))
    assert rows["two"].peak_memory_bytes == 1000
    assert rows["one"].parameters == 11689512, "a ResNet-18 by its card"
    assert answer.pareto.minutes == ("two",), "quicker and better on the test set"
    assert validation_values(comparison, trials[:2], "accuracy") == pytest.approx({"one": 0.9, "two": 0.2})


def test_half_a_comparison_has_an_answer(tmp_path: Path):
    comparison, trials = comparison_of(tmp_path / "c")
    write_trial(comparison, trials[0], test=GOOD, validation=GOOD)
    comparison.end(trials[1], TrialEnd("failed", error="no memory"))
    answer = comparison_result(comparison, whole(trials))
    assert not answer.finished
    assert answer.resume == f"headstart compare --resume {tmp_path / 'c'}"
    assert [trial.state for trial in answer.trials] == ["done", "failed", "to_come", "to_come"]
    assert [row.accuracy_status for row in answer.variants] == ["measured", "failed"]
    assert answer.variants[1].errors == ("no memory",)
    assert (answer.pairs, answer.chosen.tied_with) == ((), ())
    assert validation_values(comparison, trials[:2], "accuracy") == {"one": pytest.approx(0.9), "two": None}
    assert answer.why_resume == "not finished; resume with"


def test_random_weights_stand_in_for_time_only(tmp_path: Path):
    comparison, trials = comparison_of(tmp_path / "c", seeds=[0])
    write_trial(comparison, trials[0], test=GOOD, validation=GOOD)
    missing = {"two": "two cannot be downloaded; put it at x"}
    write_trial(comparison, trials[1], test=POOR, validation=POOR, accuracy="needs download", missing=missing)
    answer = comparison_result(comparison, whole(trials))
    assert answer.finished
    assert answer.why_resume == "1 trial lacks pretrained weights; try again with"
    assert answer.resume == comparison.resume_command
    assert [row.weights_missing for row in answer.variants] == [None, missing["two"]]
    assert [row.accuracy_status for row in answer.trials] == ["measured", "needs download"]
    assert validation_values(comparison, trials, "accuracy") == {"one": pytest.approx(0.9), "two": None}
    rows = {row.name: row for row in answer.variants}
    assert (rows["two"].accuracy_status, rows["two"].test, rows["two"].validation) == (
        "needs download",
        None,
        None,
    )
    assert rows["two"].seconds.mean == 10.0
    assert answer.pairs == ()
    assert "two" not in answer.pareto.minutes


def test_means_are_over_the_images_that_all_variants_chose_on(tmp_path: Path):
    """A solved head answers all of train out of fold, a tuned network a part of it that may be harder."""
    comparison, trials = comparison_of(tmp_path / "c", seeds=[0])
    easy = [False] * 10 + [True] * 90
    write_trial(comparison, trials[0], test=GOOD, validation=easy)
    write_trial(comparison, trials[1], test=GOOD, validation=[True] * 8 + [False] * 2)
    answer = comparison_result(comparison, whole(trials))
    rows = {row.name: row.validation for row in answer.variants}
    assert (rows["one"].images, rows["one"].accuracy) == (10, 0.0)
    assert rows["two"].accuracy == pytest.approx(0.8)
    assert answer.chosen.variant == "two"


def test_a_race_is_judged_on_the_images_that_all_answered(tmp_path: Path):
    """By plain means the solved head leads: 0.9 over all of train, of which it has the images held out mostly wrong."""
    vary = {"model": ["solved", "tuned", "weak"]}
    comparison, _ = comparison_of(tmp_path / "c", vary=vary, seeds=[0], halving="successive")
    plan = comparison.plan()
    validation = {
        "solved": [False] * 8 + [True] * 92,
        "tuned": [True] * 8 + [False] * 2,
        "weak": [True] * 7 + [False] * 3,
    }

    def known() -> TrialSchedule:
        return schedule(
            plan,
            has_ended=lambda trial: comparison.end_of(trial) is not None,
            values_of=lambda trials: validation_values(comparison, trials, plan.metric),
        )

    for trial in known().trials:
        write_trial(comparison, trial, test=GOOD, validation=validation[trial.variant.name])
    found = known()
    assert found.dropped == {"solved": 0.25}
    assert {trial.variant.name for trial in found.trials if trial.share == 0.5} == {"tuned", "weak"}
    rows = {row.name: row for row in comparison_result(comparison, found).variants}
    assert rows["solved"].accuracy_status == "dropped"
    assert {name: row.validation.accuracy for name, row in rows.items()} == pytest.approx(
        {"solved": 0.2, "tuned": 0.8, "weak": 0.7}
    ), "what dropped it is what is shown"


def test_where_all_failed_every_figure_is_there_and_unknown(tmp_path: Path):
    comparison, trials = comparison_of(tmp_path / "c", seeds=[0])
    for trial in trials:
        comparison.end(trial, TrialEnd("failed", error="no memory"))
    answer = comparison_result(comparison, whole(trials))
    assert answer.data == ComparedImages("x")
    assert answer.why_resume == "2 trials failed; try again with"


def test_seeds_that_one_variant_lacks_do_not_choose(tmp_path: Path):
    comparison, trials = comparison_of(tmp_path / "c")
    for trial in trials[:3]:
        luck = [True] * 50 if trial.seed == 1 else GOOD
        write_trial(comparison, trial, test=GOOD, validation=luck)
    rows = comparison_result(comparison, whole(trials)).variants
    assert [len(row.validation.by_seed) for row in rows] == [1, 1]
    assert [row.validation.accuracy for row in rows] == pytest.approx([0.9, 0.9])


@pytest.mark.parametrize("name", ["selection.parquet", "metrics.json"])
def test_a_damaged_trial_leaves_the_others_their_answer(tmp_path: Path, name: str):
    comparison, trials = filled(tmp_path / "c", seeds=[0])
    (comparison.run_of(trials[0]).folder / name).write_bytes(b"no")
    answer = comparison_result(comparison, whole(trials))
    assert [row.accuracy_status for row in answer.variants] == ["failed", "measured"]
    assert name in answer.variants[0].errors[0]
    assert [trial.state for trial in answer.trials] == ["done", "done"]
    assert answer.trials[1].test_accuracy == pytest.approx(0.9)


def test_rates_without_a_common_seed_have_no_label(tmp_path: Path):
    vary = {"learning_rate": {name: {"phases[tune].head_lr": rate} for name, rate in (("1e-3", 1e-3), ("1e-1", 0.1))}}
    comparison, trials = comparison_of(tmp_path / "c", what="learning_rates", vary=vary)
    comparison.end(trials[0], TrialEnd("failed", error="no memory"))
    write_trial(comparison, trials[1], test=GOOD, validation=POOR, epochs=[GOOD])
    write_trial(comparison, trials[2], test=GOOD, validation=POOR, epochs=[GOOD])
    assert [row.learning_rate_label for row in comparison_result(comparison, whole(trials)).variants] == [
        None,
        None,
    ]


def test_rates_are_labelled_by_the_last_epoch(tmp_path: Path):
    vary = {"learning_rate": {name: {"phases[tune].head_lr": rate} for name, rate in (("1e-3", 1e-3), ("1e-1", 0.1))}}
    comparison, trials = comparison_of(tmp_path / "c", what="learning_rates", vary=vary)
    for trial in trials:
        last = GOOD if trial.variant.name == "1e-3" else [False] * 50
        write_trial(comparison, trial, test=GOOD, validation=POOR, epochs=[POOR, last])
    labels = {row.name: row.learning_rate_label.label for row in comparison_result(comparison, whole(trials)).variants}
    assert labels == {"1e-3": "sweet spot", "1e-1": "forgets"}
