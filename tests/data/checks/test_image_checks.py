"""What is said about the files before anything is trained, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.checks.image_checks import (
    FileFacts,
    Finding,
    find_image_findings,
    read_all,
    refuse_small_classes,
    refuse_unusable,
    shared_group_findings,
)
from headstart.data.sources.reading import WHOLE, Dataset, ImageRecord, open_source
from headstart.data.splits import group_names
from headstart.errors import DataError


def folder_of(root: Path, counts: dict[str, int], *, width: int = 12, height: int = 10) -> Path:
    """Class folders (or SPLIT/CLASS) of noise; no two images the same."""
    rng = np.random.default_rng(len(str(counts)))
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index:03d}.png")
    return root


def copy(root: Path, first: str, second: str) -> None:
    (root / second).parent.mkdir(parents=True, exist_ok=True)
    (root / second).write_bytes((root / first).read_bytes())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def look(root: Path) -> tuple[Dataset, FileFacts]:
    dataset = open_source(str(root))
    return dataset, read_all(dataset.records)


def findings_of(root: Path) -> dict[str, Finding]:
    found = find_image_findings(*look(root))
    assert len({finding.what for finding in found}) == len(found)
    return {finding.what: finding for finding in found}


def records_of(counts: dict[str, int]) -> list[ImageRecord]:
    return [ImageRecord(f"{name}/{i}", name, WHOLE) for name, count in counts.items() for i in range(count)]


def test_good_images_give_no_finding(tmp_path: Path) -> None:
    dataset, facts = look(folder_of(tmp_path, {"a": 10, "b": 12}))
    assert find_image_findings(dataset, facts) == []
    assert len(facts.readable) == 22
    assert facts.unreadable == {}
    refuse_unusable(facts, source="DATA", strict=True)
    refuse_small_classes(facts.readable)


def test_facts_hold_size_and_hash_of_every_image_in_order(tmp_path: Path) -> None:
    dataset, facts = look(folder_of(tmp_path, {"a": 3, "b": 4}))
    assert facts.readable == dataset.records
    assert set(facts.sizes.values()) == {(12, 10)}
    for record in dataset.records:
        assert facts.digests[record.id] == hashlib.blake2b(record.read(), digest_size=16).hexdigest()
    assert len(set(facts.digests.values())) == 7


def test_progress_is_told_of_every_image_readable_or_not(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"a": 5})
    cut(root / "a" / "001.png")
    calls: list[int] = []
    read_all(open_source(str(root)).records, on_image=lambda: calls.append(1))
    assert len(calls) == 5


def test_unreadable_images_are_named_counted_and_left_out(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"a": 14, "b": 10})
    for index in range(7):
        cut(root / "a" / f"{index:03d}.png")
    (root / "b" / "empty.png").write_bytes(b"")
    gone = open_source(str(root))
    (root / "b" / "009.png").unlink()
    facts = read_all(gone.records)
    assert set(facts.unreadable) == {*(f"a/{i:03d}.png" for i in range(7)), "b/empty.png", "b/009.png"}
    assert facts.unreadable["b/empty.png"] == "the file is empty"
    assert "truncated" in facts.unreadable["a/000.png"]
    assert len(facts.readable) == 25 - 9
    found = [finding for finding in find_image_findings(gone, facts) if finding.what == "unreadable"]
    assert [finding.level for finding in found] == ["warning"] * 3
    damaged, *others = found
    for words in ("7 images cannot be read (damaged)", "a/000.png", "and 2 more"):
        assert words in damaged.evidence
    assert len(damaged.images[0]) == 7
    assert {finding.images for finding in others} == {(("b/empty.png",),), (("b/009.png",),)}
    assert all("--strict" in finding.remedy for finding in found)


def test_strict_refuses_an_unreadable_image_that_is_otherwise_left_out(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"a": 4, "b": 4})
    cut(root / "b" / "002.png")
    _, facts = look(root)
    refuse_unusable(facts, source="DATA", strict=False)
    with pytest.raises(DataError) as caught:
        refuse_unusable(facts, source="DATA", strict=True)
    for words in ("1 of 8 images in DATA cannot be read", "b/002.png", "truncated", "repair", "leave out --strict"):
        assert words in str(caught.value)


def test_images_that_are_all_unreadable_are_refused_even_when_not_strict(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"a": 2})
    for path in (root / "a").iterdir():
        cut(path)
    with pytest.raises(DataError) as caught:
        refuse_unusable(look(root)[1], source="DATA", strict=False)
    assert "2 of 2 images" in str(caught.value)
    assert "--strict" not in str(caught.value)


def test_copies_inside_a_class_are_good_to_know(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"a": 10, "b": 10})
    copy(root, "a/000.png", "a/again.png")
    copy(root, "a/000.png", "a/and_again.png")
    copy(root, "b/003.png", "b/again.png")
    found = findings_of(root)
    assert list(found) == ["duplicates"]
    assert found["duplicates"].level == "info"
    assert "2 images are there more than once" in found["duplicates"].evidence
    refuse_unusable(look(root)[1], source="DATA", strict=True)


def test_copies_across_splits_are_a_warning_with_names(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"train/a": 10, "train/b": 10, "test/a": 10, "test/b": 10})
    copy(root, "train/a/000.png", "test/a/twin.png")
    found = findings_of(root)
    assert list(found) == ["same_image_in_two_splits"]
    finding = found["same_image_in_two_splits"]
    assert finding.level == "warning"
    for words in ("1 images", "train/a/000.png", "test/a/twin.png"):
        assert words in finding.evidence
    refuse_unusable(look(root)[1], source="DATA", strict=False)


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("train/a", "train/b"), ("train/a", "test/b")])
def test_one_image_under_two_labels_is_refused_with_both_names(first: str, second: str, tmp_path: Path) -> None:
    root = folder_of(tmp_path, {first: 10, second: 10})
    copy(root, f"{first}/000.png", f"{second}/twin.png")
    found = findings_of(root)
    assert found["several_labels"].level == "error"
    with pytest.raises(DataError) as caught:
        refuse_unusable(look(root)[1], source="DATA", strict=False)
    for words in ("1 images carry several labels", f"{first}/000.png", f"{second}/twin.png", "one label per image"):
        assert words in str(caught.value)


def test_small_classes_and_imbalance_are_warnings_with_counts(tmp_path: Path) -> None:
    found = findings_of(folder_of(tmp_path, {"a": 9, "b": 10, "c": 46}))
    assert set(found) == {"few_images", "imbalance"}
    assert {finding.level for finding in found.values()} == {"warning"}
    assert "1 classes have fewer than 10 images: a 9" in found["few_images"].evidence
    for words in ("46 training images", "smallest 9", "5.1 times"):
        assert words in found["imbalance"].evidence
    for words in ("balanced accuracy", "training adjusts logits", "--imbalance"):
        assert words in found["imbalance"].remedy


def test_five_times_is_not_yet_an_imbalance(tmp_path: Path) -> None:
    assert findings_of(folder_of(tmp_path, {"a": 10, "b": 50})) == {}


def test_other_files_are_good_to_know(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"a": 10, "b": 10})
    for name in ("a/1.txt", "a/2.txt", "b/model.bin"):
        (root / name).write_text("x")
    found = findings_of(root)
    assert list(found) == ["not_images"]
    for words in ("2 .txt", "1 .bin"):
        assert words in found["not_images"].evidence


@pytest.mark.parametrize(("counts", "name", "count"), [({"cat": 7}, "'cat'", 7), ({}, "'none'", 0)])
def test_one_class_is_nothing_to_learn(counts: dict[str, int], name: str, count: int) -> None:
    with pytest.raises(DataError) as caught:
        refuse_small_classes(records_of(counts))
    for words in ("only one class to learn", name, f"{count} images", "at least two class folders"):
        assert words in str(caught.value)


def test_one_class_with_folders_inside_says_which_to_pass(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"flowers/ants": 2, "flowers/bees": 2})
    with pytest.raises(DataError) as caught:
        refuse_small_classes(open_source(str(root)).records)
    for words in ("'flowers', 4 images, ants, bees inside it", "if the folders inside are the classes, pass flowers"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"a": 5, "b": 1}, ["class 'b' has 1 image;", "at least 2 images in every class", "add images"]),
        ({"a": 1, "b": 1, "c": 1, "d": 9}, ["class 'a' has 1 image (so do 2 others)", "remove the folder"]),
    ],
)
def test_a_class_of_one_image_is_refused(counts: dict[str, int], words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        refuse_small_classes(records_of(counts))
    for word in words:
        assert word in str(caught.value)
    refuse_small_classes(records_of({name: max(2, count) for name, count in counts.items()}))


def test_groups_in_two_splits_are_an_error() -> None:
    records = [ImageRecord(f"{split}/a/p7_{split}", "a", split) for split in ("train", "test")]
    (finding,) = shared_group_findings(records, group_names(records, r"/(p\d)_"))
    assert (finding.level, finding.what) == ("error", "group_in_two_splits")
    for words in ("1 groups", "more than one split", "p7"):
        assert words in finding.evidence
    assert shared_group_findings(records, group_names(records, None)) == []
