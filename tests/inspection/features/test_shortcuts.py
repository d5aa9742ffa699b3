from __future__ import annotations

import numpy as np
import pytest

from headstart.inspection.features.shortcuts import SHORTCUT, find_shortcuts
from marked_images import checked_noise, encoded


def corner(pixels: np.ndarray) -> np.ndarray:
    marked = pixels.copy()
    marked[:6, -6:] = 255
    return marked


def border(pixels: np.ndarray) -> np.ndarray:
    marked = pixels.copy()
    for edge in (marked[:2], marked[-2:], marked[:, :2], marked[:, -2:]):
        edge[...] = (200, 30, 30)
    return marked


def test_images_without_a_mark_raise_nothing():
    assert find_shortcuts(checked_noise(lambda pixels, _: encoded(pixels))) == []


@pytest.mark.parametrize(
    ("mark", "part"),
    [
        (corner, "top right corner alone tells class"),
        (border, "edge alone tells class"),
        (lambda pixels: pixels[:, :60], "width and height alone tell class"),
        (lambda pixels: np.clip(pixels.astype(int) + 70, 0, 255).astype(np.uint8), "brightness and colour alone tell"),
    ],
)
def test_the_part_that_carries_the_mark_is_named_first(mark, part):
    images = checked_noise(lambda pixels, label: encoded(mark(pixels) if label == "b" else pixels))
    first, *_ = find_shortcuts(images)
    assert first.what == SHORTCUT
    assert first.level == "warning"
    assert part in first.evidence
    assert set(first.images[0]) <= {record.id for record in images.records}
    assert len(first.images[0]) > 50


def test_another_quality_of_compression_is_named():
    images = checked_noise(lambda pixels, label: encoded(pixels, quality=70 if label == "b" else 80))
    found = [finding.evidence for finding in find_shortcuts(images)]
    assert any("file format, compression and tags alone tell" in evidence for evidence in found)


def test_sizes_are_said_in_pixels():
    first, *_ = find_shortcuts(checked_noise(lambda pixels, label: encoded(pixels[:, :60] if label == "b" else pixels)))
    assert "60 x 64 pixels" in first.evidence
    assert "64 x 64 pixels" in first.evidence


def test_a_mark_of_few_groups_proves_nothing():
    """Six patients, all images of three of whom carry a mark: that these have class b may be chance."""
    groups = {f"{'ab'[index % 2]}/{index}": f"patient {index % 6}" for index in range(160)}
    images = checked_noise(lambda pixels, label: encoded(corner(pixels) if label == "b" else pixels), groups=groups)
    assert find_shortcuts(images) == []


def test_classes_of_fewer_groups_than_folds_are_left_out():
    images = checked_noise(lambda pixels, label: encoded(corner(pixels) if label == "b" else pixels), count=8)
    assert find_shortcuts(images) == []
