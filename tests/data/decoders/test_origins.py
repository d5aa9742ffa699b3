"""Patient, camera and time out of headers; nothing of them can be read back."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dicom_files import dicom_file
from headstart.data.decoders.dicom import dicom_text
from headstart.data.decoders.origins import ImageOrigin, origin_of
from photos import photo

PIXELS = np.zeros((64, 64), np.uint8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_time_and_camera_of_a_photo(kind: str) -> None:
    first = origin_of(photo("2026:05:01 10:00:00", kind=kind))
    later = origin_of(photo("2026:05:01 10:00:02", fraction="25", kind=kind))
    assert first.moment is not None
    assert later.moment == first.moment + 2.25
    assert later.camera == first.camera != origin_of(photo("2026:05:01 10:00:00", camera="Z5", kind=kind)).camera
    assert (first.patient, first.study) == (b"", b"")


@pytest.mark.parametrize("taken", [None, "0000:00:00 00:00:00", "yesterday", "2026:13:01 10:00:00"])
def test_a_photo_without_a_real_time_says_nothing(taken: str | None) -> None:
    assert origin_of(photo(taken)) == ImageOrigin()


def test_files_without_a_header_of_the_kind_say_nothing() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    whole = photo("2026:05:01 10:00:00")
    for encoded in (b"", b"nothing", buffer.getvalue(), whole[:40], b"\xff\xd8\xff Exif\0\0 broken"):
        assert origin_of(encoded) == ImageOrigin()


def test_patients_and_studies_are_told_apart_by_a_hash() -> None:
    a, b = (dicom_file(PIXELS, PatientID=name, StudyInstanceUID="1.2.3") for name in ("Doe^12345", "Roe^67890"))
    assert origin_of(a).patient != origin_of(b).patient
    assert origin_of(a).study == origin_of(b).study != b""
    assert origin_of(a).camera == b""
    assert b"12345" not in origin_of(a).patient
    assert dicom_text(a, "PatientID") == "Doe^12345"
    assert dicom_text(a, "PatientName") is None
    assert dicom_text(a, "NoSuchField") is None
    assert dicom_text(a[:100], "PatientID") is None
    assert origin_of(dicom_file(PIXELS, PatientID="")).patient == b""
