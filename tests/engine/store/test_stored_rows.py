"""Rows of the store are vectors, and a subset reads the same files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from head_rows import clouds, stored
from headstart.engine.store.index import Reader
from headstart.engine.store.shards import Tensor
from headstart.engine.store.stored_rows import StoredRows
from headstart.solvers.rows import matrix_of_rows


def test_spatial_rows_are_refused():
    reader = Reader([], [Tensor((3, 2))], np.empty(0, np.int32), np.empty(0, np.int32), keeps=None)
    with pytest.raises(ValueError, match=r"rows of shape \(3, 2\) are not one vector each"):
        StoredRows(reader)


def test_a_subset_copies_no_rows_and_keeps_the_order_asked_for(tmp_path: Path):
    features, _ = clouds(30)
    half = features.astype(np.float16).astype(np.float32)
    order = np.array([29, 0, 7, 7])
    assert np.array_equal(matrix_of_rows(stored(features, tmp_path).subset(order)), half[order])
