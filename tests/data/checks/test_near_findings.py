"""What is said of near-identical images, and the table of groups."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from headstart.data.checks.near_duplicates import NearDuplicates
from headstart.data.checks.near_findings import find_near_findings, write_group_table
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.errors import DataError


def findings_of(names: list[str], *groups: tuple[str, ...], too_large: tuple[tuple[str, ...], ...] = ()) -> dict:
    """Findings for images SPLIT/CLASS/FILE, each with bytes of its own unless its file is called `same`."""
    records = [ImageRecord(name, name.split("/")[1], name.split("/")[0]) for name in names]
    digests = {name: "same" if name.endswith("same") else name for name in names}
    found = find_near_findings(records, digests, NearDuplicates(tuple(groups), too_large))
    return {finding.what: finding for finding in found}


def test_a_group_across_given_splits_is_a_warning_with_counts():
    names = ["train/a/1", "train/a/2", "test/a/3", "train/b/4"]
    (finding,) = findings_of(names, ("test/a/3", "train/a/1", "train/a/2")).values()
    assert (finding.what, finding.level) == ("near_duplicates_in_two_splits", "warning")
    assert "1 group of near-identical images lies in more than one split (1 in test, 2 in train)" in finding.evidence
    assert finding.images == (("test/a/3", "train/a/1", "train/a/2"),)


def test_a_group_with_two_labels_and_one_inside_a_split():
    names = [f"all/a/{k}" for k in range(150)] + [f"all/b/{k}" for k in range(250)]
    found = findings_of(names, ("all/a/0", "all/b/0"))
    assert found["near_duplicates_in_two_classes"].level == "warning"
    assert found["near_duplicates"].level == "info", "2 of 400 images"
    found = findings_of(names, ("all/a/0", "all/a/1", "all/a/2"), ("all/b/5", "all/b/6"))
    assert list(found) == ["near_duplicates"]
    assert found["near_duplicates"].level == "warning"
    assert found["near_duplicates"].evidence.startswith(
        "5 of 400 images are near-identical to another (2 groups, the largest of 3): all/a/0 = all/a/1 = all/a/2;"
    )


def test_a_class_that_is_one_scene_is_a_warning_and_equal_files_are_told_elsewhere():
    names = ["all/a/1", "all/a/2", "all/b/1", "all/b/1same", "all/b/2same"]
    found = findings_of(names, ("all/b/1same", "all/b/2same"), too_large=(("all/a/1", "all/a/2"),))
    assert list(found) == ["one_scene"]
    assert "(a)" in found["one_scene"].evidence


def test_the_table_is_read_back_with_its_groups(image_folder: Path, tmp_path: Path):
    records = open_source(str(image_folder)).records
    groups = {r.id: r.id for r in records} | {"blue/00.png": "g", "blue/01.png": "g"}
    write_group_table(tmp_path / "groups.csv", records, groups, splits=("all",))
    again = open_source(str(tmp_path / "groups.csv"))
    assert [(Path(r.id).name, r.label, r.group) for r in again.records] == [
        (Path(r.id).name, r.label, "g" if groups[r.id] == "g" else None) for r in records
    ]


def test_the_table_keeps_splits_that_tear_no_group(make_folder, tmp_path: Path):
    make_folder("set/train", per_class=3)
    make_folder("set/test", per_class=3, seed=1)
    dataset = open_source(str(tmp_path / "set"))
    own = {r.id: r.id for r in dataset.records}
    for groups, header in (
        (own, ["image", "label", "group", "split"]),
        (own | {"train/blue/00.png": "g", "test/blue/00.png": "g"}, ["image", "label", "group"]),
    ):
        write_group_table(tmp_path / "groups.csv", dataset.records, groups, splits=dataset.splits())
        with (tmp_path / "groups.csv").open() as file:
            assert next(csv.reader(file)) == header


def test_images_in_an_archive_and_a_place_that_cannot_be_written_are_refused(image_folder: Path, tmp_path: Path):
    packed = [ImageRecord("a/1.png", "a", "all", tmp_path / "x.tar", 512, 100)]
    with pytest.raises(DataError, match=r"a/1.png is no file of its own"):
        write_group_table(tmp_path / "groups.csv", packed, {"a/1.png": "a/1.png"}, splits=("all",))
    records = open_source(str(image_folder)).records
    with pytest.raises(DataError, match="cannot be written"):
        write_group_table(tmp_path / "no" / "t.csv", records, {r.id: r.id for r in records}, splits=("all",))
