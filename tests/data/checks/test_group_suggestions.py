"""Groups that names suggest, and names that suggest none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headstart.data.checks.group_suggestions import find_suggested_groups, suggest_groups
from headstart.data.sources.dataset import WHOLE, ImageRecord
from headstart.data.splits import group_names


def records_of(name: Callable[[int, int], str], *, patients: int = 30, each: int = 4) -> list[ImageRecord]:
    """Images of patients, each of one class."""
    return [
        ImageRecord(f"{'ab'[patient % 2]}/{name(patient, at)}", "ab"[patient % 2], WHOLE)
        for patient in range(patients)
        for at in range(each)
    ]


@pytest.mark.parametrize(
    "name",
    [
        lambda patient, at: f"person{patient}_virus_{at}.jpeg",
        lambda patient, at: f"p{patient:03d}-{at}.png",
        lambda patient, at: f"lesion{patient} ({at}).png",
        lambda patient, at: f"scene{patient}x{at}.png",
        lambda patient, at: f"patient{patient}/{at}.png",
        lambda patient, at: f"site1/patient{patient}/{at}.png",
    ],
)
def test_the_suggested_rule_finds_the_patients(name: Callable[[int, int], str]) -> None:
    records = records_of(name)
    found = suggest_groups(records)
    assert found is not None
    assert (found.groups, found.images, found.members, found.divided) == (30, 120, 4, 0)
    groups = group_names(records, found.rule)
    together = {groups[records[4 * patient + at].id] for patient in range(30) for at in range(4)}
    assert len(together) == 30
    (finding,) = find_suggested_groups(records)
    assert f"--group '{found.rule}'" in finding.remedy


@pytest.mark.parametrize(
    "name",
    [
        lambda patient, at: f"{patient * 4 + at:05d}.png",
        lambda patient, at: f"IMG_{patient * 4 + at}.jpg",
        lambda patient, at: f"ant_{patient * 4 + at}.jpg",
        lambda patient, at: f"{patient // 2 * 4 + at:04d}.jpg",  # counted anew in each class
        lambda patient, at: f"{hash((patient, at)) % 10**9}_{patient * 7919 + at}.jpg",
        lambda patient, at: f"part{at % 2}/{patient}_{at}x.jpg".replace("_", ""),
    ],
)
def test_names_that_only_count_suggest_nothing(name: Callable[[int, int], str]) -> None:
    assert find_suggested_groups(records_of(name)) == []


def test_groups_in_several_given_splits_are_counted() -> None:
    records = [
        ImageRecord(f"{split}/a/p{patient}_{at}.png", "a", split)
        for patient in range(20)
        for at, split in enumerate(("train", "train", "test" if patient < 5 else "train"))
    ]
    found = suggest_groups(records)
    assert found is not None
    assert (found.groups, found.divided) == (20, 5)
    assert "5 groups lie in more than one split" in find_suggested_groups(records)[0].evidence
