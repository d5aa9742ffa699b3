"""A stopwatch for what threads spend on views of images and on reading stored rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

ViewKind = Literal["plain", "varied"]


@dataclass(frozen=True, slots=True)
class Amounts:
    """What was spent on views and on the store, so far."""

    views: Mapping[ViewKind, int]
    view_seconds: Mapping[ViewKind, float]
    """Of one core."""
    moved_bytes: int
    moved_seconds: float


class Spent:
    """Counts what views and reading stored rows take; may be told from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views: dict[ViewKind, int] = {"plain": 0, "varied": 0}
        self._view_seconds: dict[ViewKind, float] = {"plain": 0.0, "varied": 0.0}
        self._moved_bytes, self._moved_seconds = 0, 0.0

    @contextmanager
    def view(self, kind: ViewKind) -> Iterator[None]:
        """One view is made while the block runs, in this thread."""
        started = time.thread_time()
        yield
        seconds = time.thread_time() - started
        with self._lock:
            self._views[kind] += 1
            self._view_seconds[kind] += seconds

    def moved(self, count: int, seconds: float) -> None:
        """So many bytes were read from the store."""
        with self._lock:
            self._moved_bytes += count
            self._moved_seconds += seconds

    def so_far(self) -> Amounts:
        """A copy."""
        with self._lock:
            return Amounts(dict(self._views), dict(self._view_seconds), self._moved_bytes, self._moved_seconds)
