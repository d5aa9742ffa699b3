"""Some features of rows, and heads on them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from head_rows import clouds, folds_of
from headstart.solvers import head_solver, rows
from headstart.solvers.columns import ColumnRows, widened
from headstart.solvers.head_solver import head_problem
from headstart.solvers.linear_head import LinearHead
from headstart.solvers.rows import MatrixRows, matrix_of_rows


def test_columns_of_rows_are_rows():
    matrix = np.arange(24, dtype=np.float32).reshape(6, 4)
    kept = np.array([True, False, False, True])
    narrow = ColumnRows(MatrixRows(matrix), kept)
    assert (narrow.rows, narrow.width) == (6, 2)
    assert np.array_equal(matrix_of_rows(narrow), matrix[:, [0, 3]])
    assert np.array_equal(matrix_of_rows(narrow.subset(np.array([4, 1]))), matrix[[4, 1]][:, [0, 3]])


@given(count=st.integers(0, 40), width=st.integers(1, 9), at_once=st.integers(1, 12), data=st.data())
def test_blocks_are_those_of_the_narrow_matrix(count: int, width: int, at_once: int, data: st.DataObject):
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=width, max_size=width)))
    matrix = np.arange(count * width, dtype=np.float32).reshape(count, width)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rows, "BLOCK_BYTES", 4 * width * at_once)
        found = list(ColumnRows(MatrixRows(matrix), kept).blocks())
        expected = list(MatrixRows(matrix[:, kept]).blocks())
    assert [start for start, _ in found] == [start for start, _ in expected]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(found, expected, strict=True))


def test_a_head_on_columns_of_many_rows_is_bit_for_bit_that_on_the_narrow_matrix(monkeypatch: pytest.MonkeyPatch):
    features, labels = clouds(150, width=24)
    kept = np.arange(24) < 7
    monkeypatch.setattr(head_solver, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(rows, "BLOCK_BYTES", 4 * 24 * 11)
    found = head_problem(ColumnRows(MatrixRows(features), kept), labels, 3)
    expected = head_problem(MatrixRows(features[:, kept]), labels, 3)
    assert found.choose(folds_of(150)).losses == expected.choose(folds_of(150)).losses
    assert np.array_equal(found.solve(0.1).weight_KF, expected.solve(0.1).weight_KF)


def test_a_narrow_head_predicts_the_same_when_it_is_widened():
    narrow = LinearHead(np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([0.1, 0.2]), 0.3)
    wide = widened(narrow, np.array([False, True, True]))
    x = np.random.default_rng(0).normal(size=(5, 3))
    assert np.allclose(wide.probabilities(x), narrow.probabilities(x[:, 1:]))
    assert wide.l2_penalty == 0.3
