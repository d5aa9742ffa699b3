"""What numpy and pyarrow read back is what was stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from filled_rows import filled_of
from headstart.delivery import features as feature_files
from headstart.delivery.features import is_feature_file, write_features
from headstart.errors import DataError


@pytest.mark.parametrize("views", [0, 2])
def test_npz(views: int, tmp_path: Path):
    filled, features, varied = filled_of(tmp_path / "store", views=views)
    write_features(filled, tmp_path / "new" / "x.npz")
    with np.load(tmp_path / "new" / "x.npz") as found:
        assert set(found) == {"features", "ids", "labels", "splits"} | ({"views"} if views else set())
        assert np.array_equal(found["features"], features)
        assert found["ids"].tolist() == [record.id for record in filled.records]
        assert found["labels"].tolist() == [record.label for record in filled.records]
        if views:
            assert np.array_equal(found["views"], varied)


def test_parquet_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import pyarrow.parquet as parquet

    monkeypatch.setattr(feature_files, "_BLOCK_BYTES", 4 * 6 * 3)
    filled, features, varied = filled_of(tmp_path / "store", views=2)
    write_features(filled, tmp_path / "x.parquet")
    table = parquet.read_table(tmp_path / "x.parquet")
    count = len(filled.records)
    assert table.column_names == ["image", "label", "split", "view", "features"]
    assert table.num_rows == 3 * count
    assert table["image"].to_pylist() == [record.id for record in filled.records] * 3
    assert table["view"].to_pylist() == [0] * count + [1] * count + [2] * count
    values = np.stack(table["features"].to_numpy())
    assert np.array_equal(values[:count], features)
    assert np.array_equal(values[count:].reshape(varied.shape), varied)
    assert table.schema.field("features").type.list_size == 6


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path):
    filled, _, _ = filled_of(tmp_path / "store", views=0)
    with pytest.raises(DataError, match=r"expected one of \.npz, \.parquet"):
        write_features(filled, tmp_path / "x.csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_features(filled, tmp_path / "file" / "x.npz")
    (tmp_path / "x.npz").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        write_features(filled, tmp_path / "x.npz")
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".aside")] == []


def test_a_name_of_another_kind_of_file_is_no_folder(tmp_path: Path):
    for name in ("features.csv", "f.NPY", "f.h5"):
        with pytest.raises(DataError, match=r"not written as .*\.npz or \.parquet, or a folder; write .*\.parquet"):
            is_feature_file(tmp_path / name)
    assert is_feature_file(tmp_path / "f.npz")
    assert is_feature_file(tmp_path / "f.PARQUET")
    assert not is_feature_file(tmp_path / "store")
    assert not is_feature_file(tmp_path / "store.v2")
    (tmp_path / "old.csv").mkdir()
    assert not is_feature_file(tmp_path / "old.csv"), "a store that is there goes on being one"
