"""Parts of an image that should not tell its class by themselves, as rows of numbers: edge, corners, colour, file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Literal, TypeAlias

import numpy as np

from headstart.arrays import Doubles, Floats, Singles
from headstart.data.decoders.file_traces import FileTraces
from headstart.inspection.features.small_views import VIEW_SIDE, Views

FRAME = 2
"""Pixels of a view: a frame of 4 % of the side."""
CORNER = 8
"""Pixels of a view: a square of a sixth of the side."""
_REACH = 3
"""Pixels of a view to each side: the surroundings of a pixel."""
_COARSE = 6
_LEVELS = 16
_MOST_VALUES = 24
"""Values of a property that have a column each; the others are one."""
_RANGES = 8

Detail: TypeAlias = Literal["plain", "fine"]
"""Pixels as they are, or without the mean of their surroundings."""


def frame_rows(views_NSSC: Views, *, inset: int = 0, detail: Detail = "plain") -> Floats:  # noqa: N803 - shapes
    """(N, F) pixels of a frame of FRAME pixels, `inset` pixels inside; along it two are one.

    Args:
        views_NSSC: Views.
        inset: Pixels of a view; 0 is the outermost.
        detail: plain gives the pixels, fine what is left of them without the mean of their surroundings.
    """
    inside, outside = slice(inset, inset + FRAME), slice(VIEW_SIDE - inset - FRAME, VIEW_SIDE - inset)
    along = slice(inset, VIEW_SIDE - inset)
    areas = [(inside, along), (outside, along), (along, inside), (along, outside)]
    strips = [_area(views_NSSC, down, across, detail) for down, across in areas]
    # Depth is kept, because a line of one pixel at the edge is a mark; along the edge pairs are enough.
    deep = [strip if at < 2 else strip.swapaxes(1, 2) for at, strip in enumerate(strips)]
    paired = [strip.reshape(len(strip), FRAME, -1, 2, 3).mean(axis=3) for strip in deep]
    return np.concatenate([strip.reshape(len(strip), -1) for strip in paired], axis=1)


def square_rows(views_NSSC: Views, top: int, left: int, *, detail: Detail = "plain") -> Floats:  # noqa: N803
    """(N, F) pixels of a square of CORNER pixels a side.

    Args:
        views_NSSC: Views.
        top: Row of its upper edge.
        left: Column of its left edge.
        detail: plain gives the pixels, fine what is left of them without the mean of their surroundings.
    """
    square = _area(views_NSSC, slice(top, top + CORNER), slice(left, left + CORNER), detail)
    return np.asarray(square.reshape(len(square), -1))


def _area(views_NSSC: Views, down: slice, across: slice, detail: Detail) -> Floats:  # noqa: N803
    """(N, H, W, 3) part of the views."""
    if detail == "plain":
        return np.asarray(views_NSSC[:, down, across], np.float32)
    # Of what an image shows little is left, and its sign is by chance; a mark stays, because it is at one place always.
    near = [slice(max(0, side.start - _REACH), min(VIEW_SIDE, side.stop + _REACH)) for side in (down, across)]
    cut = views_NSSC[:, near[0], near[1]].astype(np.float32)
    means = [_local_means(side, around) for side, around in zip((down, across), near, strict=True)]
    smooth = np.tensordot(np.tensordot(cut, means[0], axes=(1, 1)), means[1], axes=(1, 1))
    return np.asarray(views_NSSC[:, down, across] - smooth.transpose(0, 2, 3, 1), np.float32)


def _local_means(side: slice, around: slice) -> Singles:
    """(len(side), len(around)) means over at most _REACH pixels to both sides."""
    places, seen = np.arange(side.start, side.stop), np.arange(around.start, around.stop)
    near = np.abs(places[:, None] - seen) <= _REACH
    return np.asarray(near / near.sum(axis=1, keepdims=True), np.float32)


def colour_rows(views_NSSC: Views) -> Floats:  # noqa: N803
    """(N, F) mean, deviation and histogram of each colour; where a pixel lies is lost."""
    pixels = views_NSSC.reshape(len(views_NSSC), -1, 3)
    bins = (pixels // (256 // _LEVELS)).astype(np.int64)
    shares = [np.stack([(bins[:, :, c] == level).mean(axis=1) for level in range(_LEVELS)], axis=1) for c in range(3)]
    as_floats = pixels.astype(np.float32)
    return np.concatenate([as_floats.mean(axis=1), as_floats.std(axis=1), *np.sqrt(shares)], axis=1)


def coarse_rows(views_NSSC: Views) -> Floats:  # noqa: N803
    """(N, F) means of 6 x 6 squares: light and dark, and where; no shape is left."""
    step = VIEW_SIDE // _COARSE
    parted = views_NSSC.reshape(len(views_NSSC), _COARSE, step, _COARSE, step, 3)
    return np.asarray(parted.mean(axis=(2, 4), dtype=np.float32).reshape(len(views_NSSC), -1))


def size_rows(traces: Sequence[FileTraces]) -> Doubles:
    """(N, F) width, height and shape: as numbers, as ranges, and the commonest by name."""
    width = np.array([max(1, trace.width) for trace in traces], np.float64)
    height = np.array([max(1, trace.height) for trace in traces], np.float64)
    logs = [np.log(width), np.log(height), np.log(width / height), np.log(width * height)]
    named = _named([(trace.width, trace.height) for trace in traces])
    return np.concatenate([*(_ranges(each) for each in logs), named], axis=1)


def bytes_rows(traces: Sequence[FileTraces]) -> Doubles:
    """(N, F) bytes of the file, and bytes a pixel: as numbers and as ranges."""
    encoded = np.array([max(1, trace.encoded_bytes) for trace in traces], np.float64)
    pixels = np.array([max(1, trace.width * trace.height) for trace in traces], np.float64)
    return np.concatenate([_ranges(np.log(encoded)), _ranges(np.log(encoded / pixels))], axis=1)


def format_rows(traces: Sequence[FileTraces]) -> Doubles:
    """(N, F) format, compression and tags, the commonest by name."""
    kinds, compressions = [trace.kind for trace in traces], [trace.compression for trace in traces]
    return np.concatenate([_named(kinds), _named(compressions), _named([trace.tags for trace in traces])], axis=1)


def _named(values: Sequence[Hashable]) -> Doubles:
    """(N, V) 1 for the value that each has, of the commonest; the others are 0 everywhere."""
    known = [value for value, _ in Counter(values).most_common(_MOST_VALUES)]
    place = {value: column for column, value in enumerate(known)}
    rows = np.zeros((len(values), len(known)))
    for row, value in enumerate(values):
        if value in place:
            rows[row, place[value]] = 1
    return rows


def _ranges(values_N: Doubles) -> Doubles:  # noqa: N803
    """(N, 1 + R) the value and the range it lies in, so that a linear head can tell the middle from both ends."""
    edges = np.unique(np.quantile(values_N, np.arange(1, _RANGES) / _RANGES))
    place = np.searchsorted(edges, values_N, side="right")
    return np.concatenate([values_N[:, None], np.eye(len(edges) + 1)[place]], axis=1)
