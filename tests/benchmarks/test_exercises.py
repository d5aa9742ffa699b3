"""The exercises: what they ask, and what becomes of an answer."""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import exercise_tables
import pytest
from exercise_curves import Curve, curves_svg
from exercise_tables import section, write_curves
from exercises import EXERCISES, command_of

from headstart.apps.cli.compare import WhatOption
from headstart.comparison.record import ComparisonRecord
from headstart.comparison.rounds import TrialSchedule
from headstart.comparison.summary import comparison_result
from headstart.runs.training_events import EpochDone
from trial_folders import comparison_of, write_trial


def options(**values: object) -> argparse.Namespace:
    return argparse.Namespace(**{"quick": False, "seeds": None, "first_seed": 0, **values})


def test_each_exercise_is_one_command(tmp_path: Path):
    places = {"data": Path("cifar10.tar"), "trunk": Path("trunk.safetensors"), "out": tmp_path}
    words = command_of(EXERCISES["models"], **places, options=options())
    assert words[:4] == ["headstart", "compare", "models", "cifar10.tar"]
    assert "mobilenet_v2:file:trunk.safetensors" in words[5]
    assert words[words.index("--limit-train") + 1] == "100/class"
    assert {exercise.what for exercise in EXERCISES.values()} < set(WhatOption)
    again = command_of(EXERCISES["learning_rates"], **places, options=options(seeds=1, first_seed=7))
    assert again[again.index("--seed") + 1] == "7"
    assert "--quick" in command_of(EXERCISES["strategies"], **places, options=options(quick=True))
    (tmp_path / "comparison.yaml").write_text("")
    assert command_of(EXERCISES["learning_rates"], **places, options=options())[:3] == [
        "headstart",
        "compare",
        "--resume",
    ]


def answer(folder: Path, **values: object) -> ComparisonRecord:
    comparison, trials = comparison_of(folder, **values)
    for trial in trials:
        correct = 45 - 15 * (trial.number % 2) + trial.seed
        answers = [True] * correct + [False] * (50 - correct)
        run = write_trial(comparison, trial, test=answers, validation=answers, epochs=[answers, answers])
        metrics = run.metrics()
        assert metrics is not None
        losses = (None, 1.0, 0.5)
        rows = enumerate(losses)
        epochs = tuple(EpochDone("tune", n, loss, 1.0, 0.5 + 0.1 * n, {}, True, 1.0) for n, loss in rows)
        run.write_metrics(replace(metrics, epochs=epochs))
    return comparison_result(comparison, TrialSchedule(tuple(trials), {}, 0))


def test_a_section_holds_the_table_the_verdicts_and_the_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exercise_tables, "CURVES", tmp_path / "curves")
    found = answer(tmp_path / "c")
    text = section("strategies", found)
    assert not (tmp_path / "curves").exists(), "a quick look writes nothing"
    write_curves("strategies", found)
    assert "| one | 2 | " in text
    assert "0.700" in text, "the last epoch's validation accuracy"
    assert "On test images:" in text
    root = ET.fromstring((tmp_path / "curves" / "strategies.svg").read_text())
    assert root.attrib["role"] == "img"


def test_rates_stand_beside_the_textbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exercise_tables, "CURVES", tmp_path / "curves")
    vary = {"rate": {name: {"phases[tune].head_lr": float(name)} for name in ("1e-2", "1e-4")}}
    text = section("learning_rates", answer(tmp_path / "c", what="learning_rates", vary=vary))
    assert "| learning rate | by rule |" in text
    assert "| 0.0001 | " in text


def test_curves_say_in_words_what_they_show():
    runs = [
        [
            {"validation_accuracy": a, "train_loss": b, "validation_loss": a}
            for a, b in zip((0.5, 0.7, end), (None, 1.0, 0.4), strict=True)
        ]
        for end in (0.8, 0.9)
    ]
    root = ET.fromstring(curves_svg([Curve("a<b", runs)]))
    said = [child.text for child in root if child.tag.endswith("desc")]
    assert said == ["a<b: accuracy 0.500 at first, 0.850 at last"]
    names = {child.tag.partition("}")[2] for child in root}
    assert {"polygon", "polyline", "circle"} <= names
