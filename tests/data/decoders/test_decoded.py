"""Bands, bits and rotation of decoded values, and the limits of size."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.data.decoders.decoded import (
    LARGEST_PIXELS,
    FaultKind,
    UnreadableImageError,
    check_size,
    chosen_bands,
    decoded_bands,
    decoded_integers,
    library_faults,
    over_white,
    picture_of,
    upright,
)
from headstart.errors import MissingExtraError
from headstart.input_spec import Decoding

RNG = np.random.default_rng(0)


def fault(function: object, *given: object, **named: object) -> UnreadableImageError:
    with pytest.raises(UnreadableImageError) as caught:
        function(*given, **named)  # type: ignore[operator]
    return caught.value


def test_bands_are_counted_from_1_and_one_or_three_need_no_choice():
    five = RNG.integers(0, 9, (4, 5, 5))
    assert np.array_equal(chosen_bands(five, Decoding(bands=(5, 1), band_count=2)), five[:, :, [4, 0]])
    for count in (1, 3):
        assert chosen_bands(five[:, :, :count], Decoding()).shape[2] == count
    for count in (2, 4, 5):
        assert fault(chosen_bands, five[:, :, :count], Decoding()).kind is FaultKind.BANDS
    assert str(fault(chosen_bands, five[:, :, :1], Decoding(bands=(2,)))) == "1 band, and band 2 was chosen"


def test_the_expected_number_of_bands_is_read_and_another_one_is_refused_with_both_numbers():
    five = RNG.integers(0, 9, (4, 5, 5))
    assert np.array_equal(chosen_bands(five, Decoding(band_count=5)), five)
    assert str(fault(chosen_bands, five, Decoding(band_count=4))) == "5 bands, and 4 are expected"


def test_the_picture_of_bands_shows_the_third_second_and_first_at_full_brightness():
    shares = RNG.random((6, 7, 5)) * 0.1
    shown = picture_of(shares)
    assert shown.max() == 255
    assert np.abs(shown / 255 - shares[:, :, 2::-1] / shares[:, :, :3].max()).max() <= 0.5 / 255 + 1e-9
    two = picture_of(shares[:, :, :2])
    assert (two[:, :, 0] == two[:, :, 2]).all()
    assert not picture_of(np.zeros((2, 2, 4))).any()


@pytest.mark.parametrize("tag", range(1, 9))
def test_each_rotation_is_undone(tag: int):
    stored = RNG.integers(0, 9, (3, 4, 2))
    swapped = stored.transpose(1, 0, 2)
    expected = {
        **{1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1]},
        **{5: swapped, 6: swapped[:, ::-1], 7: swapped[::-1, ::-1], 8: swapped[::-1]},
    }
    assert np.array_equal(upright(stored, tag), expected[tag])
    assert np.array_equal(upright(stored, 99), stored)


def test_values_that_8_bits_hold_stay_bytes_and_others_keep_all_bits():
    levels = RNG.integers(0, 256, (9, 9, 1))
    shallow = decoded_integers((levels * 257).astype(np.uint16), "PNG", white=65_535, bits=None)
    assert shallow.bands is None
    assert shallow.values is shallow.pixels
    assert np.array_equal(shallow.pixels[:, :, 1], levels[:, :, 0])
    deep = decoded_integers((levels * 16).astype(np.uint16), "PNG", white=65_535, bits=12)
    assert deep.bands is not None
    assert deep.values is deep.bands
    assert np.allclose(deep.bands, levels * 16 / 4095, atol=1e-7)
    assert (deep.largest, deep.white, deep.deep_grey) == (int(levels.max()) * 16, 4095, True)
    assert decoded_bands(np.full((9, 9, 3), 0.5), "X").bands is not None


@pytest.mark.parametrize("values", [[-1.0, 0], [0, 70_000], [0, 5000]])
def test_values_outside_the_range_are_refused(values: list[float]):
    image = np.array(values, np.int64)[:, None, None]
    assert fault(decoded_integers, image, "X", white=4095, bits=None).kind is FaultKind.VALUES


def test_what_is_laid_over_white():
    values, alpha = np.full((2, 2, 1), 0.25), np.array([[0, 1], [0.5, 1]])
    mixed, veiled = over_white(values, alpha)
    assert mixed[:, :, 0].tolist() == [[1, 0.25], [0.625, 0.25]]
    assert veiled == 0.25


def test_sizes_are_limited_before_anything_is_unpacked():
    check_size(8, 8)
    check_size(LARGEST_PIXELS // 8, 8, 3)
    assert fault(check_size, 7, 100).kind is FaultKind.TOO_SMALL
    for size in ((LARGEST_PIXELS, 2, 1), (LARGEST_PIXELS // 8, 8, 4), (8, 8, 600)):
        assert fault(check_size, *size).kind is FaultKind.TOO_LARGE


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (KeyError("tag"), FaultKind.DAMAGED, r"broken or truncated \('tag'\)"),
        (MissingExtraError("no pydicom"), FaultKind.NEEDS_PACKAGE, "a file needs a package: no pydicom"),
        (UnreadableImageError("too dark", FaultKind.VALUES), FaultKind.VALUES, "too dark"),
    ],
)
def test_what_a_library_raises_becomes_the_reason(raised: Exception, kind: FaultKind, words: str):
    with pytest.raises(UnreadableImageError, match=words) as found, library_faults("a file needs a package"):
        raise raised
    assert found.value.kind is kind


def test_no_memory_is_no_fault_of_the_file():
    with pytest.raises(MemoryError), library_faults("a file"):
        raise MemoryError
