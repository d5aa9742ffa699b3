"""Inputs of the estimator that need no training; what `fit` does with them is tested with the estimator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.data.sources.image_bytes import InputError
from headstart.data.sources.tables.rows import read_table
from headstart.workflow.estimator.inputs import images_of, weights_of, write_table

PIXELS = np.zeros((2, 9, 9, 3), np.uint8)


def test_images_of_any_kind_stand_one_by_one():
    assert [type(image) for image in images_of(["a.png", Path("b.png"), PIXELS[0]])] == [str, str, np.ndarray]
    assert len(images_of(PIXELS)) == len(images_of(PIXELS[..., 0])) == len(images_of(tuple(PIXELS))) == 2
    with pytest.raises(InputError, match=r"X\[1\] is int 3; expected a 1-D sequence of paths .* or of uint8 arrays"):
        images_of([PIXELS[0], 3])
    with pytest.raises(InputError, match=r"X is numpy.ndarray with shape \(2, 9\)"):
        images_of(PIXELS[:, :, 0, 0])


def test_images_in_memory_lie_beside_the_table_under_names_that_never_change(tmp_path: Path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        table = tmp_path / place / "fit-1.csv"
        write_table(table, list(PIXELS), ["x", "y"], ["p", None], np.array([0.5, 2.0]))
        rows = read_table(table, {}).rows
        assert [row.image for row in rows] == ["fit-1-images/000000.tiff", "fit-1-images/000001.tiff"]
        assert [(row.label, row.group, row.sample_weight) for row in rows] == [("x", "p", 0.5), ("y", None, 2.0)]


def test_no_weights_are_none():
    assert weights_of(None) is None
    assert weights_of([1, 2]).tolist() == [1.0, 2.0]
