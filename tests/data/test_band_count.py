"""The number of bands of a set is that of most of its first TIFF files."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
import pytest
import tifffile

from headstart.data.band_count import band_count, with_band_count
from headstart.data.sources.dataset import ImageRecord
from headstart.errors import PlanError
from headstart.input_spec import Decoding


def tiff(bands: int, **options: object) -> bytes:
    buffer = io.BytesIO()
    shape = (8, 8, bands) if bands > 1 else (8, 8)
    layout = {"photometric": "minisblack", **({"planarconfig": "contig"} if bands > 1 else {})}
    tifffile.imwrite(buffer, np.zeros(shape, np.uint16), **{**layout, **options})
    return buffer.getvalue()


def record(name: str, content: bytes) -> ImageRecord:
    return ImageRecord(name, "a", "all", content=content)


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5, 13])
def test_bands_of_the_header(bands: int):
    assert band_count([record("a.tif", tiff(bands))]) == bands


def test_transparency_is_no_band():
    assert band_count([record("a.tif", tiff(4, photometric="rgb", extrasamples=["unassalpha"]))]) == 3


def test_most_of_some_images_decide_and_broken_ones_do_not_count():
    records = [record(f"{i}.tif", tiff(5)) for i in range(3)]
    assert band_count([record("x.tif", b"II*\0broken"), record("y.tiff", tiff(3)), *records]) == 5


def test_a_stray_tile_among_photos_makes_no_bands_of_them():
    photos = [record(f"{i}.jpg", b"\xff\xd8\xff") for i in range(12)]
    assert band_count([record("0.tif", tiff(5)), *photos]) == 3


def test_names_without_a_suffix_are_looked_into():
    assert band_count([record("17", tiff(5))]) == 5
    assert band_count([record("17", b"\xff\xd8\xff")]) is None


@dataclass
class Place:
    read_by: list[str] = field(default_factory=list)

    def read(self) -> bytes:
        self.read_by.append("someone")
        return b""


def test_files_of_other_formats_are_not_read():
    place = Place()
    assert band_count([ImageRecord("a.jpg", "a", "all", location=place)]) == 3
    assert not place.read_by


def expected(channels: str = "auto", bands: tuple[int, ...] | None = None, *, in_files: int = 5) -> int | None:
    decoding = Decoding(bands=bands, band_count=len(bands) if bands and len(bands) not in (1, 3) else None)
    return with_band_count(decoding, [record("a.tif", tiff(in_files))], channels=channels).band_count  # type: ignore[arg-type]


def test_one_and_three_bands_are_plain_unless_a_way_is_named():
    assert [expected(in_files=count) for count in (1, 2, 3, 4, 16)] == [None, 2, None, 4, 16]
    assert expected("learned", in_files=3) == 3
    assert expected("learned", in_files=1) is None
    assert expected(in_files=20) is None


def test_chosen_bands_are_those_that_count():
    assert expected(bands=(3, 2, 1)) is None
    assert expected("repeat", bands=(3, 2, 1)) == 3
    assert expected(bands=(5, 1)) == 2


def test_plain_is_of_one_or_three_bands():
    assert expected("plain", in_files=5) is None
    with pytest.raises(PlanError, match="must be one number for grey or three"):
        expected("plain", bands=(5, 1))
