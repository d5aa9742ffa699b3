"""Files that are broken or hostile, made from nothing; each with the kind of finding that names it."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image
from pydicom.uid import JPEGLSLossless, RLELossless

from dicom_files import dicom_file

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (48, 64, 3)).astype(np.uint8)


def encoded(kind: str, pixels: np.ndarray = PIXELS, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, body: bytes, *beside: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(beside) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def tiff(values: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    layout = {"planarconfig": "contig"} if values.ndim == 3 else {}
    tifffile.imwrite(buffer, values, **({"photometric": "minisblack"} | layout | options))
    return buffer.getvalue()


def changed(content: bytes, at: int, data: bytes) -> bytes:
    return content[:at] + data + content[at + len(data) :]


def tag_changed(content: bytes, tag: str, data: bytes) -> bytes:
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        return changed(content, file.pages.first.tags[tag].valueoffset, data)


def wrong_checksum() -> bytes:
    content = bytearray(encoded("PNG"))
    at = content.index(b"IDAT") + 200
    content[at] ^= 0xFF
    return bytes(content)


def noise_in_the_scan() -> bytes:
    content = bytearray(encoded("JPEG"))
    start = content.index(b"\xff\xda") + 20
    content[start : start + 400] = random.Random(0).randbytes(400)
    return bytes(content)


def compression_of_another(syntax: str) -> bytes:
    """Bytes of RLE that say they are of a compression without a decoder."""
    content = dicom_file(PIXELS[:, :, 0].copy(), syntax=RLELossless)
    known = RLELossless.encode()
    assert len(syntax) >= len(known)
    at = content.index(known)
    length = content.index(b"\2\0\x10\0UI") + 6
    padded = syntax.encode() + b"\0" * (len(syntax) % 2)
    old = struct.unpack("<H", content[length : length + 2])[0]
    total = struct.unpack("<I", content[140:144])[0] + len(padded) - old
    content = content[:length] + struct.pack("<H", len(padded)) + padded + content[at + old :]
    return changed(content, 140, struct.pack("<I", total))


def endless_directory() -> bytes:
    """A TIFF whose list of pages leads back to itself, with its pixels gone."""
    content = bytearray(tiff(PIXELS[:, :, 0].copy()))
    first = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, first)[0]
    struct.pack_into("<I", content, first + 2 + 12 * count, first)
    return bytes(content[: len(content) - 1000])


def of_every_kind() -> dict[str, tuple[bytes, str]]:
    """Name -> (bytes, kind of fault in the finding `unreadable`)."""
    grey = PIXELS[:, :, 0].copy()
    deep = RNG.integers(0, 4096, (48, 64, 5)).astype(np.uint16)
    text_bomb = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(10**7)))
    wide = tag_changed(tiff(deep), "ImageWidth", struct.pack("<H", 65_535))
    web_page = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    files: dict[str, tuple[bytes, str]] = {
        "empty.jpg": (b"", "empty"),
        "zeros.png": (bytes(5000), "damaged"),
        "page.jpg": (web_page, "not an image"),
        "text.png": (b"hello world\n" * 20, "not an image"),
        "random.jpg": (random.Random(1).randbytes(4000), "not an image"),
        "archive.jpg": (b"PK\3\4" + bytes(100), "not an image"),
        "paper.png": (b"%PDF-1.7\n" + b"x" * 200, "not an image"),
        "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        "photo.heic": (b"\0\0\0\x18ftypheic\0\0\0\0" + bytes(200), "needs a package"),
        "photo.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(200), "needs a package"),
        "header.jpg": (encoded("JPEG")[:160], "damaged"),
        "noise.jpg": (noise_in_the_scan(), "damaged"),
        "unfinished.jpg": (half(encoded("JPEG")) + bytes(4000), "damaged"),
        "checksum.png": (wrong_checksum(), "damaged"),
        "unfinished.png": (half(encoded("PNG")) + bytes(4000), "damaged"),
        "short.png": (png(64, 48, bytes(100)), "damaged"),
        "text_bomb.png": (png(64, 48, bytes(193 * 48), text_bomb), "damaged"),
        "bomb.png": (png(100_000, 100_000, b""), "too large"),
        "bomb.gif": (changed(encoded("GIF"), 6, b"\xff\xff\xff\xff"), "too large"),
        "bomb.bmp": (changed(encoded("BMP"), 18, struct.pack("<ii", 60_000, 60_000)), "too large"),
        "bomb.tif": (tag_changed(wide, "ImageLength", struct.pack("<H", 65_535)), "too large"),
        "bands_bomb.tif": (tag_changed(tiff(deep[:8, :8]), "SamplesPerPixel", b"\xff\xff"), "too large"),
        "bomb.dcm": (dicom_file(grey, Rows=65_535, Columns=65_535), "too large"),
        "tiny.png": (encoded("PNG", PIXELS[:4, :4]), "too small"),
        "line.png": (encoded("PNG", PIXELS[:1]), "too small"),
        "bands.tif": (tiff(deep), "number of bands"),
        "two_bands.tif": (tiff(deep[:, :, :2].copy()), "number of bands"),
        "volume.dcm": (dicom_file(grey, NumberOfFrames=12), "several frames"),
        "report.dcm": (b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0\0\0\0\0", "not an image"),
        "lossless.dcm": (compression_of_another(JPEGLSLossless), "needs a package"),
        "cut.dcm": (half(dicom_file(grey)), "damaged"),
        "reflectance.tif": (tiff((deep[:, :, 0] * 1.5).astype(np.float32)), "range of values"),
        "nan.tif": (tiff(np.full((48, 64), np.nan, np.float32)), "range of values"),
        "depth.tif": (tiff(deep[:, :, 0].astype(np.int32) - 9999), "range of values"),
        "large_numbers.tif": (tiff(deep[:, :, 0].astype(np.uint32) * 9999), "range of values"),
        "endless.tif": (endless_directory(), "damaged"),
        "far.tif": (tag_changed(tiff(deep), "StripOffsets", struct.pack("<I", 2**31)), "damaged"),
    }
    for kind, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("GIF", "gif"), ("WEBP", "webp"), ("BMP", "bmp")):
        files[f"cut.{suffix}"] = (half(encoded(kind)), "damaged")
    files["cut.tif"] = (half(tiff(deep, compression="zlib")), "damaged")
    files["cut.jp2"] = (half(encoded("JPEG2000")), "damaged")
    return files


def entries_that_are_no_files(folder: Path, elsewhere: Path) -> dict[str, str]:
    """Make links, pipes and the like; name -> kind of finding.

    Args:
        folder: Of a class.
        elsewhere: A folder outside DATA, with a file private.png.
    """
    made: dict[str, tuple[str, Callable[[Path], object]]] = {
        "gone.png": ("dangling_links", lambda path: path.symlink_to("nowhere.png")),
        "itself.png": ("dangling_links", lambda path: path.symlink_to("itself.png")),
        "private.png": ("outside", lambda path: path.symlink_to(elsewhere / "private.png")),
        "private": ("outside", lambda path: path.symlink_to(elsewhere)),
        "above": ("repeated_folders", lambda path: path.symlink_to("..")),
        "pipe.png": ("special_files", os.mkfifo),
        "raw.nef": ("unread_formats", lambda path: path.write_bytes(b"II*\0" + bytes(100))),
        ".hidden.png": ("hidden_images", lambda path: path.write_bytes(encoded("PNG"))),
        "notes.txt": ("not_images", lambda path: path.write_text("not an image")),
    }
    for name, (_, make) in made.items():
        make(folder / name)
    return {name: what for name, (what, _) in made.items()}
