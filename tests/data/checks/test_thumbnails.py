"""Small grey pictures and how well they match."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.data.checks.thumbnails import (
    COARSE_WINDOWS,
    SIDE,
    around,
    descriptors,
    match,
    shrunk,
    thumbnail,
    windows,
)
from near_copies import brightened, cropped, pixels_of, recompressed, rescaled, scene

PAIR = np.array([[0, 1]])


def thumbnails_of(*images: object) -> np.ndarray:
    return np.stack([thumbnail(pixels_of(image)) for image in images])  # type: ignore[arg-type]


def test_a_thumbnail_holds_the_means_of_squares_of_the_green_channel():
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE * 3, SIDE * 2, 3), dtype=np.uint8)
    expected = pixels[:, :, 1].reshape(SIDE, 3, SIDE, 2).mean(axis=(1, 3))
    assert np.abs(thumbnail(pixels) - expected).max() <= 1, "Pillow rounds after each axis"
    assert thumbnail(pixels).dtype == np.uint8


def test_shrinking_takes_means_of_squares():
    images = np.arange(2 * 4 * 4).reshape(2, 4, 4)
    assert shrunk(images, 2)[1].tolist() == [[18.5, 20.5], [26.5, 28.5]]


@pytest.mark.parametrize("changed", [recompressed, rescaled, brightened])
def test_a_copy_matches_and_another_scene_does_not(changed):
    images = thumbnails_of(scene(1), changed(scene(1)), scene(2))
    whole = windows((), ())
    assert match(images, PAIR, whole)[0][0] > 0.95
    assert match(images, np.array([[0, 2]]), COARSE_WINDOWS)[0][0] < 0.6


def test_a_cropped_copy_matches_through_the_window_that_it_shows():
    images = thumbnails_of(scene(1), cropped(scene(1)))
    whole = match(images, PAIR, windows((), ()))[0][0]
    found, which = match(images, PAIR, COARSE_WINDOWS)
    scale, y, x = COARSE_WINDOWS[which[0]]
    assert scale < 1
    assert y <= 0.5 <= x
    assert whole < found[0]
    assert match(images, PAIR, around((scale, y, x)))[0][0] >= max(found[0], 0.85)


def test_what_many_pairs_reach_is_what_each_reaches_alone():
    images = thumbnails_of(*(scene(seed, side=64) for seed in range(7)))
    pairs = np.array([(a, b) for a in range(7) for b in range(7) if a != b])
    together = match(images, pairs, COARSE_WINDOWS)
    for index, pair in enumerate(pairs):
        alone = match(images, pair[None], COARSE_WINDOWS)
        assert together[0][index] == pytest.approx(alone[0][0], abs=1e-5)
        assert together[1][index] == alone[1][0]


def test_frames_and_flat_images_are_no_match():
    framed = [pixels_of(scene(seed)).copy() for seed in (1, 2)]
    for pixels in framed:
        pixels[:12], pixels[-12:], pixels[:, :12], pixels[:, -12:] = 0, 0, 0, 0
    images = np.stack([thumbnail(pixels) for pixels in framed])
    assert match(images, PAIR, COARSE_WINDOWS)[0][0] < 0.5
    flat = np.full((2, SIDE, SIDE), 77, np.uint8)
    assert match(flat, PAIR, COARSE_WINDOWS)[0][0] == pytest.approx(0, abs=1e-3)


def test_descriptors_are_rows_of_length_one_and_nearest_for_copies():
    images = thumbnails_of(scene(1), recompressed(scene(1)), scene(2), scene(3))
    rows = descriptors(images)
    assert rows.shape == (4, 64)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert (rows[0] @ rows.T).argsort()[-2] == 1


def test_windows_around_a_window_stay_inside_the_image():
    for window in COARSE_WINDOWS:
        for scale, y, x in around(window):
            assert 0.8 < scale <= 1
            assert 0 <= y <= 1
            assert 0 <= x <= 1
    assert (0.95, 0.5, 0.0) in around((0.95, 0.5, 0.0))
