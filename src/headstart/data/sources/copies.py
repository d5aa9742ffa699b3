"""Copies on disk of images that cannot be read one by one where they are: remote objects, columns, packed arrays.

They lie in `$HEADSTART_HOME/sources` under a hash of where they came from and of what tells one state of it from
another (size, time, tag), so that a changed original makes a new copy. Those not used for longest go first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from headstart.files import has_file, home, write_atomically

MOST_COPIED_BYTES = 32 * 10**9
"""Of all copies together."""
_FRESH_SECONDS = 86_400
"""Copies that were used since stay: a run may be reading them."""
_LIMIT_EVERY_BYTES = 256 * 10**6

_LOCKS = [threading.Lock() for _ in range(64)]
"""By the hash of a name: two threads that want the same copy make it once."""
_written = {"bytes": 0}
"""Since the copies were last limited."""


def copies_folder() -> Path:
    """Folder of the copies."""
    return home() / "sources"


def local_copy(key: str, write: Callable[[Path], object], *, suffix: str = "") -> Path:
    """The copy of something, made at the first call.

    Args:
        key: Where it came from and in which state.
        write: Fills a new file; called where there is no copy yet.
        suffix: Of the copy.

    Raises:
        DiskFullError: there is no room for it.
        OSError: the folder of the copies may not be written.
        Exception: as `write` raises it.
    """
    name = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    path = copies_folder() / name[:2] / f"{name}{suffix}"
    with _LOCKS[int(name[:2], 16) % len(_LOCKS)]:
        if has_file(path):
            with contextlib.suppress(OSError):
                os.utime(path)  # dates the last use
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, write)
        _written["bytes"] += path.stat().st_size
    if _written["bytes"] > _LIMIT_EVERY_BYTES:
        _written["bytes"] = 0
        limit_copies()
    return path


def file_key(path: Path) -> str:
    """Place and state of a file on this disk.

    Raises:
        OSError: it cannot be looked at.
    """
    state = path.stat()
    return f"{path.resolve()}\0{state.st_size}\0{state.st_mtime_ns}"


def limit_copies(most_bytes: int = MOST_COPIED_BYTES, *, unused_seconds: float = _FRESH_SECONDS) -> int:
    """Bytes that were freed: copies go, those not used for longest first, until the rest is small enough.

    Args:
        most_bytes: That may stay.
        unused_seconds: Copies that were used since stay.
    """
    held = freed = 0
    for used, size, path in sorted(_files(), reverse=True):
        held += size
        if held > most_bytes and time.time() - used > unused_seconds:
            path.unlink(missing_ok=True)
            freed += size
    return freed


def copies_bytes() -> int:
    """Size of all copies."""
    return sum(size for _, size, _ in _files())


def _files() -> Iterator[tuple[float, int, Path]]:
    """(time of the last use, bytes, copy)."""
    with contextlib.suppress(OSError):
        for path in copies_folder().glob("*/*"):
            with contextlib.suppress(OSError):  # another process removed it
                state = path.stat()
                yield state.st_mtime, state.st_size, path
