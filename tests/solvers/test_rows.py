"""Rows come in the same order and blocks from memory as from the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from head_rows import clouds, stored
from headstart.solvers import rows as module
from headstart.solvers.rows import ChainedRows, MatrixRows, matrix_of_rows


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 24 * 40)


def test_both_kinds_give_all_rows_in_order(tmp_path: Path):
    features, _ = clouds(150)
    half = features.astype(np.float16).astype(np.float32)
    for source in (MatrixRows(half), stored(features, tmp_path)):
        assert (source.rows, source.width) == (150, 24)
        starts, blocks = zip(*source.blocks(), strict=True)
        assert starts == (0, 40, 80, 120)
        assert all(block.dtype == np.float32 for block in blocks)
        assert np.array_equal(np.concatenate(blocks), half)
        assert np.array_equal(matrix_of_rows(source), half)


def test_a_subset_of_a_subset_is_one_of_the_rows(tmp_path: Path):
    features, _ = clouds(60)
    half = features.astype(np.float16).astype(np.float32)
    for source in (MatrixRows(half), stored(features, tmp_path)):
        some = source.subset(np.arange(50, 0, -2)).subset(np.array([0, 3]))
        assert np.array_equal(matrix_of_rows(some), half[[50, 44]])


def test_a_block_has_a_row_however_wide_it_is():
    wide = MatrixRows(np.ones((3, 5000), np.float64))
    assert [block.shape for _, block in wide.blocks()] == [(1, 5000)] * 3


def test_no_rows_and_no_features_are_no_blocks_and_empty_ones():
    assert list(MatrixRows(np.empty((0, 4))).blocks()) == []
    assert matrix_of_rows(MatrixRows(np.empty((3, 0)))).shape == (3, 0)


def test_chained_rows_are_those_of_each_source_in_turn(tmp_path: Path):
    features, _ = clouds(150)
    half = features.astype(np.float16).astype(np.float32)
    chain = ChainedRows([MatrixRows(half[:50]), stored(features[50:], tmp_path)])
    assert (chain.rows, chain.width) == (150, 24)
    starts, blocks = zip(*chain.blocks(), strict=True)
    assert starts == (0, 40, 50, 90, 130)
    assert np.array_equal(np.concatenate(blocks), half)
    assert np.array_equal(matrix_of_rows(chain), half)
    order = np.array([149, 3, 50, 49, 51, 0])
    assert np.array_equal(matrix_of_rows(chain.subset(order)), half[order])
    with pytest.raises(ValueError, match=r"\[24, 3\] do not stand below each other"):
        ChainedRows([MatrixRows(half), MatrixRows(half[:, :3])])
