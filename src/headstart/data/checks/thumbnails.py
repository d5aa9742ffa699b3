"""Small grey pictures of images, and how well two of them match when one may be a slightly smaller window of the other.

Fine structure is compared, not brightness: the local mean is taken away and the local contrast evened out, so that a
frame, a sky or a lung field that many images share does not count as a match.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from headstart.arrays import Floats

Thumbnail: TypeAlias = npt.NDArray[np.uint8]
"""SIDE x SIDE, grey, 0..255; the whole image, squeezed into a square."""
Thumbnails: TypeAlias = npt.NDArray[Any]
"""N thumbnails, of any side."""
Pairs: TypeAlias = npt.NDArray[np.int64]
"""(P, 2) positions."""
Window: TypeAlias = tuple[float, float, float]
"""Side as a share of the image's, and where it lies: share of the slack above it, share of the slack left of it."""

SIDE = 32
COARSE_SIDE = 16
_DESCRIPTOR_SIDE = 8
_FAINT = 3.0
"""Grey levels: contrast far below this is noise and is not raised to that of the rest."""
_SMALLEST_NORM = 1.0
"""Rows with less structure than this, of flat images, stay short and match nothing."""
_PAIRS_AT_A_TIME = 1024


def windows(scales: Sequence[float], places: Sequence[float]) -> tuple[Window, ...]:
    """The whole image, and each scale at each place of both axes."""
    return ((1.0, 0.0, 0.0), *((scale, y, x) for scale in scales for y in places for x in places))


COARSE_WINDOWS = windows((0.95, 0.9), (0, 0.5, 1))
_SCALE_STEP = 0.025
_PLACE_STEP = 0.25


def thumbnail(pixels: npt.NDArray[np.uint8]) -> Thumbnail:
    """SIDE x SIDE means of the green channel of an RGB image (H, W, 3), which holds most of its brightness."""
    # BOX averages whole pixels; sharper filters ring at edges, and a rescaled copy would ring elsewhere.
    small = Image.fromarray(pixels[:, :, 1]).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.uint8)


def shrunk(images_NSS: Thumbnails, side: int) -> Floats:  # noqa: N803 - shapes
    """Means of squares: (N, side, side); `side` divides S."""
    count, whole, _ = images_NSS.shape
    step = whole // side
    return np.asarray(images_NSS.reshape(count, side, step, side, step).mean(axis=(2, 4)), np.float32)


def descriptors(images_NSS: Thumbnails) -> Floats:  # noqa: N803
    """Rows of length 1 (N, 64) whose products tell which pairs are worth a closer look."""
    # Without the local mean: otherwise all images with a bright sky would be each other's nearest.
    small = shrunk(images_NSS, _DESCRIPTOR_SIDE)
    local = _box(_DESCRIPTOR_SIDE, 1)
    return _unit(small - local @ small @ local.T)


def match(images_NSS: Thumbnails, pairs_P2: Pairs, tried: Sequence[Window]) -> tuple[Floats, Pairs]:  # noqa: N803
    """(P,) and (P,): correlation of fine structure, -1..1, of each pair, and the window that reached it.

    Args:
        images_NSS: N square images of one side.
        pairs_P2: Positions: of the image that is seen through windows, and of the other, which is seen whole.
        tried: Windows.
    """
    best, which = np.full(len(pairs_P2), -1.0, np.float32), np.zeros(len(pairs_P2), np.int64)
    # Sorted by the first image, so that a window of it is cut once for all its pairs in a block.
    order = np.argsort(pairs_P2[:, 0], kind="stable")
    for start in range(0, len(order), _PAIRS_AT_A_TIME):
        some = order[start : start + _PAIRS_AT_A_TIME]
        ids, position = np.unique(pairs_P2[some, 0], return_inverse=True)
        whole = _detail(np.asarray(images_NSS[pairs_P2[some, 1]], np.float32))
        seen = np.asarray(images_NSS[ids], np.float32)
        for index, window in enumerate(tried):
            reached = np.einsum("pd,pd->p", _view(seen, window)[position], whole)
            better = reached > best[some]
            best[some[better]], which[some[better]] = reached[better], index
    return best, which


def around(window: Window) -> tuple[Window, ...]:
    """Windows a little larger, smaller or moved; of the whole image, windows that nearly are."""
    scale, y, x = window
    if scale == 1:
        return windows((1 - _SCALE_STEP,), (0, 0.5, 1))
    scales = [scale + step for step in (-_SCALE_STEP, 0, _SCALE_STEP)]
    rows, columns = ([p for p in (v - _PLACE_STEP, v, v + _PLACE_STEP) if 0 <= p <= 1] for v in (y, x))
    return tuple((s, a, b) for s in scales for a in rows for b in columns)


def _view(images_NSS: Floats, window: Window) -> Floats:  # noqa: N803
    """(N, S * S): what a window shows, as rows of length 1."""
    scale, y, x = window
    side = images_NSS.shape[-1]
    return _detail(_window(side, scale, y) @ images_NSS @ _window(side, scale, x).T)


def _detail(images_NSS: Floats) -> Floats:  # noqa: N803
    """Fine structure with evened contrast, as rows of length 1: (N, S * S)."""
    side = images_NSS.shape[-1]
    near, wide = _box(side, side // 8), _box(side, side // 4)
    fine = images_NSS - near @ images_NSS @ near.T
    contrast = np.sqrt(np.maximum(wide @ (fine * fine) @ wide.T, 0))
    even = fine / (contrast + _FAINT)
    # Frames, rulings and horizons, which are lines along an axis, say little: two images may well share them.
    even -= even.mean(axis=1, keepdims=True) + even.mean(axis=2, keepdims=True)
    return _unit(even)


def _unit(images_NSS: Floats) -> Floats:  # noqa: N803
    rows = images_NSS.reshape(len(images_NSS), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _SMALLEST_NORM), np.float32)


@cache
def _box(side: int, radius: int) -> Floats:
    """(side, side): the mean over neighbours up to `radius` away, fewer at the ends."""
    index = np.arange(side)
    near = (np.abs(index[:, None] - index) <= radius).astype(np.float32)
    return np.asarray(near / near.sum(axis=1, keepdims=True), np.float32)


@cache
def _window(side: int, scale: float, place: float) -> Floats:
    """(side, side): a window of `scale * side` pixels, resampled to `side` pixels linearly."""
    width = side * scale
    centres = (side - width) * place + (np.arange(side) + 0.5) * scale - 0.5
    centres = np.clip(centres, 0, side - 1)
    # Never the last pixel, because `low + 1` must exist; its weight is then 1.
    low = np.minimum(centres.astype(np.int64), side - 2)
    weights = np.zeros((side, side), np.float32)
    weights[np.arange(side), low] = 1 - (centres - low)
    weights[np.arange(side), low + 1] += centres - low
    return weights
