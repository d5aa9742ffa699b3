"""What people read of a comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from every_event import ESTIMATE
from headstart.apps.cli.text.comparison import ComparisonConsole, comparison_text
from headstart.comparison.comparison import TrialEnd
from headstart.comparison.record import TrialResult
from headstart.comparison.rounds import TrialSchedule
from headstart.comparison.summary import comparison_result
from headstart.runs.warnings import RandomWeights
from trial_folders import comparison_of, write_trial


def test_tables_and_sentences(tmp_path: Path):
    comparison, trials = comparison_of(tmp_path / "c", seeds=[0])
    write_trial(comparison, trials[0], test=[True] * 9 + [False], validation=[True] * 10, seconds=65)
    write_trial(comparison, trials[1], test=[True] * 10, validation=[True] * 5 + [False] * 5, accuracy="needs download")
    text = comparison_text(comparison_result(comparison, TrialSchedule(tuple(trials), {}, 0)))
    assert "one" in text
    assert "0.900" in text
    assert "1 min 5 s" in text
    assert "needs download" in text
    assert "chosen: one - " in text
    assert text.splitlines()[0] == "one is the only model with a figure"
    assert "its test accuracy on 10 images: 0.900" in text
    assert "11.7M" in text


def test_identical_models_are_one_row_of_figures_and_a_tie_has_no_winner(tmp_path: Path):
    """Two networks; of each a tuned variant kept the probe in both seeds, as if nothing had been tuned."""
    vary = {"model": ["one", "two"], "strategy": ["feature_extraction", "partial"]}
    comparison, trials = comparison_of(tmp_path / "c", vary=vary)
    for trial in trials:
        is_one, tuned = trial.variant.name.startswith("one"), "partial" in trial.variant.name
        write_trial(
            comparison,
            trial,
            test=[True] * 15 + [False] * (5 if is_one else 4),
            validation=[True] * 16 + [False] * (4 if is_one else 5),
            epochs=[[False] * (20 if is_one else 21)] if tuned else (),
            selected="probe",
            seconds=60.0 if tuned else 5.0 if is_one else 9.0,
        )
    lines = comparison_text(comparison_result(comparison, TrialSchedule(tuple(trials), {}, 0))).splitlines()
    assert lines[0] == (
        "no variant is significantly better than the others: one, feature_extraction and "
        "two, feature_extraction tie; the cheapest is one, feature_extraction"
    )
    row = next(line for line in lines if line.startswith("one, partial"))
    assert "same model as one, feature_extraction: one, partial selected the linear probe in 2 of 2 seeds" in row
    assert "training took 1 min" in row
    assert "0.7" not in row
    assert any(line.startswith("recommended: one, feature_extraction - ") for line in lines)
    pairs = [line for line in lines if " are tied: " in line]
    assert len(pairs) == 2, "one pair of models on validation images, one on test images"


def test_what_is_not_finished_says_how_to_go_on(tmp_path: Path):
    comparison, trials = comparison_of(tmp_path / "c", seeds=[0])
    comparison.end(trials[0], TrialEnd("failed", error="no memory"))
    text = comparison_text(comparison_result(comparison, TrialSchedule(tuple(trials), {}, 0)))
    assert "no recommendation" in text
    assert "no memory" in text
    assert f"headstart compare --resume {tmp_path / 'c'}" in text


def test_one_line_for_each_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    _, trials = comparison_of(tmp_path / "c", seeds=[0])
    with ComparisonConsole() as console:
        console.trial_started(trials[0], of=2, resumed="resume")
        console.phase_started(0, None)  # type: ignore[arg-type]
        console.noted(ESTIMATE)
        console.noted(RandomWeights("no network"))
        result = TrialResult("001-one-seed0", "c/trials/001-one-seed0", "one", 0, 1.0, "done")
        console.trial_ended(trials[0], TrialEnd("done", seconds=3), result)
        console.trial_started(trials[1], of=2, resumed="anew")
        console.trial_ended(trials[1], TrialEnd("failed", error="no memory"), replace(result, state="failed"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "1/2 one, seed 0: resumed"
    assert "random weights are used" in lines[1]
    assert lines[2].startswith("1/2 one, seed 0: test accuracy needs download")
    assert lines[3] == "2/2 two, seed 0: failed: no memory"
