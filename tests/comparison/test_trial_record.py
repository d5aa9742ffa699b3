"""What a finished trial left, read back."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from headstart.comparison.outcomes import TrialPredictions
from headstart.comparison.trial_record import on_common_images, read_trial, value_of
from headstart.errors import RunError
from trial_folders import comparison_of, write_trial


def test_answers_by_role_and_epoch(tmp_path: Path):
    comparison, trials = comparison_of(tmp_path / "c")
    epochs = [[True, True, False, False], [True, True, True, False]]
    run = write_trial(
        comparison, trials[0], test=[True, False, True], validation=[True, False, False, False], epochs=epochs
    )
    record = read_trial(run)
    assert list(record.test.correct) == [True, False, True]
    assert record.test.log_loss == pytest.approx([-math.log(0.9), -math.log(0.1), -math.log(0.9)])
    assert list(record.validation.correct) == epochs[1], "the weights that were kept"
    assert record.start is not None
    assert sum(record.start.correct) == 1
    assert [sum(answers.correct) for answers in record.tuned] == [2, 3]
    assert record.train_losses == (1.0, 0.5)
    assert not record.diverged


def test_values_of_each_metric(tmp_path: Path):
    comparison, trials = comparison_of(tmp_path / "c")
    run = write_trial(comparison, trials[0], test=[True, False, True, False, True], validation=[True])
    test = read_trial(run).test
    assert value_of(test, "accuracy") == pytest.approx(0.6)
    assert value_of(test, "balanced_accuracy") == pytest.approx((3 / 3 + 0 / 2) / 2)
    assert value_of(test, "log_loss") == pytest.approx((3 * math.log(0.9) + 2 * math.log(0.1)) / 5)


def test_only_images_that_all_answered_are_left():
    def answers(names: str) -> TrialPredictions:
        return TrialPredictions(list(names), ["x"] * len(names), [name == "b" for name in names], [0.1] * len(names))

    kept = on_common_images([answers("abcd"), answers("db"), answers("bxd")])
    assert [list(one.images) for one in kept] == [["b", "d"], ["d", "b"], ["b", "d"]]
    assert [list(one.correct) for one in kept] == [[True, False], [False, True], [True, False]]
    apart = [answers("ab"), answers("cd")]
    assert on_common_images(apart) == apart, "nothing in common"
    assert on_common_images([]) == []


def test_damage_is_told(tmp_path: Path):
    comparison, trials = comparison_of(tmp_path / "c")
    run = write_trial(comparison, trials[0], test=[True], validation=[True])
    (run.folder / "selection.parquet").write_bytes(b"no")
    with pytest.raises(RunError, match=r"selection.parquet cannot be read"):
        read_trial(run)
    (run.folder / "metrics.json").unlink()
    with pytest.raises(RunError, match=r"has not ended.*--resume"):
        read_trial(run)
