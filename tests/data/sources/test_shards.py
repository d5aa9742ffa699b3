"""Several tars by a pattern with braces."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.sources.dataset import WHOLE
from headstart.data.sources.reading import open_source
from headstart.errors import DataError
from image_folders import png, tar_of, tar_of_files


def shards_of(folder: Path, names: list[str]) -> None:
    """Two labelled images in each; their keys are the same in all."""
    for name in names:
        files = {}
        for key, label in (("000", b"u"), ("001", b"v")):
            files |= {f"{key}.png": png(f"{name}{key}"), f"{key}.cls": label}
        tar_of_files(folder / f"{name}.tar", files)


def test_shards_are_one_set_whose_names_are_those_of_tar_and_key(tmp_path: Path) -> None:
    shards_of(tmp_path, ["train-0000", "train-0001"])
    dataset = open_source(f"{tmp_path}/train-{{0000..0001}}.tar")
    assert [(record.id, record.label, record.split) for record in dataset.records] == [
        ("train-0000/000.png", "u", WHOLE),
        ("train-0000/001.png", "v", WHOLE),
        ("train-0001/000.png", "u", WHOLE),
        ("train-0001/001.png", "v", WHOLE),
    ]
    assert [record.read() for record in dataset.records] == [
        png(f"train-000{at}{key}") for at in "01" for key in ("000", "001")
    ]
    assert dataset.name == "train"


def test_shards_called_like_splits_are_splits(tmp_path: Path) -> None:
    shards_of(tmp_path, ["train-0", "train-1", "val-0", "val-1"])
    dataset = open_source(f"{tmp_path}/{{train,val}}-{{0..1}}.tar")
    assert {split: len(dataset.of(split)) for split in dataset.splits()} == {"train": 4, "val": 4}


def test_shards_may_hold_class_folders(tmp_path: Path) -> None:
    for at in range(2):
        tar_of(tmp_path / f"x-{at}.tar", ["ant/1.png", "bee/1.png"], prefix="set/")
    dataset = open_source(f"{tmp_path}/x-{{0..1}}.tar")
    assert [(record.id, record.label) for record in dataset.records] == [
        ("ant/x-0/1.png", "ant"),
        ("ant/x-1/1.png", "ant"),
        ("bee/x-0/1.png", "bee"),
        ("bee/x-1/1.png", "bee"),
    ]
    assert dataset.records[1].read() == png("ant/1.png")


def test_images_without_labels_are_found_too(tmp_path: Path) -> None:
    for at in range(2):
        tar_of(tmp_path / f"x-{at}.tar", ["1.png", "2.png"])
    source = f"{tmp_path}/x-{{0..1}}.tar"
    with pytest.raises(DataError, match="outside any class folder"):
        open_source(source)
    assert len({record.id for record in open_source(source, labels="optional").records}) == 4


def test_missing_shards_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    shards_of(tmp_path, ["x-0", "x-2"])
    with pytest.raises(DataError, match=r"2 of 4 shards of .* do not exist \(first: .*x-1.tar\)"):
        open_source(f"{tmp_path}/x-{{0..3}}.tar")
    (tmp_path / "x-1.tar").write_bytes(b"no tar")
    with pytest.raises(DataError, match=r"x-1.tar is no tar"):
        open_source(f"{tmp_path}/x-{{0..2}}.tar")


def test_a_name_that_climbs_out_stays_a_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    tar_of(tmp_path / "in" / "x-0.tar", ["../../ant/1.png", "ant/2.png", "bee/1.png"])
    try:
        records = open_source(f"{tmp_path}/in/x-{{0..0}}.tar").records
    except DataError:
        records = ()
    assert all(".." not in record.id for record in records)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "x-0.tar"], "nothing is written"
