"""Which files are images: names first, first bytes where the name says nothing."""

from __future__ import annotations

import io
from pathlib import PurePosixPath

import pytest
from PIL import Image, features

from headstart.data.sources.dataset import SkipReason
from headstart.data.sources.file_kinds import FIRST_BYTES, begins_as_image, why_no_image

FORMATS = ["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "AVIF", "JPEG2000", "MPO"]


def first_bytes_of(form: str) -> bytes:
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 60)).save(buffer, form)
    return buffer.getvalue()[:FIRST_BYTES]


@pytest.mark.parametrize("form", FORMATS)
def test_the_start_of_what_pillow_writes_is_that_of_an_image(form: str) -> None:
    first = first_bytes_of(form)
    assert begins_as_image(first)
    for name in ("1", "1.jpg_large", "1.jpeg?size=large", "1.png ", "1.JPG.1", "photo.bin"):
        assert why_no_image(PurePosixPath(name), lambda: first) is None


@pytest.mark.parametrize(
    "first",
    [b"", b"BM", b"BM is a text that begins like a bitmap", b"\0" * 132, b"%PDF-1.7", b"PK\x03\x04", b"RIFF....WAVE"],
)
def test_other_starts_are_not(first: bytes) -> None:
    assert not begins_as_image(first)
    assert why_no_image(PurePosixPath("Thumbs.db"), lambda: first) is SkipReason.NO_IMAGE


def test_names_decide_without_a_look_where_they_can() -> None:
    def never() -> bytes:
        raise AssertionError("opened")

    for suffix in (".jpg", ".JPG", ".jfif", ".jpe", ".HEIC", ".avif", ".tga", ".pbm", ".tiff"):
        assert why_no_image(PurePosixPath(f"a{suffix}"), never) is None
    for suffix in (".CR2", ".nef", ".svs", ".psd"):
        assert why_no_image(PurePosixPath(f"a{suffix}"), never) is SkipReason.UNREAD_FORMAT
    for suffix in (".txt", ".XML", ".json"):
        assert why_no_image(PurePosixPath(f"a{suffix}"), never) is SkipReason.NO_IMAGE


def test_dicom_is_known_without_a_suffix() -> None:
    assert why_no_image(PurePosixPath("IM0001"), lambda: b"\0" * 128 + b"DICM") is None
