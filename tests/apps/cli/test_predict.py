"""`headstart predict`, and the way from training to a table of predictions."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import FAST, Call, refused


def test_train_evaluate_predict(run: Call, image_folder: Path, tmp_path: Path):
    code, out, err = run("train", image_folder, *FAST, "--out", tmp_path / "run", "--json")
    assert code == 0
    metrics = json.loads(out)
    assert {"run", "bundle", "strategy", "model", "val", "seconds", "phases", "alarms"} <= set(metrics)
    assert {"accuracy", "accuracy_interval", "images", "reported_on"} <= set(metrics["val"])
    assert "select acc" in err

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


def test_evaluate_and_predict_without_a_bundle(run: Call, image_folder: Path, tmp_path: Path):
    refused(run("evaluate", tmp_path, image_folder), "is no bundle")
    refused(run("predict", tmp_path, image_folder / "blue" / "00.png"), "is no bundle")
