"""The one reader of images, and images in batches, prepared ahead in threads while the network computes.

Training, embedding, probing, checking, looking and previews all read an image with `read_image`: what a file of a new
kind becomes, or why it cannot be read, is decided behind it and nowhere else.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from headstart.data.decoders.decoded import Bands, Decoded, FaultKind, Pixels, UnreadableImageError
from headstart.data.decoders.raster import decode_with_facts
from headstart.data.early_views import early_views
from headstart.data.preprocess import NetworkInput, evaluation_view, network_input, pixels_needed
from headstart.data.sources.dataset import FileTooLargeError
from headstart.data.sources.reading import ImageRecord
from headstart.errors import DataError
from headstart.input_spec import Decoding, InputSpec

_AHEAD_BATCHES = 2
_AHEAD_ITEMS = 4

Item = TypeVar("Item")
Made = TypeVar("Made")


_workers: dict[str, int | None] = {"given": None}


def choose_workers(number: int | None) -> None:
    """Let so many threads decode in this process from now on; None: one for each core, at most 8."""
    _workers["given"] = number


def chosen_workers() -> int | None:
    """The number of `choose_workers`."""
    return _workers["given"]


def reader_threads() -> int:
    """Threads that decode; Pillow and the JPEG decoder leave the interpreter lock while they work."""
    return chosen_workers() or min(8, cores())


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class ReadImage:
    """An image that was read."""

    encoded: bytes
    """The file's bytes."""
    decoded: Decoded
    """Its pixels, and what the file held before they had 8 bits."""

    @property
    def pixels(self) -> Pixels:
        """Height x width x 3, RGB, 0..255."""
        return self.decoded.pixels


@dataclass(frozen=True, slots=True)
class ImageFault:
    """Reason why an image cannot be read."""

    reason: str
    """Without the name of the image."""
    encoded: bytes = b""
    """The file's bytes where the file is there: its header may be whole."""
    kind: FaultKind = FaultKind.DAMAGED


def read_image(
    record: ImageRecord,
    *,
    at_least: int | None = None,
    decoding: Decoding = Decoding(),  # noqa: B008 - frozen
) -> ReadImage | ImageFault:
    """The pixels of an image, or the reason why there are none.

    Args:
        record: Which one.
        at_least: Pixels that the shorter side must keep; None keeps all. See `decode`.
        decoding: What the file's values become.
    """
    encoded = b""
    try:
        encoded = record.read()
        return ReadImage(encoded, decode_with_facts(encoded, at_least=at_least, decoding=decoding))
    except UnreadableImageError as error:
        return ImageFault(str(error), encoded, error.kind)
    except OSError as error:
        return unread_fault(error)


def unread_fault(error: OSError) -> ImageFault:
    """The fault of an image whose bytes could not be read."""
    is_large = isinstance(error, FileTooLargeError)
    return ImageFault(str(error), kind=FaultKind.TOO_LARGE if is_large else FaultKind.NOT_READABLE)


def read_pixels(
    record: ImageRecord,
    *,
    at_least: int | None = None,
    decoding: Decoding = Decoding(),  # noqa: B008 - frozen
) -> Pixels:
    """The pixels of an image; for those who cannot go on without it. See `read_image`.

    Raises:
        DataError: it cannot be read; names the file and the reason.
    """
    return _read(record, at_least, decoding).pixels


def read_values(record: ImageRecord, spec: InputSpec, *, at_least: int | None = None) -> Pixels | Bands:
    """The values of an image that a network is given, with all bits of the file; see `Decoded.values`.

    Raises:
        DataError: it cannot be read; names the file and the reason.
    """
    return _read(record, at_least, spec.decoding).decoded.values


def _read(record: ImageRecord, at_least: int | None, decoding: Decoding) -> ReadImage:
    found = read_image(record, at_least=at_least, decoding=decoding)
    if isinstance(found, ImageFault):
        raise DataError(f"{record.id} cannot be read: {found.reason}", expected="an image file")
    return found


def read_view(record: ImageRecord, spec: InputSpec) -> NetworkInput:
    """The evaluation view of one image, decoded no larger than that needs.

    Raises:
        DataError: it cannot be read; names the file and the reason.
    """
    if (view := early_views().take(record, spec)) is not None:
        return network_input(view, spec)
    return evaluation_view(read_values(record, spec, at_least=pixels_needed(spec)), spec)


def batches(
    chunks: Sequence[Sequence[ImageRecord]], prepare: Callable[[ImageRecord], NetworkInput]
) -> Iterator[tuple[Sequence[ImageRecord], NetworkInput]]:
    """(records, B x height x width x channels) for each chunk in turn; at most two batches are held ahead."""
    waiting: deque[tuple[Sequence[ImageRecord], list[Future[NetworkInput]]]] = deque()
    pool = ThreadPoolExecutor(reader_threads())
    try:
        for chunk in chunks:
            waiting.append((chunk, [pool.submit(prepare, record) for record in chunk]))
            # Submitted before the oldest is waited for, so that threads decode while the network computes.
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
