"""Results of an evaluation: what their attributes say, their JSON, and one short line as repr."""

from __future__ import annotations

import json
from pathlib import Path

from headstart.findings import Finding
from headstart.measures.figures import ClassFigures, EvaluationFigures
from headstart.prediction.evaluation import EvaluateResult, RepeatedRun, SeenCounts

FIGURES = EvaluationFigures(
    images=10,
    accuracy=0.9,
    accuracy_interval=(0.6, 0.98),
    balanced_accuracy=0.88,
    log_loss=0.3,
    per_class={"a": ClassFigures(images=10, precision=0.9, recall=0.8, f1=0.85, recall_interval=(0.5, 0.9))},
    confusion=((9, 1), (0, 0)),
)


def result() -> EvaluateResult:
    return EvaluateResult(
        figures=FIGURES,
        bundle=Path("runs/x/bundle"),
        findings=(Finding("warning", "twins", "two", "remove one", (("a", "b"),)),),
        place="val",
        seen=SeenCounts(known=True, train=3, validation=1, left_out=4),
        repeats=RepeatedRun("runs/x", 0.9),
        unreadable={"c.jpg": "cut"},
    )


def test_figures_are_attributes():
    found = result()
    assert (found.accuracy, found.interval, found.balanced_accuracy, found.images) == (0.9, (0.6, 0.98), 0.88, 10)
    assert (found.per_class["a"].recall, found.confusion[0], found.findings[0].what) == (0.8, (9, 1), "twins")
    assert repr(found) == "EvaluateResult(accuracy 0.900 (0.600..0.980) on 10 images, runs/x/bundle)"


def test_the_json_has_figures_and_what_was_evaluated_in_one_mapping():
    made = result().to_dict()
    assert json.loads(json.dumps(made)) == made, "plain values only"
    assert made["accuracy_interval"] == [0.6, 0.98]
    assert made["findings"][0]["images"] == [["a", "b"]]
    assert made["seen"] == {"known": True, "train": 3, "validation": 1, "left_out": 4, "policy": "leave_out"}
    assert (made["evaluated_on"], made["repeats"]) == ("val", {"run": "runs/x", "accuracy": 0.9})
    assert made["bundle"] == "runs/x/bundle"
