"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart.apps.cli.text.figures import figures_text, finding_lines
from headstart.findings import Finding
from headstart.measures.figures import ClassFigures, EvaluationFigures
from headstart.prediction.evaluation import EvaluateResult, RepeatedRun, SeenCounts

CLASSES = {
    "a": ClassFigures(images=10, precision=0.9, recall=0.8, f1=0.85, recall_interval=(0.5, 0.9)),
    "b": ClassFigures(images=0, precision=None, recall=None, f1=None, recall_interval=None),
}


def text_of(*, findings: Sequence[Finding] = (), repeats: RepeatedRun | None = None, **given: Any) -> str:
    values = {"images": 10, "accuracy": 0.9, "accuracy_interval": (0.6, 0.98), "balanced_accuracy": 0.88}
    values |= {"log_loss": 0.3, "per_class": CLASSES, "confusion": ((8, 2), (0, 0))}
    figures, seen = EvaluationFigures(**values | given), SeenCounts(known=True)
    result = EvaluateResult(
        figures=figures, bundle=Path("b"), findings=tuple(findings), place="val", seen=seen, repeats=repeats
    )
    return figures_text(result, bundle="runs/a")


def test_figures_show_intervals_and_undefined_ones():
    text = text_of()
    assert "accuracy 0.900 (95 % interval 0.600..0.980) on 10 images" in text
    assert "0.500..0.900" in text
    assert text.splitlines()[5].split() == ["b", "0", "-", "-", "-", "-"]
    assert [line.split() for line in text.splitlines()[-4:-2]] == [["8", "2"], ["0", "0"]]
    assert text.splitlines()[-1] == "next: headstart predict runs/a IMAGES -o predictions.csv"


def test_it_says_what_an_interval_counts():
    text = text_of(counted="groups", groups=4, balanced_accuracy_interval=(0.5, 0.99))
    assert "on 10 images of 4 groups" in text
    assert "balanced accuracy 0.880 (95 % interval 0.500..0.990)" in text
    assert "on 10 images, 9 different files" in text_of(counted="files", groups=9)
    assert "10 images, the test set of runs/a" in text_of(repeats=RepeatedRun("runs/a", 0.9))


def test_the_accuracy_comes_first_then_what_may_mislead():
    finding = Finding("warning", "x", "7 of 10 images were in training", "they are out")
    lines = text_of(findings=[finding]).splitlines()
    assert lines[0].startswith("accuracy 0.900")
    assert lines[3:6] == ["warning: 7 of 10 images were in training", "    -> they are out", ""]
    assert finding_lines([]) == []


def test_names_do_not_stretch_the_table():
    row = CLASSES["a"]
    table = text_of(per_class={"y" * 200: row, "\x1b": row})
    assert max(map(len, table.splitlines())) < 100
