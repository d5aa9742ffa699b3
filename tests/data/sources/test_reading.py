"""Finding labelled images: folders, splits, tars, tables, digits, and what is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest

from headstart.data.decoders.raster import decode
from headstart.data.sources.reading import WHOLE, Dataset, open_source
from headstart.errors import DataError
from image_folders import folder_of, png, tar_of

CLASSES = ("cat/1.png", "cat/2.jpg", "dog/1.png")
SPLITS = ("train/cat/1.png", "train/dog/1.png", "val/cat/1.png", "test/dog/1.png")


def found(dataset: Dataset) -> list[tuple[str, str, str]]:
    return [(record.id, record.label, record.split) for record in dataset.records]


def refused(source: str | Path) -> str:
    with pytest.raises(DataError) as caught:
        open_source(str(source))
    return str(caught.value)


def test_class_folders_give_one_label_an_image(tmp_path: Path) -> None:
    dataset = open_source(str(folder_of(tmp_path / "pets", ["dog/1.png", "cat/2.jpg", "cat/1.PNG"])))
    assert found(dataset) == [
        ("cat/1.PNG", "cat", WHOLE),
        ("cat/2.jpg", "cat", WHOLE),
        ("dog/1.png", "dog", WHOLE),
    ]
    assert (dataset.name, dataset.splits(), dataset.classes()) == ("pets", (WHOLE,), ("cat", "dog"))
    assert dataset.counts() == {"cat": 2, "dog": 1}


def test_records_read_the_bytes_of_their_file(tmp_path: Path) -> None:
    dataset = open_source(str(folder_of(tmp_path, CLASSES)))
    assert [record.read() for record in dataset.records] == [png(name) for name in CLASSES]


@pytest.mark.parametrize("val", ["val", "valid", "validation", "VAL", "Validation"])
def test_split_folders_give_the_split(val: str, tmp_path: Path) -> None:
    names = ["train/cat/1.png", "train/dog/1.png", f"{val}/cat/1.png", "Test/dog/1.png"]
    dataset = open_source(str(folder_of(tmp_path, names)))
    assert sorted((record.split, record.label) for record in dataset.records) == [
        ("test", "dog"),
        ("train", "cat"),
        ("train", "dog"),
        ("val", "cat"),
    ]
    assert dataset.splits() == ("train", "val", "test")
    assert [record.id for record in dataset.of("val")] == [f"{val}/cat/1.png"]
    assert dataset.classes("val") == ("cat",)


@pytest.mark.parametrize("names", [CLASSES, SPLITS])
@pytest.mark.parametrize("prefix", ["", "./", "set/", "./set/"])
def test_a_tar_holds_what_the_folder_holds(names: tuple[str, ...], prefix: str, tmp_path: Path) -> None:
    folder = open_source(str(folder_of(tmp_path / "pets", names)))
    packed = open_source(str(tar_of(tmp_path / "pets.tar", names, prefix=prefix)))
    assert len(packed.records) == len(names)
    assert found(packed) == found(folder)
    assert [record.read() for record in packed.records] == [record.read() for record in folder.records]
    assert packed.name == "pets"


def test_a_file_that_a_tar_holds_twice_counts_once_as_it_was_last(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "pets.tar", CLASSES)
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("cat/1.png")
        info.size = len(png("newer"))
        archive.addfile(info, io.BytesIO(png("newer")))
    records = open_source(str(path)).records
    assert [record.id for record in records] == sorted(CLASSES), "ids are unique inside a source"
    assert records[0].read() == png("newer")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "CSV"])
def test_a_table_holds_what_its_rows_say(suffix: str, tmp_path: Path) -> None:
    folder_of(tmp_path, CLASSES)
    columns = {"image": CLASSES[::-1], "label": ["Dog", "01", "01"], "group": ["b", "a", ""]}
    write = pyarrow.parquet.write_table if suffix == "parquet" else pyarrow.csv.write_csv
    write(pyarrow.table(columns), tmp_path / f"pets.{suffix}")
    dataset = open_source(str(tmp_path / f"pets.{suffix}"))
    assert found(dataset) == [(CLASSES[0], "01", WHOLE), (CLASSES[1], "01", WHOLE), (CLASSES[2], "Dog", WHOLE)]
    assert [record.group for record in dataset.records] == [None, "a", "b"]
    assert [record.read() for record in dataset.records] == [png(name) for name in CLASSES]
    assert (dataset.name, dataset.splits(), dataset.ignored) == ("pets", (WHOLE,), {})


def test_a_table_with_splits_is_a_set_with_splits(tmp_path: Path) -> None:
    folder_of(tmp_path, CLASSES)
    rows = "".join(
        f"{name},{name[:3]},{split}\n" for name, split in zip(CLASSES, ["Train", "valid", "test"], strict=True)
    )
    (tmp_path / "pets.csv").write_text(f"image,label,split\n{rows}")
    dataset = open_source(str(tmp_path / "pets.csv"))
    assert dataset.splits() == ("train", "val", "test")
    assert [record.id for record in dataset.of("val")] == ["cat/2.jpg"]


def test_digits_are_all_there_and_decode() -> None:
    from sklearn.datasets import load_digits

    dataset = open_source("digits")
    assert len(dataset.records) == 1797
    assert dataset.classes() == tuple("0123456789")
    labels = load_digits().target
    assert dataset.counts() == {str(digit): int((labels == digit).sum()) for digit in range(10)}
    assert len({record.id for record in dataset.records}) == 1797
    record = next(record for record in dataset.records if record.id.endswith("/0005.png"))
    assert np.array_equal(decode(record.read())[:, :, 0], np.round(load_digits().images[5] * 255 / 16))


def test_nested_folders_belong_to_their_class(tmp_path: Path) -> None:
    dataset = open_source(str(folder_of(tmp_path, ["cat/indoor/a/1.png", "cat/2.png", "dog/1.png"])))
    assert dataset.counts() == {"cat": 2, "dog": 1}
    dataset = open_source(str(folder_of(tmp_path / "s", ["train/cat/x/1.png", "train/dog/y/1.png"])))
    assert dataset.counts() == {"cat": 1, "dog": 1}


def test_classes_are_sorted_as_text(tmp_path: Path) -> None:
    names = ["b/1.png", "10/1.png", "2/1.png", "A/1.png", "ä/1.png"]
    assert open_source(str(folder_of(tmp_path, names))).classes() == ("10", "2", "A", "b", "ä")


def test_hidden_files_are_ignored_and_other_files_counted(tmp_path: Path) -> None:
    folder_of(tmp_path, [*CLASSES, "cat/._1.png", ".cache/x.png", "__MACOSX/cat/1.png", "dog/.thumbs/1.png"])
    (tmp_path / "cat" / "notes.TXT").write_text("x")
    (tmp_path / "README").write_text("x")
    (tmp_path / ".DS_Store").write_text("x")
    dataset = open_source(str(tmp_path))
    assert [record.id for record in dataset.records] == sorted(CLASSES)
    assert dataset.ignored == {"(no suffix)": 1, ".txt": 1}


def test_a_missing_path_and_an_empty_folder_say_what_data_can_be(tmp_path: Path) -> None:
    for message, words in ((refused(tmp_path / "nowhere"), "does not exist"), (refused(tmp_path), "is empty")):
        assert str(tmp_path) in message
        for part in (
            words,
            "folder of class folders",
            ".tar",
            ".csv or .parquet with columns image and label",
            "digits",
        ):
            assert part in message


def test_a_folder_of_other_files_says_what_it_saw(tmp_path: Path) -> None:
    for name in ("a/1.txt", "a/2.txt", "b/1.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    message = refused(tmp_path)
    for words in ("holds no images", "2 .txt", "1 .csv", ".jpg", ".png"):
        assert words in message


def test_images_outside_class_folders_are_refused_by_name(tmp_path: Path) -> None:
    message = refused(folder_of(tmp_path, [*CLASSES, "loose.png", "loose2.png"]))
    for words in ("2 images outside any class folder", "loose.png", "named after its class"):
        assert words in message


def test_images_in_a_split_but_no_class_are_refused_by_name(tmp_path: Path) -> None:
    message = refused(folder_of(tmp_path, [*SPLITS, "test/stray.png"]))
    for words in ("test/stray.png", "no class folder", "SPLIT/CLASS/FILE", "named after its class"):
        assert words in message


def test_a_mix_of_splits_and_classes_is_refused(tmp_path: Path) -> None:
    message = refused(folder_of(tmp_path, [*SPLITS, "birds/1.png"]))
    for words in ("mixes split folders", "test, train, val", "birds", "either split folders or class folders", "move"):
        assert words in message


@pytest.mark.parametrize(("suffix", "mode"), [("tar.gz", "w:gz"), ("tgz", "w:gz"), ("tar.xz", "w:xz")])
def test_a_compressed_tar_is_refused_with_the_way_out(suffix: str, mode: str, tmp_path: Path) -> None:
    message = refused(tar_of(tmp_path / f"pets.{suffix}", CLASSES, mode=mode))
    for words in (f"pets.{suffix}", "cannot be read as a plain tar", "uncompressed .tar", "unpack"):
        assert words in message


def test_a_file_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(png("cat"))
    message = refused(tmp_path / "cat.png")
    for words in ("cat.png", "cannot open", "folder of class folders"):
        assert words in message


def test_a_folder_called_digits_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path / "digits", CLASSES)
    monkeypatch.chdir(tmp_path)
    message = refused("digits")
    for words in ("embedded set", str(tmp_path / "digits"), "./digits", "headstart:digits"):
        assert words in message
    for own in ("./digits", "digits/", str(tmp_path / "digits")):
        assert open_source(own).classes() == ("cat", "dog")
    assert len(open_source("headstart:digits").records) == 1797
    (tmp_path / "digits").rename(tmp_path / "mine")
    assert len(open_source("digits").records) == 1797


def test_a_table_beside_folders_is_named(tmp_path: Path) -> None:
    folder_of(tmp_path / "photos", CLASSES)
    (tmp_path / "photos" / "metadata.csv").write_text("file_name,label\ncat/1.png,old\n")
    assert open_source(str(tmp_path / "photos")).account.label_tables == ("metadata.csv",)
    folder_of(tmp_path / "flat", ["1.png", "2.png"])
    (tmp_path / "flat" / "metadata.csv").write_text("file_name,label\n1.png,cat\n2.png,dog\n")
    assert open_source(str(tmp_path / "flat")).counts() == {"cat": 1, "dog": 1}, "no class folders: the table decides"
    assert open_source(str(tmp_path / "flat" / "metadata.csv")).counts() == {"cat": 1, "dog": 1}


def test_a_link_to_nothing_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "photos").symlink_to(tmp_path / "gone")
    assert f"is a link that leads nowhere ({tmp_path / 'gone'})" in refused(tmp_path / "photos")


def test_labels_of_a_table_that_may_be_none_are_noted(tmp_path: Path) -> None:
    folder_of(tmp_path, CLASSES)
    (tmp_path / "t.csv").write_text("image,label\ncat/1.png,1.0\ncat/2.jpg,2.0\ndog/1.png,nan\n")
    account = open_source(str(tmp_path / "t.csv")).account
    assert (account.missing_value_labels, account.decimal_labels) == ({"nan": 1}, ("1.0", "2.0"))


def test_a_folder_without_class_folders_holds_images_without_labels(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", ["1.png", "sub/2.png"])
    assert "headstart embed and headstart predict take images without labels" in refused(root)
    dataset = open_source(str(root), labels="optional")
    assert found(dataset) == [("1.png", "", WHOLE), ("sub/2.png", "", WHOLE)]
    assert (dataset.has_labels, dataset.classes(), dataset.counts()) == (False, (), {})
    assert open_source(str(folder_of(tmp_path / "two", CLASSES)), labels="optional").has_labels


def test_a_list_of_images_without_labels_is_refused_where_they_are_needed(tmp_path: Path) -> None:
    folder_of(tmp_path, ["1.png", "2.png"])
    (tmp_path / "list.csv").write_text("image\n1.png\n2.png\n")
    assert "has no column label" in refused(tmp_path / "list.csv")
    assert len(open_source(str(tmp_path / "list.csv"), labels="optional").records) == 2
