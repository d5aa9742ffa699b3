"""Files with the same bytes: every group is told, each by what it means."""

from __future__ import annotations

from headstart.data.checks.duplicates import find_duplicates
from headstart.data.sources.reading import ImageRecord


def records_of(*rows: tuple[str, str, str]) -> tuple[list[ImageRecord], dict[str, str]]:
    """Records and digests of (id, split, digest); the class is the folder the image lies in."""
    records = [ImageRecord(name, name.split("/")[-2], split) for name, split, _ in rows]
    return records, {name: digest for name, _, digest in rows}


def test_every_group_of_equal_files_is_told_by_what_it_means() -> None:
    found = find_duplicates(
        *records_of(
            ("train/a/1", "train", "x"),
            ("train/b/1", "train", "x"),
            ("train/a/2", "train", "y"),
            ("test/a/2", "test", "y"),
            ("train/a/3", "train", "z"),
            ("train/a/4", "train", "z"),
            ("train/a/5", "train", "z"),
            ("test/b/6", "test", "w"),
            ("train/b/7", "train", "v"),
            ("test/a/7", "test", "v"),
        )
    )
    assert {finding.what: (finding.level, finding.images) for finding in found} == {
        "several_labels": ("error", (("train/a/1", "train/b/1"), ("train/b/7", "test/a/7"))),
        "same_image_in_two_splits": ("warning", (("train/a/2", "test/a/2"),)),
        "duplicates": ("info", (("train/a/3", "train/a/4", "train/a/5"),)),
    }


def test_text_names_five_groups_and_the_finding_holds_all_of_them() -> None:
    rows = [(f"{label}/{index}", "all", str(index)) for index in range(8) for label in "ab"]
    (finding,) = find_duplicates(*records_of(*rows))
    assert len(finding.images) == 8
    for index in range(8):
        assert (f"a/{index} = b/{index}" in finding.evidence) == (index < 5)
    assert finding.evidence.startswith("8 images carry several labels")
    assert finding.evidence.endswith("and 3 more groups")


def test_different_files_are_no_finding() -> None:
    assert find_duplicates(*records_of(("a/1", "all", "x"), ("b/1", "all", "y"))) == []
