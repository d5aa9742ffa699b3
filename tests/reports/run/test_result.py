"""The top of a run's report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.html import wording
from headstart.reports.run.result import run_answer, run_kind, run_title, what_it_is
from headstart.runs.record import read_run
from page_text import parsed
from report_folders import make_run


def test_the_answer_in_words(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    assert run.metrics is not None
    val = run.metrics["test"]
    text = parsed(run_answer(run)).text_of(id="result")
    for words in (
        f"{wording.percent(val['accuracy'])} correct on 40 images",
        wording.interval_text(val["accuracy_interval"]),
        "took no part in training or choosing",
        "Choices were made on: held-out 20% of train",
        "Kept: epoch 2 of phase tune. Beats the linear probe beyond noise.",
        "Always naming the largest class would give 50.0\u00a0%",
        "1 image could not be read",
        "2 files are the same",
        "because only 40 images report",
        "Probe then tune",
    ):
        assert words in text, words
    assert "Not finished" not in text


def test_what_the_figures_give_away_stands_before_them(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    assert run.metrics is not None
    finding = {
        "level": "warning",
        "what": "overconfidence",
        "evidence": "mean confidence 0.9",
        "remedy": "set no limit",
    }
    alarm = {"kind": "overconfidence", "text": "mean confidence 0.9; set no limit"}
    told = replace(run, metrics={**run.metrics, "findings": [finding], "warnings": [alarm]})
    text = parsed(run_answer(told)).text_of(id="result")
    assert text.startswith("Before you read the figures")
    assert text.count("ean confidence 0.9") == 1, "the alarm says the same"
    assert "Set no limit." in text


def test_groups_are_what_the_interval_counts(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    assert run.metrics is not None
    val = {**run.metrics["test"], "counted": "groups", "groups": 12}
    text = parsed(run_answer(replace(run, metrics={**run.metrics, "test": val}))).text_of(id="result")
    assert "correct on 40 images of 12 groups" in text
    assert "The interval counts groups" in text


def test_a_class_without_test_images_is_not_the_weakest(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    assert run.metrics is not None
    empty = {"images": 0, "precision": None, "recall": None, "f1": None, "recall_interval": None}
    val = {**run.metrics["test"], "per_class": {**run.metrics["test"]["per_class"], "wasps": empty}}
    text = parsed(run_answer(replace(run, metrics={**run.metrics, "test": val}))).text_of(id="result")
    assert "wasps" not in text


def test_out_of_budget_says_so_with_the_command(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", ends="budget", kept="probe"))
    text = parsed(run_answer(run)).text_of(id="result")
    assert "Not finished. Training was stopped by the budget" in text
    assert run.resume_command in text
    assert "the linear probe (probe)" in text


def test_without_an_answer_it_says_how_far_it_is(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", ends="signal"))
    text = parsed(run_answer(run)).text_of(id="result")
    assert text.startswith("Not finished")
    assert "It was stopped; everything is saved. So far: probe done, 3 epochs trained." in text
    assert "the 40 images that report have not been looked at" in text
    assert run.resume_command in text
    killed = read_run(make_run(tmp_path / "killed", ends="killed"))
    assert "It is under way, or it was killed." in parsed(run_answer(killed)).text_of(id="result")


def test_titles(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    assert run_title(run) == "Telling ants and bees apart"
    assert run_kind(run).startswith("report of run run, begun 20")
    many = replace(run, data={**run.data, "classes": [f"c{i}" for i in range(100)]})
    assert run_title(many) == "Telling 100 classes apart"
    assert what_it_is(many).startswith("a classifier of 100 classes (c0, c1,")


def test_alarms_stand_at_the_top(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    alarmed = replace(run, metrics={**(run.metrics or {}), "warnings": [{"text": "stem did not change"}]})
    assert "stem did not change." in run_answer(alarmed)
