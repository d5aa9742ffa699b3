"""A finished run as an object: figures, predictions, a page, and one short line as repr."""

from __future__ import annotations

from pathlib import Path

import headstart
from headstart.runs.folder import Run
from headstart.workflow.training.result import TrainResult
from run_values import final_figures, run_metrics


def test_the_figures_are_those_of_the_test_set():
    test = final_figures(0.9, 10, classes=("ant", "bee"), accuracy_interval=(0.6, 0.98))
    metrics = run_metrics(test=test, strategy="gradual", model="resnet18")
    result = TrainResult(Run(Path("runs/x")), metrics)
    assert (result.accuracy, result.interval, result.images) == (0.9, (0.6, 0.98), 10)
    assert (result.classes, result.strategy, result.model) == (("ant", "bee"), "gradual", "resnet18")
    assert result.bundle == Path("runs/x/bundle")
    assert result.to_dict() == metrics.to_dict()
    assert repr(result) == "TrainResult(accuracy 0.900 (0.600..0.980) on 10 images, runs/x)"


def test_a_result_predicts_and_reports(image_folder: Path, tmp_path: Path):
    options = {"strategy": "feature_extraction", "input_size": 32, "progress": "none"}
    result = headstart.train(image_folder, **options, out=tmp_path / "run")
    blue = image_folder / "blue" / "00.png"
    one = result.predict(blue)
    assert (one.label, result.predict_many([blue, image_folder / "green"])[0]) == ("blue", one)
    assert result.predictor is result.predictor, "the bundle is loaded once"
    assert headstart.load(result.run.folder).predict(blue) == headstart.load(result.bundle).predict(blue) == one
    page = result.report(tmp_path / "r.html")
    assert page.path.read_text().startswith("<!doctype html>")
    found = headstart.predict(
        result.run.folder, [blue, image_folder / "green"], out=tmp_path / "p.csv", progress="none"
    )
    assert (found[0], set(found.labels[1:]), len(found)) == (one, {"green"}, 9)
    assert (tmp_path / "p.csv").read_text().count("\n") == 10
    in_memory = headstart.predict(result.bundle, [blue.read_bytes(), blue], progress="none")
    assert [row.probabilities for row in in_memory] == [one.probabilities] * 2
    evaluated = headstart.evaluate(result.run.folder, progress="none")
    assert (evaluated.accuracy, evaluated.interval) == (result.accuracy, result.interval)
