"""The store's size: its limit, who uses what, and removal of what was not used for longest.

A space is a folder. Its file `used` says when it was last read (the file's time) and whether a living process has it
open (a shared lock, which ends with the process however that ends). Only a space that nobody has open is ever removed,
and it is renamed before, so that no reader sees half of one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import secrets
import shutil
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headstart.errors import DiskFullError
from headstart.files import stored_paths, write_json

DEFAULT_LIMIT_BYTES = 20 * 10**9
_SHARE_OF_DISK = 4
"""Where nobody set a limit, the store also takes at most a quarter of what would be free without it."""

_USED = "used"
_GONE = ".gone"
_TRIES = 3
_PAUSE_SECONDS = 0.003


class StoreFullError(DiskFullError):
    """The store's limit leaves no room; what was stored before is whole, and the work goes on without the store."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Limit of the size of the activation cache."""

    bytes: int
    set_by: Literal["user", "default"]


@dataclass(frozen=True, slots=True)
class SpaceUse:
    """One space as it lies on disk."""

    folder: Path
    bytes: int
    last_used: float
    """Seconds since 1970."""


def read_limit(root: Path, stored: int | None = None) -> Limit:
    """Limit that `write_limit` wrote; without it, or where it cannot be read, the default.

    Args:
        root: The store.
        stored: Its bytes, where they have been counted already.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return Limit(int(json.loads((root / "limit.json").read_text(encoding="utf-8"))["bytes"]), "user")
    # Free space plus what the store holds: the share must not shrink as the store fills.
    room = free_bytes(root) + (stored_bytes(root) if stored is None else stored)
    return Limit(min(DEFAULT_LIMIT_BYTES, room // _SHARE_OF_DISK), "default")


def write_limit(root: Path, limit_bytes: int) -> None:
    """Remember a limit."""
    root.mkdir(parents=True, exist_ok=True)
    write_json(root / "limit.json", {"bytes": limit_bytes})


def free_bytes(root: Path) -> int:
    """Free on the disk that holds, or would hold, the store."""
    # The folder may not exist yet: the nearest parent that does lies on the same disk.
    for folder in (root, *root.absolute().parents):
        with contextlib.suppress(OSError):  # not there, or not to be entered
            return shutil.disk_usage(folder).free
    return 0


def spaces_in_use_order(root: Path) -> list[SpaceUse]:
    """All spaces, the one that was not used for longest first."""
    found = []
    for folder in stored_paths(root, "[!.]*/"):
        with contextlib.suppress(OSError):  # removed by another process just now, or not to be entered
            used = folder / _USED
            time_used = (used if used.exists() else folder).stat().st_mtime
            found.append(SpaceUse(folder, _size(folder), time_used))
    # By name where times are equal, so that two processes agree on the order.
    return sorted(found, key=lambda space: (space.last_used, space.folder.name))


def stored_bytes(root: Path) -> int:
    """Bytes of all spaces, with files that are being written."""
    return sum(space.bytes for space in spaces_in_use_order(root))


def _size(folder: Path) -> int:
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total


class Lease:
    """Keeps a space's folder from being removed for as long as this object lives."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _USED
        while True:
            # `mkdir` finds the folder, a remover takes it, `mkdir` then sees no folder and raises all the same.
            with contextlib.suppress(FileExistsError):
                folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # removed before it was held: once more
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
                with contextlib.suppress(OSError):  # a file system without locks: nobody can remove there either
                    fcntl.flock(descriptor, fcntl.LOCK_SH)
                # Locked, and still the file at this path? Between opening and locking a remover may have renamed the
                # folder.
                if _is_same(self._path, descriptor):
                    break
                os.close(descriptor)
        # The lock goes with the descriptor, and that with this object, at the latest with the process.
        weakref.finalize(self, os.close, descriptor)
        self.touch()

    def touch(self) -> None:
        """The space is used now."""
        with contextlib.suppress(OSError):
            now = time.time()
            os.utime(self._path, (now, now))


def is_in_use(folder: Path) -> bool:
    """Whether a living process has the space open."""
    with _sole(folder) as held:
        return not held


def remove_space(folder: Path) -> bool:
    """Remove a space unless somebody has it open; says whether it is gone."""
    gone = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{_GONE}")
    with _sole(folder) as held:
        if not held:
            return False
        # Renamed under the exclusive lock, deleted afterwards: a reader that comes meanwhile finds no folder, not half
        # of one.
        folder.rename(gone)
    # Nothing is lost if deleting fails: the next sweep finds the renamed folder by its suffix.
    shutil.rmtree(gone, ignore_errors=True)
    return True


@contextlib.contextmanager
def _sole(folder: Path) -> Iterator[bool]:
    """Hold a space alone, if nobody else has it open."""
    path = folder / _USED
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        yield False
        return
    try:
        yield _locked(descriptor) and _is_same(path, descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Whether nobody has the file open; tried a few times, because others try too and hold it for a moment."""
    for _ in range(_TRIES):
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_PAUSE_SECONDS)
    return False


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def shrink(root: Path, *, keep: Path | None = None) -> tuple[list[SpaceUse], int]:
    """Remove the spaces that were not used for longest until the store is within its limit, or all others are in use.

    Args:
        root: The store.
        keep: A space that stays in any case.

    Returns:
        What was removed, and how many bytes the rest is over the limit (0 or more).
    """
    sweep_removed(root)
    spaces = spaces_in_use_order(root)
    total = sum(space.bytes for space in spaces)
    limit = read_limit(root, total)
    removed: list[SpaceUse] = []
    for space in spaces:
        # Oldest first, and only as many as needed.
        if total <= limit.bytes:
            break
        if space.folder != keep and remove_space(space.folder):
            total -= space.bytes
            removed.append(space)
    return removed, max(0, total - limit.bytes)


def make_room(root: Path, *, keep: Path) -> None:
    """Bring the store within its limit before a shard of the space `keep` counts.

    Raises:
        StoreFullError: what is left is in use, and still more than the limit.
    """
    _, over = shrink(root, keep=keep)
    if over:
        limit = read_limit(root).bytes
        raise StoreFullError(
            f"the store {root} would hold {(limit + over) / 1e9:.3g} GB, all of it in use",
            expected=f"at most {limit / 1e9:.3g} GB, its limit",
            remedy=f"allow more with: headstart cache --limit {math.ceil(2 * (limit + over) / 1e9)}GB",
        )


def sweep_removed(root: Path) -> None:
    """Finish removals that were cut short."""
    for folder in stored_paths(root, f".*{_GONE}"):
        shutil.rmtree(folder, ignore_errors=True)


def bytes_for(root: Path, *own: Path) -> int:
    """Bytes by which some spaces may still grow, if everything else that is not in use is removed.

    Args:
        root: The store.
        own: Their folders; none, or one that is not there yet, asks for a new space.
    """
    others = [space for space in spaces_in_use_order(root) if space.folder not in own]
    filled = 0
    for folder in set(own):
        with contextlib.suppress(OSError):  # not there, or not to be entered
            filled += _size(folder)
    # What is in use cannot be removed for more room; what nobody uses can.
    held = sum(space.bytes for space in others if is_in_use(space.folder))
    removable = sum(space.bytes for space in others) - held
    # Two bounds: the limit of the store, and what the disk has once unused spaces are gone.
    return max(0, min(read_limit(root).bytes - held - filled, free_bytes(root) + removable))
