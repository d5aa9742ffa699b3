"""Headers: sizes and channels without decoding, for files that Pillow knows and for those it refuses."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from headstart.data.decoders.headers import Header, read_header


def encoded(mode: str, kind: str, size: tuple[int, int] = (31, 17)) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind", "channels"),
    [
        ("RGB", "JPEG", 3),
        ("L", "JPEG", 1),
        ("CMYK", "JPEG", 3),
        ("RGBA", "PNG", 3),
        ("LA", "PNG", 1),
        ("P", "GIF", 3),
        ("1", "PNG", 1),
        ("I;16", "PNG", 1),
        ("RGB", "TIFF", 3),
        ("L", "BMP", 1),
    ],
)
def test_size_and_channels_of_what_pillow_knows(mode: str, kind: str, channels: int):
    assert read_header(encoded(mode, kind)) == Header(31, 17, channels)
    assert Header(31, 17, channels).shorter == 17


def tiff(order: str, bands: int, *, long: bool = False) -> bytes:
    """The smallest TIFF with so many bands of 16 bits: header, one directory, pixels."""
    width, height = 5, 3
    kind, code = (4, "I") if long else (3, "H")

    def entry(tag: int, value: int) -> bytes:
        return struct.pack(f"{order}HHI", tag, kind, 1) + struct.pack(f"{order}{code}", value).ljust(4, b"\0")

    entries = [entry(256, width), entry(257, height), entry(277, bands)]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    pixels = np.zeros((height, width, bands), np.uint16).tobytes()
    return head + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + struct.pack(f"{order}I", 0) + pixels


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("long", [False, True])
def test_bands_that_pillow_refuses_are_counted(order: str, long: bool):
    content = tiff(order, 13, long=long)
    with pytest.raises(Exception, match="cannot identify"):
        Image.open(io.BytesIO(content))
    assert read_header(content) == Header(5, 3, 13)


@pytest.mark.parametrize("content", [b"", b"nothing", b"II*\0", b"II*\0" + b"\xff" * 40, b"MM\0*\0\0\0\x08\0\1"])
def test_what_is_no_image_has_no_header(content: bytes):
    assert read_header(content) is None


def test_a_truncated_file_still_has_its_header():
    assert read_header(encoded("RGB", "PNG", (400, 300))[:60]) == Header(400, 300, 3)


@pytest.mark.realdata
def test_the_five_bands_of_sentinel_2(real_data):
    from headstart.data.sources.reading import open_source

    records = open_source(str(real_data / "wildfire_s2.tar")).records[::200]
    assert {read_header(record.read()) for record in records} == {Header(64, 64, 5)}
