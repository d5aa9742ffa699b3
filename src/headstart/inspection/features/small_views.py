"""Small colour views of images with the traces of their files: all that the search for shortcuts reads of pixels.

One pass reads every file once; a view takes 7 kB whatever the image takes, so 10,000 images fit into 70 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from headstart.data.decoders.decoded import Pixels
from headstart.data.decoders.file_traces import FileTraces, file_traces
from headstart.data.loading import ImageFault, in_order, read_image, reader_threads
from headstart.data.sources.reading import ImageRecord
from headstart.input_spec import Decoding

VIEW_SIDE = 48
"""Pixels: a square of 2 % of the side, such as a tag in a corner, is one of them."""
_AT_LEAST = 2 * VIEW_SIDE
"""A large JPEG is decoded at a fraction that keeps so many pixels, which takes a quarter of the time or less."""
_AT_ONCE = 16

Views: TypeAlias = npt.NDArray[np.uint8]
"""(N, S, S, 3), RGB: the whole image, squeezed into a square."""


@dataclass(frozen=True, slots=True)
class SmallViews:
    """Views of some images, and the traces of their files, in one order."""

    views_NSSC: Views  # noqa: N815 - shapes
    traces: tuple[FileTraces, ...]


def small_view(pixels: Pixels) -> Views:
    """(S, S, 3) means of an RGB image (H, W, 3)."""
    # BOX averages whole pixels, so that a mark at the edge does not ring into the image.
    small = Image.fromarray(pixels).resize((VIEW_SIDE, VIEW_SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.uint8)


def read_small_views(
    records: Sequence[ImageRecord],
    *,
    decoding: Decoding = Decoding(),  # noqa: B008 - frozen
    on_image: Callable[[], object] = lambda: None,
) -> SmallViews:
    """The views of images that can be read.

    Args:
        records: N images; one that has become unreadable since it was checked is seen as black.
        decoding: What the values of a file become.
        on_image: Called after each, for progress.
    """
    views = np.zeros((len(records), VIEW_SIDE, VIEW_SIDE, 3), np.uint8)
    traces: list[FileTraces] = []

    def look(few: Sequence[ImageRecord]) -> list[tuple[Views | None, FileTraces]]:
        return [_seen(record, decoding) for record in few]

    chunks = [records[start : start + _AT_ONCE] for start in range(0, len(records), _AT_ONCE)]
    for _, seen in in_order(look, chunks, threads=reader_threads()):
        for view, traced in seen:
            if view is not None:
                views[len(traces)] = view
            traces.append(traced)
            on_image()
    return SmallViews(views, tuple(traces))


def _seen(record: ImageRecord, decoding: Decoding) -> tuple[Views | None, FileTraces]:
    found = read_image(record, at_least=_AT_LEAST, decoding=decoding)
    if isinstance(found, ImageFault):
        return None, file_traces(found.encoded)
    return small_view(found.pixels), file_traces(found.encoded)
