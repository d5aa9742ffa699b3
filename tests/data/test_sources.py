"""Finding labelled images: folders, splits, tars, tables, digits, and what is refused."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest
from PIL import Image

from headstart.data.decode import decode
from headstart.data.sources import WHOLE, Dataset, image_files, open_source
from headstart.errors import DataError

CLASSES = ("cat/1.png", "cat/2.jpg", "dog/1.png")
SPLITS = ("train/cat/1.png", "train/dog/1.png", "val/cat/1.png", "test/dog/1.png")


def png(name: str) -> bytes:
    """A small image that differs by name."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), tuple(np.random.default_rng(list(name.encode())).integers(0, 256, 3))).save(buffer, "PNG")
    return buffer.getvalue()


def folder_of(root: Path, names: Sequence[str]) -> Path:
    root.mkdir(exist_ok=True)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(name))
    return root


def tar_of(path: Path, names: Sequence[str], *, prefix: str = "", mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name in names:
            info = tarfile.TarInfo(prefix + name)
            info.size = len(png(name))
            archive.addfile(info, io.BytesIO(png(name)))
    return path


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
    assert dataset.ignored == {".txt": 1, "(no suffix)": 1}


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


def test_image_files_takes_files_and_folders_at_any_depth(tmp_path: Path) -> None:
    folder_of(tmp_path / "many", ["b.png", "deep/er/a.JPG"])
    (tmp_path / "many" / "notes.txt").write_text("x")
    single = tmp_path / "odd_suffix.bin"
    single.write_bytes(png("single"))
    records = image_files([str(single), str(tmp_path / "many")])
    paths = [single, tmp_path / "many" / "b.png", tmp_path / "many" / "deep" / "er" / "a.JPG"]
    assert [record.id for record in records] == [str(path) for path in paths]
    assert [record.read() for record in records] == [path.read_bytes() for path in paths]


def test_image_files_ignores_hidden_files_inside_a_folder(tmp_path: Path) -> None:
    folder_of(tmp_path, ["a.png", "._a.png", ".trash/b.png"])
    assert [Path(record.id).name for record in image_files([str(tmp_path)])] == ["a.png"]


def test_image_files_refuses_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.png does not exist; expected an image file or a folder"):
        image_files([str(tmp_path / "nowhere.png")])
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"holds no images, only 1 \.txt"):
        image_files([str(tmp_path)])


def test_an_image_without_bytes_or_file_cannot_be_read() -> None:
    from headstart.data.sources import ImageRecord

    with pytest.raises(FileNotFoundError, match=r"cat/1\.png"):
        ImageRecord("cat/1.png", "cat", WHOLE).read()
