"""Facts of images that were decoded before, by the hash of their files: a second command over them decodes none.

What the checks find in one file follows from its bytes and from the code that reads it, so it is kept in
`$HEADSTART_HOME/images`. Each command adds one file of rows and changes none; a damaged row is passed over.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.data.checks.pixels import PixelFacts
from headstart.data.checks.thumbnails import SIDE, Pairs, Thumbnail, Thumbnails
from headstart.data.decoders.decoded import DECODE_VERSION
from headstart.data.decoders.origins import ImageOrigin
from headstart.errors import HeadstartError
from headstart.files import home, stored_paths, write_atomically
from headstart.input_spec import Decoding

FACTS_VERSION = 4
"""Raised whenever the same pixels may give other facts, another thumbnail or other near-identical pairs."""
LARGEST_BYTES = 256 * 10**6
"""Of all files together, for some 230,000 images; those that were not used for longest go first."""
MOST_FILES = 24
"""More files of rows than this become one."""

_FACTS = struct.Struct("<IIqqdBBBBdB12s")
"""Width, height, and `PixelFacts` in its order of fields, without noise."""
_ORIGIN = struct.Struct("<8s8s8sd")
"""`ImageOrigin` in its order of fields; NaN: no time."""
_CHECK = struct.Struct("<I")
_DIGEST_BYTES = 16
_THUMBNAIL_BYTES = SIDE * SIDE
_ROW_BYTES = _CHECK.size + _FACTS.size + _THUMBNAIL_BYTES + _ORIGIN.size
_LONGEST_KIND = 12
_ROWS_AT_ONCE = 20_000
_FEWEST_IMAGES_OF_PAIRS = 100
"""Comparing fewer takes less than reading a file."""

Compare: TypeAlias = Callable[[Thumbnails, npt.NDArray[np.int64]], Pairs]
"""Thumbnails and classes -> near-identical pairs."""


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """Facts of one readable image."""

    size: tuple[int, int]
    """Width, height in pixels."""
    pixels: PixelFacts
    thumbnail: Thumbnail
    origin: ImageOrigin = field(default_factory=ImageOrigin)


class _Rows:
    """Rows of some files by the hash of their images; they are read when they are needed."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._buffers: list[mmap.mmap] = []
        self._places: dict[bytes, tuple[int, int]] = {}
        """Hash -> number of a buffer, and where the row begins in it."""
        for path in paths:
            with contextlib.suppress(OSError, ValueError):  # removed by another process, empty, or not ours to read
                self._open(path)

    def _open(self, path: Path) -> None:
        with path.open("rb") as file:
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with contextlib.suppress(OSError):
            os.utime(path)  # dates the last use, by which old files are removed
        count = len(buffer) // (_DIGEST_BYTES + _ROW_BYTES)
        # The hashes come first, so that finding an image reads no other image's row.
        digests = buffer[: count * _DIGEST_BYTES]
        number = len(self._buffers)
        self._buffers.append(buffer)
        for index in range(count):
            digest = digests[index * _DIGEST_BYTES : (index + 1) * _DIGEST_BYTES]
            self._places[digest] = (number, len(digests) + index * _ROW_BYTES)

    def get(self, digest: bytes) -> bytes | None:
        """The row of an image; None if there is none, or it is damaged."""
        place = self._places.get(digest)
        if place is None:
            return None
        number, start = place
        row = self._buffers[number][start : start + _ROW_BYTES]
        if _CHECK.unpack_from(row)[0] == _check(digest, row[_CHECK.size :]):
            return row
        self._places.pop(digest, None)  # so that it is written anew
        return None

    def holds(self, digest: bytes) -> bool:
        """Whether there is a row that has not been found damaged."""
        return digest in self._places

    def whole(self) -> dict[bytes, bytes]:
        """Hash -> row, of all rows that are not damaged."""
        return {digest: row for digest in list(self._places) if (row := self.get(digest)) is not None}


class FactsCache:
    """Facts of images by the hash of their bytes, as far as an earlier command has found them."""

    def __init__(self, folder: Path, decoding: Decoding = Decoding()) -> None:  # noqa: B008 - frozen
        """Open what is there.

        Args:
            folder: Of the files.
            decoding: How files are decoded, which changes the pixels.
        """
        self._folder = folder
        self._name = decoding_version(decoding)
        self._known = _Rows(self._paths())
        self._new: dict[bytes, bytes] = {}

    def _paths(self) -> list[Path]:
        return stored_paths(self._folder, f"{self._name}-*.rows")

    def find(self, digest: bytes) -> CheckedImage | None:
        """Facts of the image whose file has this hash; None if they are not known, or damaged.

        Args:
            digest: 16 bytes.
        """
        row = self._known.get(digest)
        if row is None:
            return None
        width, height, *numbers, kind = _FACTS.unpack_from(row, _CHECK.size)
        largest, white, veiled, brightest, levels, is_grey, has_more, clipped, is_colour = numbers
        small = np.frombuffer(row, np.uint8, _THUMBNAIL_BYTES, _CHECK.size + _FACTS.size).reshape(SIDE, SIDE)
        known = None if largest < 0 else largest
        text = kind.rstrip(b"\0").decode("ascii")
        facts = PixelFacts(
            brightest,
            levels,
            text,
            known,
            white,
            bool(is_grey),
            veiled,
            None,
            bool(has_more),
            clipped,
            bool(is_colour),
        )
        *hashes, moment = _ORIGIN.unpack_from(row, _CHECK.size + _FACTS.size + _THUMBNAIL_BYTES)
        patient, study, camera = (b"" if not any(one) else one for one in hashes)
        origin = ImageOrigin(patient, study, camera, None if math.isnan(moment) else moment)
        return CheckedImage((width, height), facts, small, origin)

    def add(self, digest: bytes, facts: CheckedImage) -> None:
        """Keep the facts of an image for later, if they are not there yet; `save` writes them.

        Images with noise are few and have a text of any length: they are looked at again.
        """
        seen = facts.pixels
        kind = seen.kind.encode("ascii", "replace")
        if self._known.holds(digest) or seen.noise is not None or len(kind) > _LONGEST_KIND:
            return
        largest = -1 if seen.largest is None else seen.largest
        last = (seen.is_grey, seen.has_more_frames, seen.clipped, seen.is_colour)
        numbers = (*facts.size, largest, seen.white, seen.veiled, seen.brightest, seen.levels, *last)
        origin = facts.origin
        moment = math.nan if origin.moment is None else origin.moment
        body = _FACTS.pack(*numbers, kind) + facts.thumbnail.tobytes()
        body += _ORIGIN.pack(origin.patient, origin.study, origin.camera, moment)
        self._new[digest] = _CHECK.pack(_check(digest, body)) + body
        if len(self._new) >= _ROWS_AT_ONCE:
            self.save()

    def save(self) -> None:
        """Write what was added; a full or closed disk loses it, and nothing else."""
        added, self._new = self._new, {}
        if not added:
            return
        with contextlib.suppress(OSError, HeadstartError):
            self._write_rows(added)
            self._join_files()
            limit_folder(self._folder)

    def _write_rows(self, rows: Mapping[bytes, bytes]) -> None:
        # A name that no other process takes: two commands that end together must not write one file.
        self._write(f"{self._name}-{os.urandom(8).hex()}.rows", b"".join((*rows, *rows.values())))

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._folder / name, lambda aside: aside.write_bytes(content))

    def _join_files(self) -> None:
        """Make one file of many small ones; another process that does so too writes the same rows once more."""
        paths = self._paths()
        if len(paths) > MOST_FILES:
            self._write_rows(_Rows(paths).whole())
            for path in paths:
                path.unlink(missing_ok=True)

    def pairs(self, images_NSS: Thumbnails, labels_N: npt.NDArray[np.int64], compare: Compare) -> Pairs:  # noqa: N803
        """(P, 2) near-identical pairs, as `compare` gives them or has given them for the same images.

        Args:
            images_NSS: Thumbnails.
            labels_N: Class of each.
            compare: Finds them.
        """
        if len(images_NSS) < _FEWEST_IMAGES_OF_PAIRS:
            return compare(images_NSS, labels_N)
        digest = hashlib.blake2b(f"{np.__version__} {images_NSS.shape}".encode(), digest_size=16)
        digest.update(np.ascontiguousarray(images_NSS).data)
        digest.update(np.ascontiguousarray(labels_N).data)
        name = f"{self._name}-{digest.hexdigest()}.pairs"
        found = stored_or_found(
            self._folder / name, lambda: np.ascontiguousarray(compare(images_NSS, labels_N), np.int64).tobytes()
        )
        return np.frombuffer(found, np.int64).reshape(-1, 2)


def stored_or_found(path: Path, find: Callable[[], bytes]) -> bytes:
    """What a file of the folder holds, if it is there and whole; else what is found now, written there.

    Args:
        path: Its name says everything that the content depends on.
        find: Finds the content; a disk that takes no more loses it, and nothing else.
    """
    with contextlib.suppress(OSError, struct.error):
        content = path.read_bytes()
        if _CHECK.unpack_from(content)[0] == zlib.crc32(content[_CHECK.size :]):
            os.utime(path)
            return content[_CHECK.size :]
    found = find()
    with contextlib.suppress(OSError, HeadstartError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda aside: aside.write_bytes(_CHECK.pack(zlib.crc32(found)) + found))
    return found


def facts_folder() -> Path:
    """Folder of the facts."""
    return home() / "images"


def limit_folder(folder: Path, *, most_bytes: int = LARGEST_BYTES) -> int:
    """Bytes that were freed: files go, those not used for longest first, until the rest is small enough."""
    kept = freed = 0
    for _, size, path in sorted(_files(folder), reverse=True):
        kept += size
        if kept > most_bytes:
            path.unlink(missing_ok=True)
            freed += size
    return freed


def folder_bytes(folder: Path) -> int:
    """Size of all files of facts."""
    return sum(size for _, size, _ in _files(folder))


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """(time of the last use, bytes, file)."""
    for path in (path for kind in ("*.rows", "*.pairs", "*.look") for path in stored_paths(folder, kind)):
        with contextlib.suppress(OSError):  # another process removed it
            stat = path.stat()
            yield stat.st_mtime, stat.st_size, path


def _check(digest: bytes, body: bytes) -> int:
    """Checksum of a row; with the hash, because a row must not be read for another image's."""
    return zlib.crc32(body, zlib.crc32(digest))


def decoding_version(decoding: Decoding) -> str:
    """Name of everything besides a file's bytes that decides what is found in it."""
    # Of optional packages none: what they decode is lossless, and a file that lacked its decoder left no row.
    versions = [metadata.version(name) for name in ("pillow", "simplejpeg")]
    text = f"{FACTS_VERSION} {DECODE_VERSION} {decoding} {' '.join(versions)}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
