"""Work in a background thread: images are decoded outside the interpreter lock while libraries are imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

from headstart.runs.progress import Progress

BackgroundResult = TypeVar("BackgroundResult")


class _Abandoned(Exception):  # noqa: N818 - not an error
    """Ends work whose result is no longer needed."""


@contextmanager
def in_background_thread(
    work: Callable[[Progress], BackgroundResult], progress: Progress
) -> Iterator[Future[BackgroundResult]]:
    """Future of `work`, which runs in a background thread while the block runs.

    `result()` waits for the work and raises its errors. A block that ends with an error or Ctrl-C stops the
    work when it next reports progress.

    Args:
        work: Called with the progress that it must report to.
        progress: Called from that thread.
    """
    abandoned = Event()

    def watched(what: str, total: int) -> Callable[[int], object]:
        tick = progress(what, total)

        def counted(count: int) -> object:
            if abandoned.is_set():
                raise _Abandoned
            return tick(count)

        return counted

    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(work, watched)
        except BaseException:
            abandoned.set()
            raise
