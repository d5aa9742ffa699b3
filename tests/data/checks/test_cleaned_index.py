"""A cleaned index: what is left out, joined and listed, and that originals stay as they are."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headstart
from headstart.data.checks.cleaned_index import (
    REPAIRS,
    changes_of,
    refuse_cleaned_index,
    repair_of,
    write_cleaned_index,
)
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.errors import DataError
from headstart.findings import Finding
from image_folders import folder_of, tar_of

SOURCE = Path(headstart.__file__).parent
BROKEN = ("unreadable", "several_labels", "blank")
COPIES = ("duplicates", "same_image_in_two_splits")
NEAR = ("near_duplicates_in_two_splits", "altered_copies_in_two_splits")
JOINED = ("near_duplicates", "altered_copies")
LOOKED_AT = ("label_errors", "outliers", "near_duplicates_in_two_classes")


def record(name: str, split: str = "train") -> ImageRecord:
    return ImageRecord(name, name.split("/")[0], split, Path(name))


def finding(what: str, *groups: tuple[str, ...]) -> Finding:
    return Finding("warning", what, f"{len(groups)} groups: {groups}", "look", groups)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[ImageRecord], list[Finding], dict[str, str]]:
    splits = ("train", "val", "test")
    names = [f"{'ab'[number % 2]}/{number}.png" for number in range(draw(st.integers(2, 14)))]
    records = [record(name, draw(st.sampled_from(splits))) for name in names]
    some = st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True).map(tuple)
    kinds = st.sampled_from([*BROKEN, *COPIES, *NEAR, *JOINED, *LOOKED_AT])
    found = [
        finding(draw(kinds), *draw(st.lists(some, min_size=1, max_size=3))) for _ in range(draw(st.integers(0, 6)))
    ]
    groups = {name: f"group {draw(st.integers(0, 6))}" for name in names}
    return records, found, groups


@settings(max_examples=200, deadline=None)
@given(case=cases())
def test_every_group_ends_on_one_side_and_every_image_left_out_has_a_reason(
    case: tuple[list[ImageRecord], list[Finding], dict[str, str]],
) -> None:
    records, found, groups = case
    changes, joined = changes_of(records, found, groups)
    gone = {change.image for change in changes if change.action == "left_out"}
    rest = [one for one in records if one.id not in gone]
    by_group: dict[str, set[str]] = {}
    for one in rest:
        by_group.setdefault(joined[one.id], set()).add(one.split)
    assert all(len(splits) == 1 for splits in by_group.values())
    assert all(change.reason for change in changes)
    assert not gone & {change.image for change in changes if change.action == "review"}
    broken = {name for one in found if one.what in BROKEN for group in one.images for name in group}
    assert broken <= gone
    for one in found:
        for group in one.images:
            present = [name for name in group if name not in gone]
            if one.what in COPIES:
                assert len(present) <= 1
            if one.what in (*NEAR, *JOINED):
                assert len({joined[name] for name in present}) <= 1
    # Nobody who stays is separated from those that shared a group with it.
    for first in rest:
        for second in rest:
            if groups[first.id] == groups[second.id]:
                assert joined[first.id] == joined[second.id]


def test_the_best_split_keeps_its_copy_and_training_loses_it():
    records = [record("a/1.png"), record("a/2.png", "val"), record("a/3.png", "test"), record("a/4.png")]
    groups = {one.id: one.id for one in records}
    changes, _ = changes_of(records, [finding("near_duplicates_in_two_splits", tuple(groups))], groups)
    assert {change.image for change in changes} == {"a/1.png", "a/2.png", "a/4.png"}
    assert changes[0].reason == "belongs together with a/3.png of test, which stays"


def test_no_broken_image_is_the_copy_that_stays():
    records = [record("a/1.png", "test"), record("a/2.png")]
    groups = {one.id: one.id for one in records}
    found = [finding("duplicates", ("a/1.png", "a/2.png")), finding("blank", ("a/1.png",))]
    changes, _ = changes_of(records, found, groups)
    assert [(change.image, change.finding) for change in changes] == [("a/1.png", "blank")]


def kinds_with_images() -> Iterator[str]:
    """Every kind of finding in the source that names images, as far as it is written out."""
    for path in (*SOURCE.glob("data/**/*.py"), *SOURCE.glob("inspection/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Finding", "_about", "_mixed"):
                place = 2 if getattr(node.func, "id", "") == "_mixed" else 1
                kind = node.args[place] if len(node.args) > place else None
                has_images = getattr(node.func, "id", "") != "Finding" or len(node.args) > 4
                if has_images and isinstance(kind, ast.Constant) and isinstance(kind.value, str):
                    yield kind.value


def test_every_kind_of_finding_with_images_is_decided():
    kinds = {*kinds_with_images()}
    assert len(kinds) > 15
    assert kinds <= REPAIRS.keys() | {"ignored"}
    assert repair_of("a new kind") == "review"
    assert repair_of("shortcut") == "none"


def test_the_index_and_the_list_of_changes_are_tables(tmp_path: Path):
    data = open_source(str(folder_of(tmp_path / "photos", ["a/1.png", "a/2.png", "b/3.png", "b/4.png"])))
    groups = {one.id: one.id for one in data.records}
    found = [finding("blank", ("b/4.png",)), finding("altered_copies", ("a/1.png", "a/2.png"))]
    out = write_cleaned_index(tmp_path / "fixed", data.records, found, groups, splits=data.splits())
    assert (out.images, out.left_out, out.joined, out.review) == (3, 1, 1, 0)
    with Path(out.index).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(Path(row["image"]).name, row["label"]) for row in rows] == [("1.png", "a"), ("2.png", "a"), ("3.png", "b")]
    assert rows[0]["group"] == rows[1]["group"] != ""
    assert rows[2]["group"] == ""
    with Path(out.changes).open(encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    assert [(row["image"], row["action"]) for row in listed] == [("b/4.png", "left_out"), ("a/2.png", "joined")]
    again = open_source(out.index)
    assert {one.label for one in again.records} == {"a", "b"}


def test_places_that_would_do_harm_are_refused_early(tmp_path: Path):
    folder = folder_of(tmp_path / "photos", ["a/1.png", "b/2.png"])
    data = open_source(str(folder))
    with pytest.raises(DataError, match="lies inside"):
        refuse_cleaned_index(folder / "fixed", data)
    with pytest.raises(DataError, match="is no folder"):
        refuse_cleaned_index(tmp_path / "away" / "fixed", data)
    (tmp_path / "taken").write_text("")
    with pytest.raises(DataError, match="is a file"):
        refuse_cleaned_index(tmp_path / "taken", data)
    (tmp_path / "fixed").mkdir()
    refuse_cleaned_index(tmp_path / "fixed", data)
    (tmp_path / "fixed" / "index.csv").write_text("image,label\n")
    with pytest.raises(DataError, match="is there already"):
        refuse_cleaned_index(tmp_path / "fixed", data)
    packed = open_source(str(tar_of(tmp_path / "photos.tar", ["a/1.png", "b/2.png"])))
    with pytest.raises(DataError, match="no file of its own"):
        refuse_cleaned_index(tmp_path / "new", packed)
