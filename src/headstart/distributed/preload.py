"""Two things at once: images are decoded outside the interpreter lock while libraries are imported under it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

from headstart.runs.progress import Progress

Made = TypeVar("Made")


class _Abandoned(Exception):  # noqa: N818 - not an error
    """Ends work that nobody waits for any more."""


@contextmanager
def beside(work: Callable[[Progress], Made], progress: Progress) -> Iterator[Future[Made]]:
    """Run `work` in a thread while the block runs.

    `result()` of what the block gets waits for the work and raises its errors. A block that ends with an
    error or Ctrl-C stops the work when it next tells its progress.

    Args:
        work: Called with the progress it must tell how far it is.
        progress: Is told, from that thread.
    """
    abandoned = Event()

    def watched(what: str, total: int) -> Callable[[int], object]:
        tick = progress(what, total)

        def told(count: int) -> object:
            if abandoned.is_set():
                raise _Abandoned
            return tick(count)

        return told

    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(work, watched)
        except BaseException:
            abandoned.set()
            raise
