"""Folders whose labels stand in tables."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from headstart.data.sources.dataset import WHOLE
from headstart.data.sources.reading import open_source
from headstart.errors import DataError
from image_folders import folder_of, png


def test_a_metadata_table_labels_the_images_beside_it(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", ["a.png", "sub/b.png", "c.png"])
    (root / "metadata.csv").write_text("file_name,label\na.png,cat\nsub/b.png,dog\n")
    dataset = open_source(str(root))
    assert [(record.id, record.label, record.split) for record in dataset.records] == [
        ("a.png", "cat", WHOLE),
        ("sub/b.png", "dog", WHOLE),
    ]
    assert dataset.records[1].read() == png("sub/b.png")
    assert (dataset.name, dataset.account.unlabelled) == ("pets", ("c.png",))


def test_every_split_folder_may_have_its_own_table(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", ["train/a.png", "train/b.png", "test/a.png"])
    (root / "train/metadata.jsonl").write_text(
        '{"file_name": "a.png", "label": "cat"}\n{"file_name": "b.png", "label": "dog"}\n'
    )
    (root / "test/metadata.jsonl").write_text('{"file_name": "a.png", "label": "dog"}\n')
    dataset = open_source(str(root))
    assert [(record.id, record.label, record.split) for record in dataset.records] == [
        ("test/a.png", "dog", "test"),
        ("train/a.png", "cat", "train"),
        ("train/b.png", "dog", "train"),
    ]
    assert dataset.records[0].read() == png("test/a.png")


def test_tables_called_like_splits_are_splits(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", ["images/a.png", "images/b.png", "c.png"])
    (root / "train.csv").write_text("image,label\nimages/a.png,cat\nc.png,dog\n")
    (root / "test.csv").write_text("image,label\nimages/b.png,dog\n")
    assert [(record.id, record.split) for record in open_source(str(root)).records] == [
        ("c.png", "train"),
        ("images/a.png", "train"),
        ("images/b.png", "test"),
    ]
    (root / "old.csv").write_text("image,label\nc.png,cat\n")
    with pytest.raises(DataError, match=r"several tables with labels \(old.csv, test.csv, train.csv\)"):
        open_source(str(root))


def test_a_folder_of_parquets_holds_the_images_itself(tmp_path: Path) -> None:
    for name, images in (("train-00000-of-00002", "ab"), ("train-00001-of-00002", "cd"), ("test-00000-of-00001", "ef")):
        table = pa.table({"image": [png(image) for image in images], "label": ["u", "v"]})
        (tmp_path / "data").mkdir(exist_ok=True)
        pa.parquet.write_table(table, tmp_path / "data" / f"{name}.parquet")
    dataset = open_source(str(tmp_path))
    assert [(record.split, record.label) for record in dataset.records] == [
        *[("test", label) for label in "uv"],
        *[("train", label) for label in "uvuv"],
    ]
    assert [record.read() for record in dataset.records] == [png(image) for image in "efabcd"]
    assert len({record.id for record in dataset.records}) == 6
