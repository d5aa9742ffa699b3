"""The top of a run's report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.findings import Finding
from headstart.html import wording
from headstart.measures.figures import ClassFigures
from headstart.reports.run.result import classifier_text, run_kind, run_result, run_title
from headstart.runs.record import read_run
from headstart.runs.run_metrics import RunWarning
from page_text import parsed
from report_folders import make_run


def test_the_result_in_words(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    assert run.metrics is not None
    test = run.metrics.test
    text = parsed(run_result(run)).text_of(id="result")
    for words in (
        f"{wording.percent(test.accuracy)} test accuracy on 40 images",
        f"95\u00a0% interval: {wording.interval_text(test.accuracy_interval)}",
        "Test set: val, used for nothing else.",
        "Validation set: held-out 20% of train.",
        "Selected checkpoint: epoch 2 of phase tune. Significantly better than the linear probe.",
        "Always predicting the largest class would give 50.0\u00a0%",
        "1 image could not be read and was left out",
        "2 files are the same",
        "because the test set has only 40 images",
        "Probe then tune",
    ):
        assert words in text, words
    assert "Not finished" not in text


def test_what_the_figures_give_away_stands_before_them(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    assert run.metrics is not None
    finding = Finding("warning", "overconfidence", "mean confidence 0.9", "set no limit")
    warning = RunWarning("overconfidence", "mean confidence 0.9; set no limit")
    warned = replace(run, metrics=replace(run.metrics, findings=(finding,), warnings=(warning,)))
    text = parsed(run_result(warned)).text_of(id="result")
    assert text.startswith("Before you read the figures")
    assert text.count("ean confidence 0.9") == 1, "the warning says the same"
    assert "Set no limit." in text


def test_groups_are_what_the_interval_counts(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    assert run.metrics is not None
    test = replace(run.metrics.test, counted="groups", groups=12)
    text = parsed(run_result(replace(run, metrics=replace(run.metrics, test=test)))).text_of(id="result")
    assert "test accuracy on 40 images of 12 groups" in text
    assert "The interval counts groups" in text


def test_a_class_without_test_images_has_no_lowest_recall(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    assert run.metrics is not None
    empty = ClassFigures(images=0, precision=None, recall=None, f1=None, recall_interval=None)
    test = replace(run.metrics.test, per_class={**run.metrics.test.per_class, "wasps": empty})
    text = parsed(run_result(replace(run, metrics=replace(run.metrics, test=test)))).text_of(id="result")
    assert "wasps" not in text


def test_out_of_budget_says_so_with_the_command(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", ends="budget", kept="probe"))
    text = parsed(run_result(run)).text_of(id="result")
    assert "Not finished. Training was stopped by the budget" in text
    assert run.resume_command in text
    assert "the linear probe (probe)" in text


def test_without_figures_it_says_how_far_it_is(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", ends="signal"))
    text = parsed(run_result(run)).text_of(id="result")
    assert text.startswith("Not finished")
    assert "It was stopped, and everything is saved. Phases that ended: probe; 3 epochs trained." in text
    assert "The 40 test images have not been used yet." in text
    assert run.resume_command in text
    running = read_run(make_run(tmp_path / "killed", ends="killed"))
    text = parsed(run_result(running)).text_of(id="result")
    assert "It is running (last written to " in text
    assert f"If it was killed, resume it with:{running.resume_command}" in text
    killed = replace(running, state="interrupted", state_reason="last written to 2 h ago")
    text = parsed(run_result(killed)).text_of(id="result")
    assert "It was interrupted (last written to 2 h ago)." in text


def test_a_run_that_was_resumed_keeps_its_figures_and_says_that_it_goes_on(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", ends="budget"))
    resumed = replace(run, state="running", state_reason="last written to 3 s ago")
    text = parsed(run_result(resumed)).text_of(id="result")
    assert "stopped by the budget; the figures are of the best checkpoint so far. It has been resumed" in text
    assert "Resume it with" not in text


def test_titles(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    assert run_title(run) == "Classifier of ants and bees"
    assert run_kind(run).startswith("report of run run, started 20")
    many = replace(run, data=replace(run.data, classes=tuple(f"c{i}" for i in range(100))))
    assert run_title(many) == "Classifier of 100 classes"
    assert classifier_text(many).startswith("a classifier of 100 classes (c0, c1,")


def test_warnings_stand_at_the_top(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    assert run.metrics is not None
    warning = RunWarning("groups_unchanged", "stem did not change")
    assert "stem did not change." in run_result(replace(run, metrics=replace(run.metrics, warnings=(warning,))))
