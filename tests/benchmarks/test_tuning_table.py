"""The tables of recipes: gains over the probe, and what each way to decide would have given."""

from __future__ import annotations

from typing import Any

import numpy as np
from tuning_table import Answers, section

N = 60


def point(wrong: int, loss: float) -> dict[str, Any]:
    """Answers for N images of class 0, the first `wrong` of them misclassified."""
    noise = np.random.default_rng(wrong).normal(0, 0.05, N)
    return {"predicted": [1] * wrong + [0] * (N - wrong), "losses": (loss + noise).tolist()}


def row(variant: str, points: dict[str, Any], **more: Any) -> dict[str, Any]:
    key = {"set": "rsscn7", "seed": 1, "size": 128, "variant": variant, "cut_point": "stage6"}
    return {**key, "truth": [0] * N, "seconds": 10.0, "points": points, **more}


def rows(*, out_of_fold_wrong: int) -> list[dict[str, Any]]:
    """A probe of 12 errors, a suffix of 3, and on the training images a suffix that has so many."""
    validated = {"fifth probe": point(12, 0.8), "fifth end": point(12, 0.8)}
    validated |= {"folds probe": point(12, 0.8), "folds end": point(out_of_fold_wrong, 0.4)}
    decided = row("decision", {"fifth end": point(4, 0.4), "soup end": point(6, 0.4)})
    decided |= {"validated": validated, "labels": [0] * N, "fold": [0] * N}
    return [row("probe", {"end": point(12, 0.8)}), row("base", {"end": point(3, 0.4)}), decided]


def line_of(text: str, title: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {title} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_recipe_is_compared_with_the_probe_on_the_same_images():
    cells = line_of(section(rows(out_of_fold_wrong=6), 128), "base")
    assert cells[1:3] == ["end", "1"]
    assert cells[3].startswith("+15.0 (")
    assert cells[4].startswith("-0.4")


def test_a_suffix_with_more_errors_out_of_fold_is_accepted_by_its_log_loss_alone():
    text = section(rows(out_of_fold_wrong=13), 128)
    strict = line_of(text, "out of fold, errors and log loss; trained again on all, end")
    loose = line_of(text, "out of fold, log loss; trained again on all, end")
    assert strict[1:3] == ["0 of 1", "0 of 1"]
    assert loose[1:3] == ["1 of 1", "1 of 1"]
    assert strict[3].startswith("+0.0 (")
    assert loose[3].startswith("+15.0 (")
    assert line_of(text, "out of fold, log loss; mean of the folds' weights, end")[3].startswith("+10.0 (")


def test_equal_answers_are_never_accepted():
    probe = Answers.of(point(5, 0.5), [0] * N)
    assert not probe.accepted_over(probe, "log loss")
    assert not probe.accepted_over(probe, "errors and log loss")


def test_rows_of_another_size_have_a_table_of_their_own():
    other = [{**one, "size": 224} for one in rows(out_of_fold_wrong=6)]
    text = section([*rows(out_of_fold_wrong=6), *other], 224)
    assert "at 224 px" in text
    assert line_of(text, "base")[2] == "1"
    assert "Recipes at 128 px:" in text
