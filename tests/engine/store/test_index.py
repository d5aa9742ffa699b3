"""Finding rows, and gathering them in any order from shards of any type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.engine.store.index import Index, Reader, as_ids
from headstart.engine.store.shards import OpenShard, Shard, Tensor
from store_rows import ids_of

TENSORS = (Tensor((4, 3)), Tensor((2,), "uint8"))


def values_of(numbers) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.asarray(numbers)
    first = numbers[:, None, None] + np.arange(12).reshape(4, 3) / 16
    return first.astype(np.float32), np.stack([numbers, numbers + 1], 1).astype(np.uint8)


def shard_of(folder: Path, numbers, stored: str = "float16", tensors=TENSORS, values=values_of) -> Shard:
    shard = OpenShard(folder, tensors, (stored, *(tensor.dtype for tensor in tensors[1:])))
    records = np.zeros(len(numbers), shard.record)
    for place, array in enumerate(values(numbers)):
        records[f"t{place}"] = array
    shard.append(ids_of(numbers), records)
    shard.seal()
    shard.publish()
    opened = Shard.open(shard.path, tensors)
    assert opened is not None
    return opened


def reader_of(shards: list[Shard], numbers, tensors=TENSORS) -> Reader:
    index = Index(shards)
    return Reader(index.shards, tensors, *index.locate(ids_of(numbers)), keeps=None)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Shard]:
    folder = tmp_path_factory.mktemp("shards")
    return [shard_of(folder, range(10)), shard_of(folder, [10, 3, 11, 12], "float32"), shard_of(folder, [40, 20, 30])]


STORED = [*range(13), 20, 30, 40]


@given(st.data())
def test_any_rows_in_any_order_are_what_was_stored(shards: list[Shard], data: st.DataObject):
    numbers = data.draw(st.lists(st.sampled_from(STORED), min_size=1, max_size=30))
    positions = data.draw(st.lists(st.integers(0, len(numbers) - 1), max_size=40))
    reader = reader_of(shards, numbers)
    chosen = np.array(numbers)[positions].astype(np.int64)
    for precision in ("declared", "stored"):
        for found, expected in zip(reader.take(positions, precision=precision), values_of(chosen), strict=True):
            assert np.array_equal(found, expected)


def test_absent_rows_have_no_place_and_copies_count_once(shards: list[Shard]):
    index = Index(shards)
    shard, row = index.locate(ids_of([99, 30, 98]))
    assert shard.tolist() == [-1, 2, -1]
    assert row.tolist() == [-1, 2, -1]
    assert index.rows == len(STORED)
    empty = Index([])
    assert empty.rows == 0
    assert empty.locate(ids_of([1, 2]))[0].tolist() == [-1, -1]


def test_half_precision_is_handed_on_only_where_all_rows_have_it(shards: list[Shard]):
    reader = reader_of(shards, STORED)
    assert reader.take([0])[0].dtype == np.float32
    assert reader.take([0, 15], precision="stored")[0].dtype == np.float16
    assert reader.take([0, 11], precision="stored")[0].dtype == np.float32  # 11 lies in a shard of single precision
    empty = reader.take([])
    assert [array.shape for array in empty] == [(0, 4, 3), (0, 2)]


def test_blocks_give_every_row_once_in_the_order_asked_for(shards: list[Shard]):
    numbers = [40, 0, 12, 0, 20, 5]
    reader = reader_of(shards, numbers)
    for order in ("asked", "stored"):
        blocks = list(reader.blocks(4, order=order))
        assert [len(positions) for positions, _ in blocks] == [4, 2]
        positions = np.concatenate([positions for positions, _ in blocks])
        assert sorted(positions) == list(range(6))
        rows = np.concatenate([arrays[0] for _, arrays in blocks])
        assert np.array_equal(rows, values_of(np.array(numbers)[positions])[0])
    assert np.array_equal(np.concatenate([p for p, _ in reader.blocks(4)]), np.arange(6))
    assert reader.stored_order.tolist() == [1, 3, 5, 2, 0, 4]


def test_large_rows_are_copied_by_themselves_and_come_out_the_same(tmp_path: Path):
    tensors = (Tensor((64, 80)),)

    def values(numbers):
        return (np.stack([np.random.default_rng(n).normal(0, 1, (64, 80)) for n in numbers]).astype(np.float16),)

    reader = reader_of([shard_of(tmp_path, range(8), tensors=tensors, values=values)], range(8), tensors)
    for order in (range(8), [3, 1, 7, 1], [5, 6, 7]):
        assert np.array_equal(reader.take(order)[0], values(order)[0].astype(np.float32))


def test_pooled_rows_are_a_matrix_and_others_are_not(tmp_path: Path, shards: list[Shard]):
    tensors = (Tensor((6,)),)

    def values(numbers):
        return (np.asarray(numbers)[:, None] + np.arange(6, dtype=np.float32) / 8,)

    reader = reader_of([shard_of(tmp_path, range(5), tensors=tensors, values=values)], [4, 0, 2], tensors)
    assert np.array_equal(reader.matrix(), values([4, 0, 2])[0])
    assert len(reader) == 3
    with pytest.raises(ValueError, match=r"\(4, 3\), \(2,\) are no matrix: use take\(\) or blocks\(\)"):
        reader_of(shards, [1]).matrix()


def test_ids_are_sixteen_bytes():
    ids = ids_of(range(300))
    assert as_ids(ids) is ids or np.array_equal(as_ids(ids), ids)
    assert np.array_equal(as_ids(list(ids)), ids)  # none ends with a zero, which numpy would cut off
    assert np.array_equal(as_ids([bytes(one) for one in ids.tolist()]), ids)
    assert len(as_ids([])) == 0
    with pytest.raises(ValueError, match="16 bytes"):
        as_ids([b"short"])
