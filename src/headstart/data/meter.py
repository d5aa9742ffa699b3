"""A meter of the time that threads spend on views of images and on reading cached activations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

ViewKind = Literal["plain", "augmented"]


@dataclass(frozen=True, slots=True)
class MeterReading:
    """Views made and bytes read from the store so far, with their seconds."""

    views: Mapping[ViewKind, int]
    view_seconds: Mapping[ViewKind, float]
    """Of one core."""
    read_bytes: int
    read_seconds: float


class Meter:
    """Counter of the time of views and of reading cached activations; thread-safe."""

    def __init__(self, *, clock: Callable[[], float] = time.thread_time) -> None:
        """New meter at zero.

        Args:
            clock: Seconds that the calling thread has computed.
        """
        self._lock, self._clock = threading.Lock(), clock
        self._views: dict[ViewKind, int] = {"plain": 0, "augmented": 0}
        self._view_seconds: dict[ViewKind, float] = {"plain": 0.0, "augmented": 0.0}
        self._read_bytes, self._read_seconds = 0, 0.0

    @contextmanager
    def view(self, kind: ViewKind) -> Iterator[None]:
        """Count one view, made while the block runs in this thread."""
        started = self._clock()
        yield
        seconds = self._clock() - started
        with self._lock:
            self._views[kind] += 1
            self._view_seconds[kind] += seconds

    def add_read(self, count: int, seconds: float) -> None:
        """Count bytes read from the cache."""
        with self._lock:
            self._read_bytes += count
            self._read_seconds += seconds

    def reading(self) -> MeterReading:
        """Reading so far, as a copy."""
        with self._lock:
            return MeterReading(dict(self._views), dict(self._view_seconds), self._read_bytes, self._read_seconds)
