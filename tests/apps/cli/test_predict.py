"""`headstart predict`, and the way from training to a table of predictions."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pandas
import pytest

from command_line import FAST, Call, refused
from headstart.apps.cli.predict import predictions_text
from headstart.prediction.predictor import Prediction


def test_train_evaluate_predict(run: Call, image_folder: Path, tmp_path: Path):
    code, out, err = run("train", image_folder, *FAST, "--out", tmp_path / "run", "--json")
    assert code == 0
    metrics = json.loads(out)
    assert {"run", "bundle", "strategy", "model", "test", "seconds", "phases", "warnings"} <= set(metrics)
    assert {"accuracy", "accuracy_interval", "images", "source"} <= set(metrics["test"])
    assert "val loss" in err

    code, out, _ = run("evaluate", metrics["bundle"], image_folder, "--json")
    answer = json.loads(out)
    assert code == 0
    keys = {"images", "accuracy", "accuracy_interval", "balanced_accuracy", "ece", "per_class", "confusion"}
    assert keys <= set(answer)

    code, out, _ = run("predict", metrics["bundle"], image_folder / "blue", "--json")
    answers = json.loads(out)
    assert code == 0
    assert len(answers) == 8
    assert set(answers[0]) == {"file", "label", "probability", "probabilities", "set", "unknown", "error"}

    code, out, _ = run("predict", metrics["bundle"], image_folder / "blue" / "00.png")
    assert out.strip().endswith(f"blue {answers[0]['probability']:.3f}")

    code, out, _ = run("predict", metrics["bundle"], image_folder / "blue", "-o", tmp_path / "table.csv")
    assert (code, out.strip()) == (0, f"8 predictions in {tmp_path / 'table.csv'}")
    assert (tmp_path / "table.csv").read_text().count("\n") == 9
    code, _, err = run("predict", metrics["bundle"], image_folder / "blue", "-o", tmp_path / "table.txt")
    assert code == 1
    assert "table.txt is no table by its suffix; expected one of .csv, .parquet" in err


def test_a_run_predicts_what_a_pattern_a_table_or_standard_input_names(
    run: Call, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    code, out, _ = run("train", image_folder, *FAST, "--strategy", "feature_extraction", "--json")
    folder = json.loads(out)["run"]
    first, second = image_folder / "blue" / "00.png", image_folder / "green" / "01.png"
    code, out, _ = run("predict", folder, image_folder / "*" / "0[01].png", "--top", 2, "--json")
    rows = json.loads(out)
    assert (code, [row["label"] for row in rows]) == (0, ["blue", "blue", "green", "green"])
    assert [best["label"] for best in rows[0]["top"]] == ["blue", "green"]

    (tmp_path / "new.csv").write_text(f"image\n{first}\n{second}\n{tmp_path / 'gone.png'}\n")
    code, out, err = run("predict", folder, "new.csv", "--top", 2, "-o", "p.parquet")
    assert (code, out.strip()) == (0, "2 predictions in p.parquet; 1 file left out")
    assert "gone.png: does not exist, though new.csv names it" in err
    assert list(pandas.read_parquet("p.parquet")) == ["file", "label", "probability", "label_2", "probability_2"]
    assert run("predict", folder, "new.csv", "--strict")[0] == 1

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{first}\n\n{second}\n".encode())))
    code, out, _ = run("predict", folder, "-")
    assert [line.split(": ")[1].split()[0] for line in out.splitlines()] == ["blue", "green"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    code, out, err = run("predict", folder, "-")
    assert (code, out) == (1, "")
    assert (
        err.strip() == "headstart: standard input holds no path; expected paths of images, one a line, where - is given"
    )


def test_evaluate_and_predict_without_a_bundle(run: Call, image_folder: Path, tmp_path: Path):
    refused(run("evaluate", tmp_path, image_folder), "is no bundle")
    refused(run("predict", tmp_path, image_folder / "blue" / "00.png"), "is no bundle")


def test_predictions_are_one_line_each_and_names_do_not_steer_the_terminal():
    ant = Prediction("a.jpg", "ant", 0.98765, {"bee": 0.01, "ant": 0.98765, "wasp": 0.00235})
    assert predictions_text([ant]) == "a.jpg: ant 0.988"
    assert predictions_text([ant], top=2) == "a.jpg: ant 0.988, bee 0.010"
    odd = Prediction("a\nb\udce9.png", "\u202e", 1.0, {"\u202e": 1.0})
    assert predictions_text([odd]) == "a\\nb\\udce9.png: \\u202e 1.000"
