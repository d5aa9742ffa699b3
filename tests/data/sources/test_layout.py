"""Which folders are classes and which are splits; what is refused because it could be either."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest

from headstart.data.sources.dataset import Dataset
from headstart.data.sources.reading import WHOLE, open_source
from headstart.errors import DataError
from image_folders import folder_of, tar_of

CLASSES = ("ants", "bees")


def under(*folders: str, classes: Sequence[str] = CLASSES) -> list[str]:
    return [f"{folder}/{name}/{i}.png" for folder, name, i in product(folders, classes, range(2))]


def opened(root: Path, names: Sequence[str]) -> Dataset:
    return open_source(str(folder_of(root, names)))


def refused(root: Path, names: Sequence[str]) -> str:
    with pytest.raises(DataError) as caught:
        opened(root, names)
    return str(caught.value)


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("Training", "Testing"), ("train", "test")),
        (("seg_train", "seg_test"), ("train", "test")),
        (("train_set", "eval_set"), ("train", "test")),
        (("train", "dev"), ("train", "val")),
        (("TRAINING", "dev-2017", "Evaluation"), ("train", "val", "test")),
        (("train", "val", "test_b"), ("train", "val", "test")),
    ],
)
def test_split_folders_of_other_names_are_splits_where_they_hold_the_same_classes(
    folders: tuple[str, ...], splits: tuple[str, ...], tmp_path: Path
) -> None:
    dataset = opened(tmp_path / "set", under(*folders))
    assert dataset.classes() == CLASSES
    assert dataset.splits() == splits
    unusual = {f: s for f, s in zip(folders, splits, strict=True) if f not in ("train", "val")}
    assert dataset.account.read_as == unusual
    assert open_source(str(tar_of(tmp_path / "set.tar", under(*folders), prefix="set/"))).splits() == splits


@pytest.mark.parametrize(
    "names",
    [
        ["train_station/1.png", "test_tube/1.png", "tree/1.png"],
        ["training/1.png", "walking/1.png"],
        [*under("test_tube", classes=["glass"]), *under("train_station", classes=["old"])],
    ],
)
def test_classes_whose_names_contain_such_a_word_stay_classes(names: list[str], tmp_path: Path) -> None:
    dataset = opened(tmp_path, names)
    assert dataset.splits() == (WHOLE,)
    assert set(dataset.classes()) == {name.split("/")[0] for name in names}
    assert not dataset.account.read_as


@pytest.mark.parametrize("folders", [("fold1", "fold2"), ("part-1", "part-2", "part-3"), ("train_a", "train_b")])
def test_folds_are_refused_as_classes(folders: tuple[str, ...], tmp_path: Path) -> None:
    message = refused(tmp_path, under(*folders))
    for words in (f"{folders[0]} and {folders[1]} both hold ants, bees", "look like splits", "rename them to train"):
        assert words in message


def test_split_folders_beside_others_are_refused_under_any_name(tmp_path: Path) -> None:
    message = refused(tmp_path, [*under("Training", "Testing"), "runs/exp/1.png"])
    for words in ("mixes split folders (Testing, Training) with others (runs)", "move the others away"):
        assert words in message


def test_the_same_subfolders_in_classes_of_other_names_are_noted(tmp_path: Path) -> None:
    account = opened(tmp_path / "a", under("north", "south")).account
    assert (account.split_like, account.split_like_hold) == (("north", "south"), CLASSES)
    for names in (["cat/in/1.png", "dog/out/1.png"], [*under("a", "b"), "a/1.png"], under("a", "b", classes=["x"])):
        assert not opened(tmp_path / str(len(str(names))), names).account.split_like


def test_splits_below_the_classes_are_splits(tmp_path: Path) -> None:
    names = [f"{name}/{split}/{i}.png" for name, split, i in product(CLASSES, ("train", "Test"), range(2))]
    dataset = opened(tmp_path / "a", names)
    assert (dataset.splits(), dataset.classes()) == (("train", "test"), CLASSES)
    assert {(r.label, r.split) for r in dataset.of("test")} == {("ants", "test"), ("bees", "test")}
    assert dataset.account.read_as == {"Test": "test", "train": "train"}
    message = refused(tmp_path / "b", [*names, "wasps/1.png"])
    for words in ("ants holds split folders (Test, train)", "wasps does not", "CLASS/SPLIT/FILE"):
        assert words in message


def test_a_class_folder_that_is_called_like_one_split_below_stays_a_subfolder(tmp_path: Path) -> None:
    assert opened(tmp_path, ["ants/test/1.png", "bees/1.png"]).splits() == (WHOLE,)


@pytest.mark.parametrize("wrapper", ["flowers/", "archive/flowers/"])
def test_outer_folders_over_splits_are_dropped(wrapper: str, tmp_path: Path) -> None:
    names = [wrapper + name for name in under("train", "test")]
    dataset = opened(tmp_path / "a", [*names, f"{wrapper}test/wasps/", "other/"])
    assert (dataset.splits(), dataset.classes()) == (("train", "test"), CLASSES)
    assert dataset.account.bare_folders == ("test/wasps",)
    assert open_source(str(tar_of(tmp_path / "a.tar", names))).splits() == ("train", "test")


def test_an_archive_drops_all_outer_folders_over_classes(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", under("data/flowers"))
    assert open_source(str(path)).classes() == CLASSES
    path = tar_of(tmp_path / "one.tar", ["set/cat/indoor/1.png", "set/cat/indoor/2.png"])
    assert open_source(str(path)).classes() == ("cat",), "a single class may hold a single folder"


@pytest.mark.parametrize(
    ("names", "bare"),
    [
        (["ants/1.png", "bees/1.png", "wasps/"], ("wasps",)),
        (["ants/1.png", "bees/1.png", "ants/more/"], ()),
        ([*under("train", "val"), "train/wasps/1.png", "val/wasps/", "test/"], ("test", "val/wasps")),
        ([*under("train", "val"), "test/ants/", "test/bees/"], ("test",)),
        (["ants/1.png", "bees/1.png", ".net/1.png"], ()),
    ],
)
def test_folders_without_an_image_are_counted_at_the_level_of_classes_and_splits(
    names: list[str], bare: tuple[str, ...], tmp_path: Path
) -> None:
    assert opened(tmp_path, names).account.bare_folders == bare


def test_what_is_there_in_place_of_images_is_said(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "links", ["ants/", "bees/"])
    (root / "ants" / "1.png").symlink_to("gone")
    (root / "bees" / "1.png").symlink_to("gone")
    with pytest.raises(DataError) as caught:
        open_source(str(root))
    for words in ("holds no images, only 2 links that lead nowhere", "first: ants/1.png", "git annex get"):
        assert words in str(caught.value)
    for parent, words in (
        (".cache", "folders of programs, such as .git or .cache"),
        (".mine", "a name begins with a dot"),
    ):
        with pytest.raises(DataError) as caught:
            open_source(str(tar_of(tmp_path / f"a{parent}.tar", under(parent))))
        assert "holds no images, only 4" in str(caught.value)
        assert words in str(caught.value)


def test_names_that_are_no_unicode_are_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, ["ants/1.png", "bees/\udce9.png"])
    assert "'bees/\\udce9.png' is not valid UTF-8; rename the file" in message
