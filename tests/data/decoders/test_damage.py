"""A file is read only if its picture is whole: cut at every byte, filled up, with a hole, with bits turned over."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.data.decoders.damage import jpeg_without_noise
from headstart.data.decoders.decoded import UnreadableImageError
from headstart.data.decoders.raster import decode, decode_with_facts

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def picture(flat_from: int = 32) -> Image.Image:
    """Texture above, one tone from a row on."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:32, 0:40]
    pixels = np.clip(np.stack([x * 6, y * 7, x + y], axis=-1) + rng.normal(0, 12, (32, 40, 3)), 0, 255)
    pixels[flat_from:] = 255
    return Image.fromarray(pixels.astype(np.uint8))


def jpeg(mode: str = "RGB", *, flat_from: int = 32, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture(flat_from).convert(mode).save(buffer, kind, quality=80, **options)
    return buffer.getvalue()


JPEGS = {
    "plain": jpeg(),
    "grey": jpeg("L"),
    "flat": jpeg(flat_from=10, optimize=True),
    "restarts": jpeg(restart_marker_blocks=3),
    "progressive": jpeg(progressive=True),
    "cmyk": jpeg("CMYK"),
    "phone": jpeg(kind="MPO"),
}


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("tail", [b"", bytes(200), b"\xff" * 9], ids=["cut", "cut and zeros", "cut and fill bytes"])
def test_a_jpeg_cut_anywhere_is_refused_unless_every_pixel_is_right(name: str, tail: bytes):
    encoded = JPEGS[name]
    whole = decode(encoded)
    read = []
    for length in range(2, len(encoded), 1 if name == "plain" and not tail else 7):
        try:
            found = decode_with_facts(encoded[:length] + tail)
        except UnreadableImageError:
            continue
        assert np.array_equal(found.pixels, whole), f"cut after {length} of {len(encoded)} bytes"
        read.append(len(encoded) - length)
    assert set(read) <= {0, 1, 2}, "only the end marker may be missing"


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize(
    ("change", "noise"),
    [
        (lambda e: e[:-2], "its end marker is missing"),
        (lambda e: e[:-1], "its end marker is missing"),
        (lambda e: e[:-2] + bytes(30) + e[-2:], "30 bytes of padding before its end marker"),
        (lambda e: e[:-2] + b"\x20" * 12 + e[-2:], "12 bytes of padding before its end marker"),
        (lambda e: e[:-2] + bytes(700), "700 bytes of padding and no end marker"),
    ],
)
def test_a_complete_jpeg_with_noise_is_read_exactly_and_says_so(name: str, change: Any, noise: str):
    found = decode_with_facts(change(JPEGS[name]))
    assert found.noise == noise
    assert np.array_equal(found.pixels, decode(JPEGS[name]))
    assert decode_with_facts(JPEGS[name]).noise is None


def test_turned_bits_never_pass_for_noise():
    """They end the picture too early and leave bytes before the end marker, as noise does."""
    encoded, rng = JPEGS["plain"], np.random.default_rng(1)
    start = encoded.index(b"\xff\xda") + 14
    extraneous = 0
    for _ in range(300):
        broken = bytearray(encoded)
        broken[int(rng.integers(start, len(encoded) - 2))] ^= int(rng.integers(1, 256))
        try:
            found = decode_with_facts(bytes(broken))
        except UnreadableImageError as error:
            extraneous += "extraneous" in str(error)
            continue
        assert found.noise is None
    assert extraneous > 10, "the trap is there"


def test_a_jpeg_whose_missing_end_holds_scans_is_refused():
    """Cut between two scans it would decode without a complaint, blurred or without colour."""
    encoded = JPEGS["progressive"]
    scans = [at for at in range(len(encoded)) if encoded[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 3
    for at in scans[1:]:
        cut = encoded[: encoded.rindex(b"\xff\xc4", 0, at)]
        assert jpeg_without_noise(cut) is None
        with pytest.raises(UnreadableImageError, match="truncated"):
            decode(cut)


@pytest.mark.parametrize("name", ["cmyk", "phone"])
def test_what_is_missing_in_the_middle_is_not_shown_as_grey(name: str):
    encoded = JPEGS[name]
    start = encoded.index(b"\xff\xda") + 20
    for at in range(start, len(encoded) - 60, 40):
        with pytest.raises(UnreadableImageError):
            decode(encoded[:at] + b"\xff\xd9")


def png(**options: Any) -> bytes:
    buffer = io.BytesIO()
    picture().save(buffer, "PNG", **options)
    return buffer.getvalue()


def test_a_png_filled_up_with_zeros_is_refused():
    """Zeros are valid codes: Pillow shows the rows that were never written as black."""
    encoded = png()
    for length in range(60, len(encoded) - 30, 50):
        with pytest.raises(UnreadableImageError):
            decode(encoded[:length] + bytes(len(encoded) - length))


def test_a_png_with_a_wrong_checksum_round_right_pixels_is_read():
    encoded = png()
    at = encoded.index(b"IEND") - 8  # the checksum of the pixels
    broken = encoded[:at] + bytes([encoded[at] ^ 255]) + encoded[at + 1 :]
    assert zlib.crc32(encoded) != zlib.crc32(broken)
    assert np.array_equal(decode(broken), decode(encoded))
