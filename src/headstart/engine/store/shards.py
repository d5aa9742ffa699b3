"""One file of stored rows: written aside and put in place whole, checked when it is opened.

A shard is `records | ids | footer | tail` after 64 bytes that begin with the magic word. A record is one row: the
crossing tensors one behind the other, each at a multiple of 8 bytes, so that a row is one piece of the
file. The footer is JSON with the counts, types and checksums; the tail has its length, its checksum and the magic word
again. A shard that was cut has no tail and one that was altered does not have its checksums: both count as missing.

Size, footer and ids are checked on opening, the records once per process before they are first used. That second check
reads the file (7 GB/s from memory), and it is why a power cut between a rename and its arrival on disk cannot hurt.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import struct
import threading
import time
import weakref
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.errors import DiskFullError, NotWritableError
from headstart.files import FULL_DISK, sync_folder

Ids = npt.NDArray[np.bytes_]
"""(N,) of dtype S16: one id of 16 bytes a row."""

MOST_MAPS = 256
"""Shards that are mapped at once: each map keeps a file open, and a process may have 1,024 of them."""
ID_BYTES = 16
FORMAT_VERSION = 1
"""Part of every space's address: another layout is another space."""

_SUFFIX = ".shard"
_ASIDE = ".aside"
_MAGIC = b"HSSHARD1"
_START = 64
_TAIL = struct.Struct("<II8s")
_ALIGNED_BYTES = 8
_CHECK_BYTES = 1 << 20
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}

_checked: set[tuple[str, int, int, int]] = set()
"""Files whose records this process has found whole: path, inode, size, time of the last change."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Shape and type of one crossing tensor for one row."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    """numpy's name of the type that readers get."""


def record_type(tensors: Sequence[Tensor], stored: Sequence[str]) -> np.dtype[Any]:
    """The layout of a row: fields t0, t1... in the types they are stored in."""
    formats, offsets, end = [], [], 0
    for tensor, name in zip(tensors, stored, strict=True):
        # Little-endian on every machine, so that a store on a shared disk can be read by all.
        kind = np.dtype((np.dtype(name).newbyteorder("<"), tensor.shape))
        formats.append(kind)
        offsets.append(end)
        # Rounded up to 8 bytes: maps of the file then give aligned arrays, which numpy reads faster.
        end += -(-kind.itemsize // _ALIGNED_BYTES) * _ALIGNED_BYTES
    names = [f"t{number}" for number in range(len(formats))]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": max(end, _ALIGNED_BYTES)})


@contextlib.contextmanager
def explained_writing(folder: Path) -> Iterator[None]:
    """Turn the system's errors of writing into the user's.

    Raises:
        DiskFullError: no space left on the disk.
        NotWritableError: the folder may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            raise DiskFullError(
                f"the disk is full: activations could not be stored in {folder}",
                remedy="what was stored before is whole; make room (headstart cache --clear frees the whole store), "
                "or set HEADSTART_HOME to a larger disk",
            ) from error
        if error.errno in _NOT_WRITABLE:
            raise NotWritableError(
                f"{folder} cannot be written ({error.strerror})",
                remedy="set HEADSTART_HOME to a folder that you may write",
            ) from error
        raise


@dataclass(frozen=True, slots=True)
class _Footer:
    """Footer of a shard; the fields are the keys of its JSON."""

    rows: int
    row_bytes: int
    shapes: list[list[int]]
    """Of one row of each tensor."""
    stored: list[str]
    """numpy's names of the types in the file."""
    records_crc32: int
    ids_crc32: int

    @property
    def bytes_of_rows(self) -> int:
        """Records and ids together."""
        return self.rows * (self.row_bytes + ID_BYTES)


class OpenShard:
    """A shard that is being filled, next to its final path and held by a lock that ends with the process."""

    def __init__(self, folder: Path, tensors: Sequence[Tensor], stored: tuple[str, ...]) -> None:
        self.stored = stored
        self.record = record_type(tensors, stored)
        self.rows = 0
        self.began = time.monotonic()
        self._shapes = [list(tensor.shape) for tensor in tensors]
        self._ids: list[bytes] = []
        self._crc = 0
        self._file, self.aside = _held_file(folder)
        # Unwritten, then renamed: the name without dot and suffix is where the shard will be published.
        self.path = folder / self.aside.name[1 : -len(_ASIDE)]
        try:
            self._write(_MAGIC.ljust(_START, b"\0"))
        except BaseException:
            self.discard()
            raise

    @property
    def size(self) -> int:
        """Bytes of the rows so far."""
        return self.rows * self.record.itemsize

    def append(self, ids: Ids, records: npt.NDArray[Any]) -> None:
        """Add rows: ids (N,) and records (N,) of this shard's record type."""
        raw = records.view(np.uint8).data
        self._write(raw)
        # The checksum grows with the rows, so that nothing is read again at the end.
        self._crc = zlib.crc32(raw, self._crc)
        self._ids.append(ids.tobytes())
        self.rows += len(ids)

    def seal(self) -> None:
        """Write what makes the file whole, and bring it to the disk."""
        ids = b"".join(self._ids)
        footer = _Footer(
            self.rows, self.record.itemsize, self._shapes, list(self.stored), self._crc, ids_crc32=zlib.crc32(ids)
        )
        text = json.dumps(asdict(footer)).encode()
        self._write(ids + text + _TAIL.pack(len(text), zlib.crc32(text), _MAGIC))
        # Data before the name: a rename that reached the disk before the data would publish garbage after a power cut.
        os.fsync(self._file.fileno())

    def publish(self) -> None:
        """Put the sealed file in its place: from here on it counts."""
        self.aside.rename(self.path)
        self._file.close()
        # The folder is synced too: the rename itself is a change of the folder.
        sync_folder(self.path.parent)

    def discard(self) -> None:
        """Leave nothing."""
        self._file.close()
        self.aside.unlink(missing_ok=True)

    def _write(self, raw: bytes | memoryview) -> None:
        view = memoryview(raw)
        while view:
            # A raw FileIO may write fewer bytes than given.
            view = view[self._file.write(view) :]


def _held_file(folder: Path) -> tuple[FileIO, Path]:
    """A new file under a name that no other process has, locked before a sweep could take it for a dead one's."""
    while True:
        aside = folder / f".{os.getpid()}-{secrets.token_hex(8)}{_SUFFIX}{_ASIDE}"
        file = FileIO(aside, "xb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # st_nlink 0: a sweep unlinked it between creation and lock.
            ours = os.fstat(file.fileno()).st_nlink > 0
        except BlockingIOError:  # a sweep was faster and is about to remove it
            ours = False
        except OSError:  # a file system without locks: nobody can sweep there either
            ours = True
        if ours:
            return file, aside
        file.close()
        aside.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove the unfinished files of processes that are gone."""
    for aside in folder.glob(f".*{_ASIDE}"):
        with contextlib.suppress(OSError), aside.open("r+b") as file:
            # A lock that can be taken means that the writer is gone.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            aside.unlink()


def shard_paths(folder: Path) -> list[Path]:
    """All published shards of a space, in one order."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


class Shard:
    """A published shard whose size, footer and ids have been checked."""

    def __init__(self, path: Path, footer: _Footer, ids: Ids, record: np.dtype[Any]) -> None:
        self.path = path
        self.ids = ids
        self.stored: tuple[str, ...] = tuple(footer.stored)
        self._record = record
        self._crc = footer.records_crc32
        self._map: npt.NDArray[Any] | None = None

    @classmethod
    def open(cls, path: Path, tensors: Sequence[Tensor]) -> Shard | None:
        """The shard, or None if it is damaged or gone; a damaged file is removed."""
        try:
            with path.open("rb") as file:
                footer = _footer(file.fileno())
                # Shapes are compared too: a shard of another layout under this address cannot be right.
                if footer is not None and footer.shapes == [list(tensor.shape) for tensor in tensors]:
                    record = record_type(tensors, footer.stored)
                    ids = _ids(file.fileno(), footer, record.itemsize)
                    if ids is not None:
                        return cls(path, footer, ids, record)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EIO:  # too many open files, say: the shard is not at fault
                raise
        except (TypeError, ValueError):  # a footer of something else
            pass
        remove_damaged(path)
        return None

    def is_sound(self) -> bool:
        """Whether the records have their checksum; reads them once per process."""
        try:
            with self.path.open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                # Size and time of change are part of the mark: a file replaced or cut since is checked again.
                mark = (str(self.path), status.st_ino, status.st_size, status.st_mtime_ns)
                if mark in _checked:
                    return True
                file.seek(_START)
                sound = _crc_of(file, len(self.ids) * self._record.itemsize) == self._crc
        except OSError as error:
            if error.errno not in {errno.EIO, errno.ENOENT}:
                raise
            return False
        if sound:
            _checked.add(mark)
        return sound

    @property
    def records(self) -> npt.NDArray[Any]:
        """(rows,) of the record type, mapped: pages of the file, no memory of the process. Not to be kept for long."""
        found = self._map
        if found is None:
            mapped = np.memmap(self.path, self._record, mode="r", offset=_START, shape=(len(self.ids),))
            found = self._map = np.asarray(mapped)  # slices of a memmap cost more than small rows do
        _unmap_others(self)
        return found


_mapped: weakref.WeakValueDictionary[int, Shard] = weakref.WeakValueDictionary()
"""Shards that hold a map, the one that was read longest ago first."""
_mapping = threading.Lock()


def _unmap_others(shard: Shard) -> None:
    """This one is read now; of the others only the latest keep their maps, and are mapped again when they are read."""
    with _mapping:
        _mapped.pop(id(shard), None)
        # Inserted last = read last: dictionaries keep the order, so the first entry is the one to unmap.
        _mapped[id(shard)] = shard
        while len(_mapped) > MOST_MAPS:
            number, oldest = next(iter(_mapped.items()))
            # Dropping the array unmaps the file; whoever still reads from it holds the array and is not disturbed.
            oldest._map = None
            del _mapped[number]


def remove_damaged(path: Path) -> None:
    """Remove a file that nobody can use; where that is not allowed, it is passed over every time."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def count_rows(path: Path) -> int:
    """Rows of a shard from its footer alone; 0 for a file that has none."""
    try:
        with path.open("rb") as file:
            footer = _footer(file.fileno())
            return 0 if footer is None else int(footer.rows)
    except (OSError, TypeError, ValueError):
        return 0


def _footer(descriptor: int) -> _Footer | None:
    """Footer of a file, if it is whole and the size of the file agrees with it."""
    size = os.fstat(descriptor).st_size
    if size < _START + _TAIL.size:
        return None
    # The tail first: it says where the footer begins.
    length, crc, magic = _TAIL.unpack(os.pread(descriptor, _TAIL.size, size - _TAIL.size))
    text = os.pread(descriptor, length, max(0, size - _TAIL.size - length))
    if magic != _MAGIC or os.pread(descriptor, _START, 0) != _MAGIC.ljust(_START, b"\0") or zlib.crc32(text) != crc:
        return None
    footer = _Footer(**json.loads(text))
    # The size must follow from the counts: a file with bytes missing in the middle has a whole tail too.
    return footer if size == _START + footer.bytes_of_rows + length + _TAIL.size else None


def _ids(descriptor: int, footer: _Footer, row_bytes: int) -> Ids | None:
    raw = os.pread(descriptor, footer.rows * ID_BYTES, _START + footer.rows * row_bytes)
    if row_bytes != footer.row_bytes or zlib.crc32(raw) != footer.ids_crc32:
        return None
    return np.frombuffer(raw, f"S{ID_BYTES}")


def _crc_of(file: FileIO, size: int) -> int:
    crc, buffer = 0, memoryview(bytearray(_CHECK_BYTES))
    while size:
        count = file.readinto(buffer[: min(size, _CHECK_BYTES)])
        if not count:
            return -1  # cut since it was opened
        crc = zlib.crc32(buffer[:count], crc)
        size -= count
    return crc
