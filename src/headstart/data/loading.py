"""Images in batches, prepared ahead in threads while the network computes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from headstart.data.decoders.raster import Pixels, UnreadableImageError, decode
from headstart.data.preprocess import NetworkInput, evaluation_view, pixels_needed
from headstart.data.sources.reading import ImageRecord
from headstart.errors import DataError
from headstart.input_spec import InputSpec

_AHEAD_BATCHES = 2
_AHEAD_ITEMS = 4

Item = TypeVar("Item")
Made = TypeVar("Made")


def reader_threads() -> int:
    """Threads that decode; Pillow and the JPEG decoder leave the interpreter lock while they work."""
    return min(8, cores())


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_pixels(record: ImageRecord, *, at_least: int | None = None, bits: int | None = None) -> Pixels:
    """Decode one image.

    Args:
        record: Which one.
        at_least: Pixels that the shorter side must keep; None keeps all. See `decode`.
        bits: Bits that deep grey values use. See `decode`.

    Raises:
        DataError: it cannot be read; names the file and the reason.
    """
    try:
        return decode(record.read(), at_least=at_least, bits=bits)
    except (UnreadableImageError, OSError) as error:
        raise DataError(f"{record.id} cannot be read: {error}", expected="an image file") from error


def read_view(record: ImageRecord, spec: InputSpec) -> NetworkInput:
    """The evaluation view of one image, decoded no larger than that needs.

    Raises:
        DataError: it cannot be read; names the file and the reason.
    """
    return evaluation_view(read_pixels(record, at_least=pixels_needed(spec), bits=spec.bits), spec)


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


def in_order(function: Callable[[Item], Made], items: Iterable[Item], *, threads: int) -> Iterator[tuple[Item, Made]]:
    """(item, function(item)) for each item in turn, made in threads; at most four for each thread are held ahead."""
    waiting: deque[tuple[Item, Future[Made]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) >= _AHEAD_ITEMS * threads:
                first, made = waiting.popleft()
                yield first, made.result()
        while waiting:
            first, made = waiting.popleft()
            yield first, made.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
