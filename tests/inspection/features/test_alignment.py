"""Alignment of images with their mirrored, turned, rescaled and cropped copies, and with other images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from headstart.inspection.features.alignment import SMALL_SIDE, FineStructure, align, small_grey, structure


def picture(seed: int, size: tuple[int, int] = (240, 180)) -> Image.Image:
    """Noise with structure at several sizes."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0], 3))
    for cells in (6, 15, 40):
        noise = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        total += np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC), float)
    return Image.fromarray((total / 3).astype(np.uint8))


def seen(image: Image.Image) -> FineStructure:
    found = structure(small_grey(np.asarray(image)))
    assert found is not None
    return found


def turned(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC)


def cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((round(0.15 * width), round(0.05 * height), round(0.95 * width), round(0.85 * height)))


COPIES = {
    "same": (lambda image: image, False, 0, 1.0),
    "mirrored": (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), True, 0, 1.0),
    "turned": (lambda image: turned(image, 10), False, 10, 1.0),
    "turned back": (lambda image: turned(image, -7), False, 7, 1.0),
    "rescaled": (lambda image: image.resize((110, 83)), False, 0, 1.0),
    "blurred": (lambda image: image.filter(ImageFilter.GaussianBlur(1)), False, 0, 1.0),
    "cropped": (cropped, False, 0, 0.8),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_matches_and_its_placing_is_found(name):
    alter, mirrored, degrees, scale = COPIES[name]
    for seed in range(2):
        found = align(seen(picture(seed)), seen(alter(picture(seed))))
        assert found.match > 0.85
        assert found.placing.mirrored == mirrored
        assert abs(abs(found.placing.turn) - degrees) < 1
        # Either image may be the one that is sought in the other.
        assert min(abs(found.placing.scale - scale), abs(found.placing.scale - 1 / scale)) < 0.03
        assert found.is_plain == (name in ("same", "rescaled", "blurred"))


def test_other_images_do_not_match():
    pictures = [seen(picture(seed)) for seed in range(6)]
    matches = [align(a, b).match for at, a in enumerate(pictures) for b in pictures[:at]]
    assert max(matches) < 0.6


def test_match_is_the_same_in_both_orders():
    first, second = seen(picture(0)), seen(cropped(turned(picture(0), 5)))
    assert align(first, second).match == align(second, first).match


def test_flat_images_and_strips_have_nothing_to_compare():
    assert structure(small_grey(np.full((50, 60, 3), 120, np.uint8))) is None
    assert structure(small_grey(np.asarray(picture(0, (400, 40))))) is None


@pytest.mark.parametrize("size", [(300, 200), (20, 32), (128, 128), (1, 500)])
def test_longer_side_of_the_small_image_is_fixed(size):
    assert max(small_grey(np.zeros((size[1], size[0], 3), np.uint8)).shape) == SMALL_SIDE
