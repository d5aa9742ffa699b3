"""Images in batches, prepared ahead in threads while the network computes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from headstart.data.decode import Pixels, UnreadableImageError, decode
from headstart.data.preprocess import NetworkInput
from headstart.data.sources import ImageRecord
from headstart.errors import DataError

_AHEAD_BATCHES = 2


def reader_threads() -> int:
    """Threads that decode; Pillow and the JPEG decoder leave the interpreter lock while they work."""
    return min(8, os.cpu_count() or 1)


def read_pixels(record: ImageRecord) -> Pixels:
    """Decode one image.

    Raises:
        DataError: it cannot be read; names the file and the reason.
    """
    try:
        return decode(record.read())
    except (UnreadableImageError, OSError) as error:
        raise DataError(f"{record.id} cannot be read: {error}", expected="an image file") from error


def batches(
    chunks: Sequence[Sequence[ImageRecord]], prepare: Callable[[ImageRecord], NetworkInput]
) -> Iterator[tuple[Sequence[ImageRecord], NetworkInput]]:
    """(records, B x height x width x channels) for each chunk in turn; at most two batches are held ahead."""
    waiting: deque[tuple[Sequence[ImageRecord], list[Future[NetworkInput]]]] = deque()
    pool = ThreadPoolExecutor(reader_threads())
    try:
        for chunk in chunks:
            waiting.append((chunk, [pool.submit(prepare, record) for record in chunk]))
            if len(waiting) > _AHEAD_BATCHES:
                yield _stacked(*waiting.popleft())
        while waiting:
            yield _stacked(*waiting.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _stacked(
    chunk: Sequence[ImageRecord], futures: list[Future[NetworkInput]]
) -> tuple[Sequence[ImageRecord], NetworkInput]:
    return chunk, np.stack([future.result() for future in futures])
