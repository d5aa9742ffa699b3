"""Paths to predict: every one gives images or a reason."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas
import pytest

from headstart.data.sources.inputs import find_inputs, image_files
from headstart.errors import DataError
from image_folders import folder_of, png, tar_of


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
    store = folder_of(tmp_path / "store", ["5.png"])
    (root / "more").symlink_to(store)
    found = find_inputs([str(root)])
    assert [Path(record.id).name for record in found.records] == ["four", "one.jpg", "two.jfif"]
    assert found.left_out[str(root / "more")] == f"leads out of DATA ({store})"
    found = find_inputs([str(root)], links="follow")
    assert [Path(record.id).name for record in found.records] == ["four", "5.png", "one.jpg", "two.jfif"]
    assert {Path(name).name: reason for name, reason in found.left_out.items()} == {
        ".h.png": "hidden: a name that begins with a dot",
        "gone.png": "a link that leads nowhere (nowhere)",
        "notes.txt": "no image (.txt)",
    }
    with pytest.warns(UserWarning, match=r"left out 4 files \(first: .*\.h\.png: hidden"):
        assert len(image_files([str(root)])) == 3


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
    with pytest.raises(DataError, match=r"nowhere\.png does not exist; expected an image file, a folder"):
        find_inputs([str(tmp_path / "nowhere.png"), str(tmp_path)])
    with pytest.raises(DataError, match=r"nowhere\.png does not exist; expected an image file, a folder"):
        image_files([str(tmp_path / "nowhere.png")])
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"holds no images, only 1 \.txt"):
        image_files([str(tmp_path)])


def test_names_that_are_no_unicode_are_images_like_others(tmp_path: Path) -> None:
    folder_of(tmp_path, ["caf\udce9.png", "ok.png"])
    records = find_inputs([str(tmp_path)]).records
    assert [os.fsencode(Path(record.id).name) for record in records] == [b"caf\xe9.png", b"ok.png"]
    assert [record.read() for record in records] == [png("caf\udce9.png"), png("ok.png")]


def test_a_pattern_is_what_the_shell_makes_of_it(tmp_path: Path) -> None:
    folder_of(tmp_path, ["a.png", "b.png", "c.jpg", "deep/er/d.png", "odd[1].png"])
    names = lambda *given: [Path(r.id).name for r in find_inputs(map(str, given)).records]  # noqa: E731
    assert names(tmp_path / "[ab].png") == ["a.png", "b.png"]
    assert names(tmp_path / "**" / "*.png") == ["a.png", "b.png", "d.png", "odd[1].png"]
    assert names(tmp_path / "**") == ["a.png", "b.png", "c.jpg", "d.png", "odd[1].png"], "each image once"
    assert names(tmp_path / "de*") == ["d.png"], "a folder that matches is searched"
    assert names(tmp_path / "odd[1].png") == ["odd[1].png"], "what exists is no pattern"
    with pytest.raises(DataError, match=r"\*\.gif matches no file; expected an image file"):
        find_inputs([str(tmp_path / "*.gif")])


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_names_images_as_it_writes_them(name: str, tmp_path: Path) -> None:
    folder_of(tmp_path / "in", ["a.png", "b.png"])
    frame = pandas.DataFrame({"image": ["in/b.png", str(tmp_path / "in" / "a.png"), "in/gone.png"], "age": [1, 2, 3]})
    frame.to_csv(tmp_path / name, index=False) if name.endswith("csv") else frame.to_parquet(tmp_path / name)
    found = find_inputs([str(tmp_path / name)])
    assert [record.id for record in found.records] == ["in/b.png", str(tmp_path / "in" / "a.png")]
    assert [record.read() for record in found.records] == [png("b.png"), png("a.png")]
    assert found.left_out == {"in/gone.png": f"does not exist, though {tmp_path / name} names it"}
    with pytest.warns(UserWarning, match="left out 1 files"):
        assert len(image_files([str(tmp_path / name)])) == 2


def test_a_table_without_images_says_what_it_needs(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    for text, words in (
        ("x\na.png\n", r"has no column image, only 'x'; expected a table with the column image"),
        ("file_name\n\n\n", r"has a header but no rows|have no image"),
        ("image\n", r"has a header but no rows"),
        ("image,label\n,cat\n", r"1 rows of .* have no image"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=words):
            find_inputs([str(table)])
    table.write_text("file_name\ngone.png\n")
    with pytest.raises(DataError, match=r"none of 1 images can be read \(first: gone\.png: does not exist"):
        image_files([str(table)])


def test_whatever_training_reads_can_be_predicted_too(tmp_path: Path) -> None:
    tar_of(tmp_path / "x-0.tar", ["ant/1.png", "bee/1.png"])
    tar_of(tmp_path / "x-1.tar", ["1.png", "2.png"])
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 9, 9), np.uint8))
    pandas.DataFrame({"image": [png("a"), png("b")]}).to_parquet(tmp_path / "t.parquet")
    wanted = [str(tmp_path / name) for name in ("x-0.tar", "x-{0..1}.tar", "a.npz", "t.parquet")]
    counts = [len(find_inputs([source]).records) for source in wanted]
    assert counts == [2, 4, 2, 2]
    assert [record.read() for record in find_inputs([wanted[3]]).records] == [png("a"), png("b")]
    assert [record.read() for record in find_inputs([wanted[0]]).records] == [png("ant/1.png"), png("bee/1.png")]
    assert {len(find_inputs(["digits"]).records)} == {1797}
