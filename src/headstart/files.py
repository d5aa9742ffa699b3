"""Files and folders as the system gives them: whether a path is there, atomic writes, and JSON that processes share.

`is_there`, `is_file` and `is_folder` are for a path that a user named: one that cannot be looked at (a folder that
may not be entered, a name that is too long) is an error that names it, because "it is not there" would be wrong.
`has_file` and `stored_paths` are for headstart's own files: what cannot be reached is worth as much as none.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import platformdirs

from headstart.errors import DiskFullError, HeadstartError, UnreachableError

# os.umask can only be read by setting it; done at import, before threads could be writing files.
_UMASK = os.umask(0)
os.umask(_UMASK)
_MODE = 0o666 & ~_UMASK
"""What any new file gets; libraries that write through a private file of their own would leave 0600."""

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Numbers of errors that say there is no room for a file."""
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP}
_WAY_OUT = {
    errno.ENOENT: "it is not there, or the folder that it should go into is not",
    errno.EACCES: "give this user the right to enter the folders above it, or choose another path",
    errno.ENAMETOOLONG: "choose a shorter name: most systems take 255 bytes for a name and 4096 for a path",
}
_SHOWN_LETTERS = 120
"""Of a path in a message; a name that is too long would fill the screen."""


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether there is anything at a path; a link that leads nowhere is nothing.

    Raises:
        UnreachableError: the system does not let us look.
    """
    return _mode(path) is not None


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a plain file, or a link to one.

    Raises:
        UnreachableError: the system does not let us look.
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder, or a link to one.

    Raises:
        UnreachableError: the system does not let us look.
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def is_free(folder: Path) -> bool:
    """Whether a folder may be filled: it is not there yet, or it is empty.

    Raises:
        UnreachableError: the system does not let us look.
    """
    if not is_there(folder):
        return True
    if not is_folder(folder):
        return False
    try:
        return not any(folder.iterdir())
    except OSError as error:
        raise unreachable(error, folder) from error


def has_file(path: Path) -> bool:
    """Whether a file that headstart keeps can be read here; one that cannot be reached is made anew or done without."""
    with contextlib.suppress(UnreachableError):
        return is_file(path)
    return False


def stored_paths(folder: Path, pattern: str) -> list[Path]:
    """Paths of headstart's own files in a folder, in order; none where the folder is not there or cannot be read."""
    with contextlib.suppress(OSError):
        return sorted(folder.glob(pattern))
    return []


def _mode(path: str | os.PathLike[str]) -> int | None:
    try:
        return Path(path).stat().st_mode
    except ValueError:  # a zero byte: no system has such a path
        return None
    except OSError as error:
        # A missing file is an answer, whatever kind of missing; only "may not look" is an error.
        if error.errno in _NOT_THERE:
            return None
        raise unreachable(error, path) from error


def unreachable(error: OSError, path: str | os.PathLike[str] | None = None) -> UnreachableError:
    """The line for an error of the system that names a path, with the way out where there is one.

    Args:
        error: As the system raised it.
        path: What was looked at; None takes what the error names.
    """
    name = os.fsdecode(path if path is not None else error.filename or "?")
    shown = name if len(name) <= _SHOWN_LETTERS else f"{name[:_SHOWN_LETTERS]}... ({len(name)} letters)"
    reason = error.strerror or type(error).__name__
    return UnreachableError(f"{shown} cannot be reached ({reason})", remedy=_WAY_OUT.get(error.errno or 0, ""))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file next to `path`, then put it in place: readers see the old file or the whole new one.

    Raises:
        DiskFullError: the disk is full; `path` is as it was.
    """
    # In the same folder, because a rename is atomic only within one file system; by process, so that two do not share
    # it.
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    try:
        write(aside)
        aside.chmod(_MODE)
        with aside.open("rb") as file:
            # The data must be on disk before the name points to it.
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # what hindered the writing may hinder this too
            aside.unlink()
        if not isinstance(error, Exception):  # Ctrl-C
            raise
        # Libraries wrap the system's error in their own; the cause is then only in its text.
        full = (
            getattr(error, "errno", None) in FULL_DISK
            or "os error 28" in str(error).lower()
            or "No space left" in str(error)
        )
        if full or _is_full(path.parent):
            raise DiskFullError(
                f"the disk is full: {path} could not be saved",
                remedy="what was saved before is whole; make room",
            ) from error
        if isinstance(error, OSError) and error.filename == str(aside):  # nobody knows that name
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file that is kept for later; empty where there is none, or where it is damaged."""
    with contextlib.suppress(OSError, ValueError):  # none yet, or cut by a crash of the machine
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def update_json(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Read, change and write a JSON file that several processes share, one process at a time.

    Args:
        path: Its folder is made where it is not there.
        change: What the file holds now -> what it shall hold; called while the lock is held.

    Raises:
        DiskFullError: the disk is full; the file is as it was.
        OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):
        # The lock covers reading and writing: between them another process would lose its change.
        write_json(path, change(read_json(path)))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time into the block; a file system without locks lets everybody in.

    Not to be entered twice by one thread: it would wait for itself.

    Raises:
        OSError: the folder cannot be written.
    """
    # A file of its own, not the one that is replaced: a lock on a replaced file protects nothing.
    with (folder / ".lock").open("a") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def claim_folder(folder: Path) -> bool:
    """Make a folder for this process alone; False where something is there, made by another process just now or before.

    Looking first and making it afterwards would let two processes that begin together both find nothing.

    Raises:
        OSError: it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        # mkdir is atomic: of two processes exactly one makes the folder.
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """A rename survives a power cut only once its folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_full(folder: Path) -> bool:
    try:
        state = os.statvfs(folder)
    except OSError:  # it cannot even be looked at: that is what there is to say, not the room on the disk
        return False
    # Less than 64 KiB is full in practice: a small file may still fit, a checkpoint does not.
    return state.f_bavail * state.f_frsize < 1 << 16


def home() -> Path:
    """`$HEADSTART_HOME`, or the platform's cache folder."""
    return Path(os.environ.get("HEADSTART_HOME") or platformdirs.user_cache_dir("headstart"))


def refuse_unwritable(path: Path) -> None:
    """Find out whether a file can be written there, before anything is computed; nothing is left behind.

    Raises:
        HeadstartError: it is a folder, or lies in none, or in one where nothing can be written.
    """
    try:
        if is_there(path) and not is_file(path):
            found = f"{path} is {'a folder' if is_folder(path) else 'not a plain file'}"
            raise HeadstartError(found, expected="the name of a file to write")
        if not is_folder(path.parent):
            raise HeadstartError(f"{path.parent} is no folder", remedy="make it first, or choose another file")
        with tempfile.TemporaryFile(dir=path.parent):  # tried, because permissions do not tell all that forbids it
            pass
    except OSError as error:
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError) -> HeadstartError:
    """What to raise where a file could not be written."""
    return HeadstartError(f"{path} cannot be written ({error.strerror or error})", remedy="choose another file")
