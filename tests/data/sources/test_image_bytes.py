"""Images in memory as bytes of a file; more is tested with records, in test_given_images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from headstart.data.decoders.raster import decode, decode_with_facts
from headstart.data.sources.image_bytes import (
    InputError,
    encoded,
    is_band_array,
    is_in_memory,
    is_one_image,
    refuse_channels_first,
)
from headstart.input_spec import Decoding


def test_pixels_come_back_bit_for_bit() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    assert np.array_equal(decode(encoded(pixels, name="x")), pixels)
    assert encoded(pixels, name="x") == encoded(pixels, name="y"), "the same pixels have the same hash"
    assert np.array_equal(decode(encoded(Image.fromarray(pixels), name="x")), pixels)


def test_what_is_one_image_is_known() -> None:
    known = [is_in_memory(one) for one in (b"x", np.zeros((2, 2)), np.zeros((1, 2, 2, 3)), "path")]
    assert known == [True, True, False, False]


def test_channels_first_are_refused_with_the_way_out() -> None:
    with pytest.raises(InputError, match=r"transpose\(1, 2, 0\)"):
        refuse_channels_first(np.zeros((3, 9, 9), np.uint8), "x")


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "f4", "f8"])
def test_bands_come_back_with_all_their_bits(dtype: str) -> None:
    whites = {"u1": 2**8 - 1, "u2": 2**16 - 1, ">u2": 2**16 - 1}
    bands = (np.random.default_rng(0).random((9, 11, 5)) * whites.get(dtype, 1)).astype(dtype)
    found = decode_with_facts(encoded(bands, name="x"), decoding=Decoding(band_count=5)).values
    assert found == pytest.approx(bands.astype(np.float32) / whites.get(dtype, 1), abs=1e-6)


def test_which_arrays_are_bands() -> None:
    photos = [((9, 9, 1), "u1"), ((9, 9, 3), "u2"), ((9, 9, 4), "u1"), ((9, 9), "u2"), ((9, 9, 17), "u2")]
    bands = [((9, 9, 2), "u1"), ((9, 9, 4), "u2"), ((9, 9, 16), "f4"), ((9, 9, 5), "u1")]
    assert not any(is_band_array(np.dtype(dtype), shape) for shape, dtype in photos)
    assert all(is_band_array(np.dtype(dtype), shape) for shape, dtype in bands)
    assert not is_band_array(np.dtype("i4"), (9, 9, 5))


def test_three_dimensions_are_bands_where_the_last_is_the_shortest() -> None:
    one = [np.zeros((9, 9)), np.zeros((9, 9, 3)), np.zeros((20, 20, 5))]
    several = [np.zeros((20, 8, 8)), np.zeros((20, 20, 20)), np.zeros((2, 9, 9, 5))]
    assert [is_one_image(images) for images in (*one, *several)] == [True] * 3 + [False] * 3
