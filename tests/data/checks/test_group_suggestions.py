"""Groups that names suggest, and names that suggest none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from headstart.data.checks.group_suggestions import find_suggested_groups, suggest_groups
from headstart.data.decoders.origins import ImageOrigin
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


def headers_of(values: list[bytes], field: str) -> tuple[list[ImageRecord], dict[str, ImageOrigin]]:
    records = [ImageRecord(f"a/{index:03d}.dcm", "a", WHOLE) for index in range(len(values))]
    return records, {one.id: ImageOrigin(**{field: value}) for one, value in zip(records, values, strict=True)}


def test_patients_of_dicom_files_are_suggested_however_few() -> None:
    records, origins = headers_of([b"p", b"q", b"p", b"r"], "patient")
    (finding,) = find_suggested_groups(records, origins)
    assert finding.evidence.startswith("headers of the files suggest groups: 2 of 4 images are in 1 groups")
    assert "such as that of a/000.dcm (2 images)" in finding.evidence
    assert "--group 'dicom:PatientID'" in finding.remedy


def test_studies_stand_in_for_patients_that_were_removed() -> None:
    records, origins = headers_of([b"s", b"s", b"t", b"t"], "study")
    origins = {name: replace(origin, patient=b"anonymous") for name, origin in origins.items()}
    (finding,) = find_suggested_groups(records, origins)
    assert "--group 'dicom:StudyInstanceUID'" in finding.remedy
    assert find_suggested_groups(*headers_of([b"same"] * 4, "patient")) == []
    assert find_suggested_groups(*headers_of([b"a", b"b", b"c", b"d"], "patient")) == []


def test_bursts_are_suggested_unless_all_photos_follow_each_other() -> None:
    def of(moments: list[float]) -> tuple[list[ImageRecord], dict[str, ImageOrigin]]:
        records = [ImageRecord(f"a/IMG_{index:04d}.jpg", "a", WHOLE) for index in range(len(moments))]
        return records, {one.id: ImageOrigin(camera=b"c", moment=at) for one, at in zip(records, moments, strict=True)}

    (finding,) = find_suggested_groups(*of([100.0 * (i // 2) + i % 2 for i in range(40)]))
    assert "40 of 40 images are in 20 groups" in finding.evidence
    assert "--group 'exif:5s'" in finding.remedy
    assert find_suggested_groups(*of([4.0 * i for i in range(40)])) == []
    assert find_suggested_groups(*of([60.0 * i for i in range(40)])) == []
