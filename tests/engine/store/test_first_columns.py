"""The first columns of cached rows are rows of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.engine.store.first_columns import FirstColumns
from headstart.engine.store.shards import Tensor
from headstart.engine.store.store import ActivationStore, SpaceKey, row_ids
from headstart.networks.cards.finding import find_model


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_first_columns_are_read_as_rows_of_that_width(tmp_path: Path, precision: str):
    spec = find_model("tf_efficientnet_lite0").card.input
    key = SpaceKey("net", "w", "pooled at every depth", spec, "1", "torch", "2", precision, "evaluation", "timm 1")
    rows = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    ids = row_ids([bytes([number] * 16) for number in range(7)], "evaluation")
    space = ActivationStore(tmp_path).space(key, (Tensor((5,)),))
    with space.writer() as writer:
        writer.add(ids, [rows])
    whole = space.reader(ids)
    narrow = FirstColumns(whole, 3)
    assert len(narrow) == 7
    assert narrow.tensors == (Tensor((3,)),)
    assert np.array_equal(narrow.stored_order, whole.stored_order)
    (found,) = narrow.take([4, 0, 4])
    assert found.flags.c_contiguous
    assert found.flags.owndata, "a view would keep the other columns in memory"
    assert np.array_equal(found, whole.take([4, 0, 4])[0][:, :3])
    assert np.array_equal(narrow.matrix(), whole.matrix()[:, :3])
    blocks = list(narrow.blocks(3))
    assert [len(positions) for positions, _ in blocks] == [3, 3, 1]
    assert np.array_equal(np.concatenate([block for _, (block,) in blocks]), narrow.matrix())
    stored = narrow.take([0], precision="stored")[0]
    assert stored.dtype == precision
