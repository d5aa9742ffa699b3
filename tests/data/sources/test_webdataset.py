"""Tars with the labels next to the images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart.data.sources.dataset import WHOLE
from headstart.data.sources.reading import open_source
from headstart.errors import DataError
from image_folders import png, tar_of_files


def test_labels_lie_next_to_the_images(tmp_path: Path) -> None:
    files = {
        "0001.png": png("1"),
        "0001.cls": b"3\n",
        "0002.png": png("2"),
        "0002.json": json.dumps({"caption": "x", "label": "bee", "group": "hill"}).encode(),
        "0003.png": png("3"),
        "0003.txt": "M\u00fccke".encode(),
        "0004.png": png("4"),
        "0004.cls": b"1",
        "0004.json": b'{"label": 9}',
        "0005.png": png("5"),
    }
    dataset = open_source(str(tar_of_files(tmp_path / "set.tar", files)))
    assert [(record.id, record.label, record.group, record.split) for record in dataset.records] == [
        ("0001.png", "3", None, WHOLE),
        ("0002.png", "bee", "hill", WHOLE),
        ("0003.png", "M\u00fccke", None, WHOLE),
        ("0004.png", "1", None, WHOLE),
    ]
    assert [record.read() for record in dataset.records] == [png(name) for name in "1234"]
    assert (dataset.account.unlabelled, dataset.ignored) == (("0005.png",), {})


@pytest.mark.parametrize("folder", ["", "set/"])
def test_json_alone_labels_images_that_lie_in_no_class_folder(folder: str, tmp_path: Path) -> None:
    files = {}
    for at, value in enumerate(({"cls": 2}, {"category": True}, 7, "ant", {"target": 4.0})):
        files |= {f"{folder}{at}.png": png(str(at)), f"{folder}{at}.json": json.dumps(value).encode()}
    dataset = open_source(str(tar_of_files(tmp_path / "set.tar", files)))
    assert [record.label for record in dataset.records] == ["2", "True", "7", "ant", "4"]


def test_class_folders_with_notes_next_to_the_images_stay_class_folders(tmp_path: Path) -> None:
    files = {f"{name}/1.{suffix}": png(name) for name in ("ant", "bee") for suffix in ("png", "json")}
    assert open_source(str(tar_of_files(tmp_path / "set.tar", files))).counts() == {"ant": 1, "bee": 1}


def test_a_tar_whose_labels_are_all_missing_holds_images_without_labels(tmp_path: Path) -> None:
    files = {"1.png": png("1"), "1.json": b'{"caption": "x"}', "2.png": png("2"), "2.json": b"{}"}
    source = str(tar_of_files(tmp_path / "set.tar", files))
    with pytest.raises(DataError, match=r"none of 2 images of .* has a label"):
        open_source(source)
    assert [record.label for record in open_source(source, labels="optional").records] == ["", ""]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("1.cls", b"a\nb", "holds no label"),
        ("1.cls", b"\xff\xfe", "holds no label"),
        ("1.cls", b"x" * 1000, "1000 letters"),
        ("1.json", b"{broken", "holds no label"),
        ("1.json", b'{"label": ["a", "b"]}', "several labels are refused"),
        ("1.right.png", png("r"), "several images called 1"),
    ],
)
def test_what_is_no_label_is_refused_by_name(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    files = {"1.png": png("1"), "2.png": png("2"), "2.cls": b"0", name: content}
    with pytest.raises(DataError) as caught:
        open_source(str(tar_of_files(tmp_path / "set.tar", files)))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
