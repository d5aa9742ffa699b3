"""Images in memory as bytes of a file; more is tested with records, in test_given_images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from headstart.data.decoders.raster import decode
from headstart.data.sources.image_bytes import InputError, encoded, is_in_memory, refuse_channels_first


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
