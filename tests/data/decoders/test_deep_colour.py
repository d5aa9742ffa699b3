"""Colour with 16 bits a channel: all bits of PNG and TIFF, of which Pillow alone gives 8."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from headstart.data.decoders.decoded import FaultKind, UnreadableImageError
from headstart.data.decoders.raster import decode_with_facts
from headstart.input_spec import Decoding

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 65536, (40, 50, 3)).astype(np.uint16)
KINDS = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels -> colour type of PNG."""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples: np.ndarray, *beside: bytes, filters: bool = False) -> bytes:
    """A PNG with 16 bits a channel, which Pillow cannot write in colour.

    Args:
        samples: (H, W, 1..4).
        beside: Further chunks.
        filters: Store each line as the difference to the line above.
    """
    height, width, channels = samples.shape
    lines = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    if filters:
        above = np.vstack([np.zeros_like(lines[:1]), lines[:-1]])
        lines = lines - above
    body = b"".join(bytes([2 * filters]) + line.tobytes() for line in lines)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, KINDS[channels], 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(beside) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, photometric="rgb", planarconfig="contig", **options)
    return buffer.getvalue()


def read(encoded: bytes, **decoding: Any) -> np.ndarray:
    return decode_with_facts(encoded, decoding=Decoding(**decoding)).values


@pytest.mark.parametrize(
    "encoded",
    [
        png(COLOUR),
        png(COLOUR, filters=True),
        tiff(COLOUR),
        tiff(COLOUR, byteorder=">"),
        tiff(COLOUR, compression="zlib"),
    ],
    ids=["PNG", "PNG with filters", "TIFF", "TIFF, big-endian", "TIFF, Deflate"],
)
def test_all_bits_come_back_from_every_encoding(encoded: bytes) -> None:
    found = decode_with_facts(encoded)
    assert found.bands is not None
    assert np.allclose(found.bands, COLOUR / 65535, atol=1e-7)
    assert np.array_equal(found.pixels, np.rint(COLOUR / 65535 * 255))
    assert (found.largest, found.white, found.deep_grey) == (int(COLOUR.max()), 65535, False)


def test_lzw_is_left_to_pillow() -> None:
    """tifffile needs a further package for it; a file of Pillow's own has the upper byte only, but the same route."""
    buffer = io.BytesIO()
    image = Image.fromarray((COLOUR >> 8).astype(np.uint8))
    image.save(buffer, "TIFF", compression="tiff_lzw")
    assert np.array_equal(read(buffer.getvalue()), COLOUR >> 8)


def test_bits_are_one_mapping_before_rounding() -> None:
    assert np.allclose(read(png(COLOUR >> 4), bits=12), (COLOUR >> 4) / 4095, atol=1e-7)
    with pytest.raises(UnreadableImageError, match="give more bits") as caught:
        read(png(COLOUR), bits=12)
    assert caught.value.kind is FaultKind.VALUES


def test_the_picture_of_8_bits_gives_the_pixels_of_8_bits() -> None:
    eight = (COLOUR >> 8).astype(np.uint8)
    found = decode_with_facts(png(eight.astype(np.uint16) * 257))
    assert found.bands is None
    assert np.array_equal(found.pixels, eight)


def test_transparency_is_laid_over_white() -> None:
    alpha = RNG.integers(0, 65536, (40, 50, 1)).astype(np.uint16)
    share = alpha / 65535
    for channels in (1, 3):
        found = decode_with_facts(png(np.concatenate([COLOUR[:, :, :channels], alpha], axis=2)))
        expected = COLOUR[:, :, :channels] / 65535 * share + 1 - share
        assert np.allclose(found.values, expected, atol=1e-4)
        assert found.veiled > 0.99
    key = chunk(b"tRNS", struct.pack(">HHH", *(int(v) for v in COLOUR[3, 4])))
    found = decode_with_facts(png(COLOUR, key))
    assert np.all(found.values[3, 4] == 1)
    assert np.allclose(found.values[5:], COLOUR[5:] / 65535, atol=1e-4)


@pytest.mark.parametrize("tag", range(1, 9))
def test_the_rotation_tag_is_applied(tag: int) -> None:
    exif = Image.Exif()
    exif[274] = tag
    turned = read(png(COLOUR, chunk(b"eXIf", exif.tobytes()[6:])))
    stored = COLOUR / 65535
    swapped = stored.transpose(1, 0, 2)
    expected = {
        **{1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1]},
        **{5: swapped, 6: swapped[:, ::-1], 7: swapped[::-1, ::-1], 8: swapped[::-1]},
    }
    assert np.allclose(turned, expected[tag], atol=1e-7)


def test_a_band_can_be_chosen() -> None:
    assert np.allclose(read(png(COLOUR), bands=(3, 1, 2)), COLOUR[:, :, [2, 0, 1]] / 65535, atol=1e-7)
    assert np.allclose(read(png(COLOUR), bands=(2,)), COLOUR[:, :, 1:2] / 65535, atol=1e-7)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
@pytest.mark.parametrize(
    "whole", [png(COLOUR), tiff(COLOUR), tiff(COLOUR, compression="zlib")], ids=["PNG", "TIFF", "Deflate"]
)
def test_a_cut_file_is_an_error_and_never_pixels(whole: bytes, share: float) -> None:
    with pytest.raises(UnreadableImageError):
        read(whole[: int(share * len(whole))])
