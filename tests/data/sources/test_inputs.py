"""Paths to predict: every one gives images or a reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headstart.data.sources.inputs import find_inputs, image_files
from headstart.errors import DataError
from image_folders import folder_of, png


def test_files_and_folders_at_any_depth(tmp_path: Path) -> None:
    folder_of(tmp_path / "many", ["b.png", "deep/er/a.JPG"])
    single = tmp_path / "odd_suffix.bin"
    single.write_bytes(png("single"))
    records = image_files([str(single), str(tmp_path / "many")])
    paths = [single, tmp_path / "many" / "b.png", tmp_path / "many" / "deep" / "er" / "a.JPG"]
    assert [record.id for record in records] == [str(path) for path in paths]
    assert [record.read() for record in records] == [path.read_bytes() for path in paths]


def test_images_are_known_by_their_first_bytes_and_all_others_named(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "mixed", ["one.jpg", "two.jfif", "four", "._one.jpg", ".git/x.png", ".h.png"])
    (root / "notes.txt").write_text("x")
    (root / "gone.png").symlink_to("nowhere")
    (root / "more").symlink_to(folder_of(tmp_path / "store", ["5.png"]))
    found = find_inputs([str(root)])
    assert [Path(record.id).name for record in found.records] == ["four", "5.png", "one.jpg", "two.jfif"]
    assert {Path(name).name: reason for name, reason in found.left_out.items()} == {
        ".h.png": "hidden: a name that begins with a dot",
        "gone.png": "a link that leads nowhere (nowhere)",
        "notes.txt": "no image (.txt)",
    }
    with pytest.warns(UserWarning, match=r"left out 3 files \(first: .*\.h\.png: hidden"):
        assert len(image_files([str(root)])) == 4


def test_one_missing_path_does_not_stop_the_others(tmp_path: Path) -> None:
    folder_of(tmp_path, ["a.png", "empty/"])
    (tmp_path / "link.png").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    wanted = [str(tmp_path / name) for name in ("gone.png", "a.png", "empty", "link.png", "pipe", "x" * 300)]
    found = find_inputs(wanted)
    assert [record.id for record in found.records] == [wanted[1]]
    assert list(found.left_out) == [name for name in wanted if not name.endswith("a.png")]
    for name, words in zip(
        found.left_out, ("does not exist", "is empty", "leads nowhere", "neither a file", "too long"), strict=True
    ):
        assert words in found.left_out[name]
    assert found.left_out[wanted[0]] == "does not exist"


def test_where_nothing_is_an_image_the_first_reason_is_the_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.png does not exist; expected an image file or a folder"):
        find_inputs([str(tmp_path / "nowhere.png"), str(tmp_path)])
    with pytest.raises(DataError, match=r"nowhere\.png does not exist; expected an image file or a folder"):
        image_files([str(tmp_path / "nowhere.png")])
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"holds no images, only 1 \.txt"):
        image_files([str(tmp_path)])


def test_names_that_are_no_unicode_are_images_like_others(tmp_path: Path) -> None:
    folder_of(tmp_path, ["caf\udce9.png", "ok.png"])
    records = find_inputs([str(tmp_path)]).records
    assert [os.fsencode(Path(record.id).name) for record in records] == [b"caf\xe9.png", b"ok.png"]
    assert [record.read() for record in records] == [png("caf\udce9.png"), png("ok.png")]
