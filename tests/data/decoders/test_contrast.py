"""CLAHE: OpenCV's values to the bit, colours that stay, and the same picture from deep files."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from headstart.data.decoders.contrast import equalised, with_contrast
from headstart.data.decoders.decoded import Decoded, UnreadableImageError, decoded_integers
from headstart.data.decoders.raster import decode
from headstart.input_spec import Decoding


def patterns(shape: tuple[int, int]) -> list[np.ndarray]:
    """A pattern that uses all levels everywhere, and one with a gradient."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return [((x * y + 3 * x + 7 * y * y) % 256).astype(np.uint8), ((x * 2 + y) // 3 % 256).astype(np.uint8)]


def grey(tone: np.ndarray) -> Decoded:
    return Decoded(np.repeat(tone[:, :, None], 3, axis=2), "PNG")


@pytest.mark.parametrize(
    ("shape", "digests"),
    [
        ((64, 64), ("78370e189ab7d085", "08cc8a4ce991ddb6")),
        ((101, 77), ("0f31d1a7969d2826", "971afdfb73ae96cc")),
        ((96, 130), ("d941531cea104554", "ff3fcd9adb64a563")),  # one side is a multiple of eight, the other is not
    ],
)
def test_values_are_those_of_opencv(shape: tuple[int, int], digests: tuple[str, str]):
    """The digests were computed with OpenCV 5.0.0, createCLAHE(2.0, (8, 8))."""
    for tone, digest in zip(patterns(shape), digests, strict=True):
        found = equalised(tone.astype(np.float32)).astype(np.uint8)
        assert hashlib.sha256(found.tobytes()).hexdigest()[:16] == digest
        pixels = with_contrast(grey(tone), "clahe").pixels
        assert np.array_equal(pixels, np.repeat(found[:, :, None], 3, axis=2)), "grey stays grey"


def test_flat_regions_gain_contrast_and_the_cut_keeps_noise_small():
    rng = np.random.default_rng(0)
    x = np.arange(128)[None, :]
    faint = 100 + 4 * np.sin(x / 3) + rng.normal(0, 0.5, (128, 128))
    found = with_contrast(grey(faint.astype(np.uint8)), "clahe").pixels[..., 0].astype(float)
    assert found.std() > 1.5 * faint.std()
    assert np.ptp(found) < 128, "an equalisation without a limit would fill all levels"


def test_colours_keep_their_differences_and_only_brightness_moves():
    y, x = np.mgrid[:64, :64]
    tone = 90 + (x + y) // 4
    pixels = np.stack([tone + 30, tone, tone - 20], axis=2).astype(np.uint8)
    found = with_contrast(Decoded(pixels, "PNG"), "clahe").pixels.astype(int)
    inside = (found.min(axis=2) > 0) & (found.max(axis=2) < 255)
    assert inside.mean() > 0.5
    assert not np.array_equal(found, pixels)
    for a, b in ((0, 1), (1, 2)):
        moved = (found[..., a] - found[..., b]) - (pixels[..., a].astype(int) - pixels[..., b])
        assert np.abs(moved[inside]).max() == 0


def test_a_deep_file_and_its_copy_of_8_bits_give_nearly_the_same_picture():
    y, x = np.mgrid[:96, :96]
    tone = 128 + 90 * np.sin(x / 11) * np.cos(y / 17)
    deep = decoded_integers((tone * 257)[:, :, None].astype(np.uint16), "PNG", white=65535, bits=None)
    assert deep.bands is not None
    found = with_contrast(deep, "clahe").bands
    flat = with_contrast(grey(np.rint(tone).astype(np.uint8)), "clahe").pixels[..., :1] / 255
    assert found is not None
    assert found.shape == (96, 96, 1)
    assert np.abs(found - flat).mean() < 0.01
    assert len(np.unique(found)) > 1_000, "the bits of the file stay"


def test_three_deep_bands_move_together_and_other_numbers_are_refused():
    rng = np.random.default_rng(0)
    bands = rng.uniform(0.3, 0.6, (32, 32, 3)).astype(np.float32)
    found = with_contrast(Decoded(np.zeros((32, 32, 3), np.uint8), "TIFF", bands), "clahe").bands
    assert found is not None
    assert found.dtype == np.float32
    five = Decoded(np.zeros((32, 32, 3), np.uint8), "TIFF", np.zeros((32, 32, 5), np.float32))
    with pytest.raises(UnreadableImageError, match=r"5 bands: --contrast clahe is for grey and colour"):
        with_contrast(five, "clahe")


def test_the_reader_applies_it_where_it_was_chosen_only():
    out = io.BytesIO()
    Image.fromarray(patterns((64, 64))[1]).save(out, "PNG")
    plain = decode(out.getvalue())
    assert np.array_equal(plain, decode(out.getvalue(), decoding=Decoding(contrast="file")))
    equal = decode(out.getvalue(), decoding=Decoding(contrast="clahe"))
    assert np.array_equal(equal, with_contrast(grey(plain[..., 0]), "clahe").pixels)
    assert not np.array_equal(equal, plain)
