"""One listing of a source for a whole command: the domain, the division into roles and the check all ask for it.

A folder of ten thousand images takes most of a second to list. Between commands nothing is kept: files change.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from headstart.data.sources.dataset import Dataset

_lock = threading.Lock()
_opened: list[dict[Hashable, Dataset]] = []
"""What the innermost block has opened; empty outside all blocks."""


@contextmanager
def opened_once() -> Iterator[None]:
    """Let every source that is opened inside the block, in any thread, be listed the first time only."""
    mine: dict[Hashable, Dataset] = {}
    with _lock:
        _opened.append(mine)
    try:
        yield
    finally:
        with _lock:
            # By identity: two empty dictionaries are equal, and blocks of two threads may end in any order.
            _opened[:] = [one for one in _opened if one is not mine]


def first_opened(key: Hashable, open_it: Callable[[], Dataset]) -> Dataset:
    """What was opened under this key before, or else is opened now.

    Args:
        key: Everything that `open_it` depends on.
        open_it: Lists the source; what it raises is not kept.
    """
    with _lock:
        kept = _opened[-1] if _opened else None
    if kept is None:
        return open_it()
    if key not in kept:
        kept[key] = open_it()
    return kept[key]
