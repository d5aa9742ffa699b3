"""Rules of groups: patterns, levels of folders, columns."""

from __future__ import annotations

import pytest

from headstart.plan.group_rule import GroupRule, group_column, source_rule


@pytest.mark.parametrize(
    ("rule", "path", "group"),
    [
        (r"p(\d+)_", "cat/p12_3.png", "12"),
        (r"p(\d+)_", "cat/x.png", None),
        (r"(x)?\.png", "cat/a.png", None),
        ("folder:1", "cat/p3/a.png", "cat"),
        ("folder:2", "cat/p3/a.png", "p3"),
        ("folder:2", "cat/a.png", None),
        ("column:patient", "cat/p3/a.png", None),
        ("dicom:PatientID", "cat/p3/a.png", None),
        ("exif:5s", "cat/p3/a.png", None),
    ],
)
def test_the_group_of_a_path(rule: str, path: str, group: str | None) -> None:
    assert GroupRule.of(rule).group_in(path) == group


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("folder:0", "level from 1"),
        ("folder:two", "level from 1"),
        ("column:", "names no column"),
        ("dicom:", "names no DICOM field"),
        ("dicom:patient id", "names no DICOM field"),
        ("exif:time", "longest pause .* as exif:5s"),
        ("exif:5", "as exif:5s"),
        ("(", "no regular expression"),
        ("p[0-9]+", "has no group 1"),
    ],
)
def test_other_rules_are_refused(rule: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GroupRule.of(rule)


def test_the_column_of_a_rule() -> None:
    assert [group_column(rule) for rule in ("column:patient", "folder:2", "(a)", None)] == ["patient", None, None, None]


def test_rules_whose_groups_come_with_the_images() -> None:
    rules = ("column:patient", "dicom:StudyInstanceUID", "exif:2.5s")
    assert [source_rule(rule) for rule in (*rules, "folder:2", "(a)", None)] == [*rules, None, None, None]
    assert GroupRule.of("exif:2.5s").seconds == 2.5
