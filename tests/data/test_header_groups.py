"""Groups by headers: patients of DICOM files, bursts of photos; names of groups tell nothing of a patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicom_files import dicom_file
from headstart.data.decoders.origins import ImageOrigin
from headstart.data.header_groups import bursts, named_alike, with_header_groups
from headstart.data.sources.dataset import WHOLE, ImageRecord
from headstart.errors import DataError
from photos import photo

PIXELS = np.zeros((64, 64), np.uint8)


def record(name: str, content: bytes) -> ImageRecord:
    return ImageRecord(name, "a", WHOLE, content=content)


def test_files_of_one_patient_are_one_group_named_after_its_first_image() -> None:
    names = {"c.dcm": "Doe", "a.dcm": "Doe", "b.dcm": "Roe", "d.dcm": ""}
    records = [record(name, dicom_file(PIXELS, PatientID=patient)) for name, patient in names.items()]
    records.append(record("e.jpg", photo("2026:05:01 10:00:00")))
    records.append(ImageRecord("gone.dcm", "a", WHOLE, path=Path("no such file")))
    found = with_header_groups(records, "dicom:PatientID")
    assert [one.group for one in found] == ["a.dcm", "a.dcm", "b.dcm", None, None, None]
    assert [replace(one, group=None) for one in found] == records


def test_photos_taken_within_seconds_are_one_group() -> None:
    times = {"a": "10:00:00", "b": "10:00:04", "c": "10:00:09", "d": "10:00:15", "e": "10:00:16"}
    records = [record(name, photo(f"2026:05:01 {time}")) for name, time in times.items()]
    records.append(record("other camera", photo("2026:05:01 10:00:04", camera="Z5")))
    records.append(record("without time", photo(None)))
    groups = [one.group for one in with_header_groups(records, "exif:5s")]
    assert groups == ["a", "a", "a", "d", "d", "other camera", None]
    assert [one.group for one in with_header_groups(records, "exif:60s")][:5] == ["a"] * 5


def test_other_rules_leave_the_records_as_they_are() -> None:
    records = [ImageRecord("gone", "a", WHOLE, path=Path("no such file"), group="g")]
    for rule in (None, "folder:2", "column:patient", "(a)"):
        assert with_header_groups(records, rule) == tuple(records)


@pytest.mark.parametrize(("rule", "words"), [("dicom:PatientID", "the field PatientID"), ("exif:5s", r"\(EXIF\)")])
def test_a_rule_that_no_file_answers_is_an_error(rule: str, words: str) -> None:
    with pytest.raises(DataError, match=f"none of 1 images has .*{words}"):
        with_header_groups([record("a.jpg", photo(None))], rule)


def test_names_depend_on_the_images_only() -> None:
    assert (
        named_alike({"b": 1, "a": 1, "c": 2}) == named_alike({"c": 2, "a": 1, "b": 1}) == {"a": "a", "b": "a", "c": "c"}
    )
    origins = {
        "x": ImageOrigin(camera=b"1", moment=3.0),
        "y": ImageOrigin(camera=b"1", moment=1.0),
        "z": ImageOrigin(patient=b"p"),
    }
    assert bursts(origins, seconds=2) == {"x": (b"1", 0), "y": (b"1", 0)}
