"""Images in memory: read exactly as a file with the same content, and refused with the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.data.decoders.raster import decode
from headstart.data.sources.given_images import records_of
from headstart.data.sources.image_bytes import InputError, encoded
from headstart.errors import DataError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 18, 4), np.uint8)


def picture(mode: str) -> Image.Image:
    if mode.startswith("I;16"):
        return Image.fromarray(RNG.integers(0, 65536, (12, 10), np.uint16))
    if mode == "F":
        return Image.fromarray(RNG.random((12, 10), np.float32))
    if mode == "I":
        return Image.fromarray(RNG.integers(0, 65536, (12, 10), np.int32))
    return Image.fromarray(PIXELS, "RGBA").convert(mode)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *(("1", "png"), ("L", "png"), ("LA", "png"), ("P", "png"), ("RGB", "png"), ("RGBA", "png"), ("I;16", "png")),
        *(("F", "tif"), ("I", "tif"), ("CMYK", "tif")),
    ],
)
def test_every_mode_gives_the_pixels_of_its_file(mode: str, suffix: str, tmp_path: Path):
    image, file = picture(mode), tmp_path / f"a.{suffix}"
    image.save(file)
    assert np.array_equal(decode(encoded(image, name="x")), decode(file.read_bytes()))
    with Image.open(file) as opened:  # not loaded yet
        assert np.array_equal(decode(encoded(opened, name="x")), decode(file.read_bytes()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_phone_s_rotation_is_applied_once(orientation: int, tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture("RGB").save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        assert np.array_equal(decode(encoded(opened, name="x")), decode((tmp_path / "a.png").read_bytes()))


def test_transparent_colours_are_laid_over_white_as_in_files(tmp_path: Path):
    palette = picture("RGB").quantize(8)
    palette.save(tmp_path / "a.png", transparency=3)
    with Image.open(tmp_path / "a.png") as opened:
        assert np.array_equal(decode(encoded(opened, name="x")), decode((tmp_path / "a.png").read_bytes()))


def test_arrays_are_pixels():
    colour = PIXELS[:, :, :3]
    assert np.array_equal(decode(encoded(colour, name="x")), colour)
    assert np.array_equal(decode(encoded(colour[::-1, ::2], name="x")), colour[::-1, ::2])
    for grey in (PIXELS[:, :, 0], PIXELS[:, :, :1]):
        assert np.array_equal(decode(encoded(grey, name="x")), np.repeat(PIXELS[:, :, :1], 3, axis=2))
    layer = Image.fromarray(PIXELS, "RGBA")
    over_white = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    assert np.array_equal(decode(encoded(PIXELS, name="x")), np.asarray(over_white))


def test_what_a_batch_is(tmp_path: Path):
    grey, colour = RNG.integers(0, 256, (5, 9, 9), np.uint8), RNG.integers(0, 256, (5, 9, 9, 3), np.uint8)
    for batch in (grey, colour, list(colour), [*grey], list(grey[:3])):
        assert [record.id for record in records_of(batch, name="X")] == [f"X[{i}]" for i in range(len(batch))]
    assert len(records_of(colour[0])) == len(records_of(grey[0])) == len(records_of(b"x")) == 1
    bands, digits = np.zeros((5, 9, 9, 6), np.uint16), np.zeros((20, 8, 8), np.uint8)
    assert [len(records_of(one)) for one in (bands, bands[0], list(bands), digits)] == [5, 1, 5, 20]
    Image.fromarray(colour[0]).save(tmp_path / "b.png")
    Image.fromarray(colour[1]).save(tmp_path / "a.png")
    mixed = records_of([colour[2], tmp_path, str(tmp_path / "b.png")])
    assert [record.id for record in mixed] == ["images[0]", *(str(tmp_path / n) for n in ("a.png", "b.png", "b.png"))]
    assert len(records_of(np.array([str(tmp_path / "a.png"), str(tmp_path / "b.png")]))) == 2


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((9, 9, 3), np.float32), r"x is an array of float32 .* expected uint8 .* if the values are 0\.\.1"),
        (np.zeros((9, 9), bool), r"array of bool .* x\.astype\('uint8'\) \* 255"),
        (np.zeros((9, 9), np.uint16), r"array of uint16 .*x // 257"),
        (np.zeros((9, 9, 3), np.int64), r"array of int64 .* x\.astype\('uint8'\) if the values are 0\.\.255"),
        (np.zeros((3, 9, 9), np.uint8), r"shape \(3, 9, 9\); expected the channels last.* x\.transpose\(1, 2, 0\)"),
        (np.zeros((9, 9, 17), np.uint8), r"shape \(9, 9, 17\); expected \(H, W\) grey, .* choose some of the bands"),
        (np.zeros((9, 9, 5), np.int32), r"array of int32 with shape \(9, 9, 5\)"),
        (np.zeros((9,), np.uint8), r"shape \(9,\)"),
        (torch.zeros((3, 9, 9), dtype=torch.uint8), r"x is a tensor; expected a path, .* x\.permute\(1, 2, 0\)\.numpy"),
        (None, r"x is NoneType None; expected a path, the bytes"),
        (3.5, r"x is float 3\.5"),
        ("a.png", r"x is str 'a\.png'"),
    ],
)
def test_what_is_no_image_is_refused_with_the_way_out(image: Any, words: str):
    with pytest.raises(InputError, match=words):
        encoded(image, name="x")


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((3, 9, 9, 3)), r"images\[0\] is an array of float64"),
        (np.zeros((3, 9, 9), np.uint8), r"the channels last.* list\(x\) if these are 3 grey images"),
        (np.zeros((2, 3, 9, 9), np.uint8), r"images\[0\] is an array of shape \(3, 9, 9\); expected the channels last"),
        (np.zeros(9, np.uint8), r"images is an array of shape \(9,\)"),
        (torch.zeros((2, 3, 9, 9)), r"images is a tensor"),
        ({"a": 1}, r"images is dict"),
        (7, r"images is int 7"),
        ([b"x", None], r"images\[1\] is NoneType"),
    ],
)
def test_what_is_no_batch_is_refused(images: Any, words: str):
    with pytest.raises(InputError, match=words):
        records_of(images)


def test_a_path_that_is_not_there_is_named():
    with pytest.raises(DataError, match=r"nothing\.png does not exist"):
        records_of(["nothing.png"])
