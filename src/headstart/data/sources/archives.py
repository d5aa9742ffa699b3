"""A plain tar -> everything in it: links are resolved inside the archive, and what is skipped is noted."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from headstart.data.sources.dataset import SkipReason
from headstart.data.sources.file_kinds import FIRST_BYTES, is_hidden
from headstart.data.sources.listing import Listing, Member
from headstart.errors import DataError

_MOST_LINKS = 40
"""From one link to the next, as many as Linux follows."""


def walk_tar(path: Path) -> Listing:
    """Everything in an uncompressed tar.

    Names are read as tar itself unpacks them: without a leading `/`, `./` or `../`. Nothing is unpacked.

    Raises:
        DataError: it is compressed or damaged.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            # An archive may hold a name twice: the later one replaced the earlier.
            entries = {_inside(entry.name): entry for entry in archive}
    except (tarfile.TarError, EOFError) as error:
        raise DataError(
            f"{path} cannot be read as a plain tar ({error})",
            expected="an uncompressed .tar, whose images can be read one by one",
            remedy="unpack it, or decompress it with gunzip, and pass the result",
        ) from error
    listing = Listing(folders=_folders(entries))
    for name in sorted(entries):
        _sort_in(listing, path, name, entries)
    return listing


def _sort_in(
    listing: Listing, path: Path, name: PurePosixPath, entries: Mapping[PurePosixPath, tarfile.TarInfo]
) -> None:
    entry = entries[name]
    if entry.isdir():
        return
    if not (entry.isfile() or entry.islnk() or entry.issym()) or entry.issparse():
        listing.skip(name, SkipReason.SPECIAL)
        return
    target = _resolve(name, entries)
    if target is not None and target in listing.folders:
        listing.skip(name, SkipReason.REPEATED, target.as_posix())
        return
    if target is None or target not in entries or not entries[target].isfile():
        listing.skip(name, SkipReason.DANGLING, entry.linkname)
        return
    found = entries[target]

    def first_bytes() -> bytes:
        with path.open("rb") as file:
            file.seek(found.offset_data)
            return file.read(min(FIRST_BYTES, found.size))

    listing.add_file(Member(name, path, found.offset_data, found.size), first_bytes)


def _resolve(name: PurePosixPath, entries: Mapping[PurePosixPath, tarfile.TarInfo]) -> PurePosixPath | None:
    """Where a chain of links ends; None if it runs in a circle or leaves the archive."""
    for _ in range(_MOST_LINKS):
        entry = entries.get(name)
        if entry is None or not (entry.islnk() or entry.issym()):
            return name
        if entry.islnk():
            name = _inside(entry.linkname)
            continue
        target = posixpath.normpath(posixpath.join(name.parent.as_posix(), entry.linkname))
        if target.startswith(("..", "/")):
            return None
        name = PurePosixPath(target)
    return None


def _folders(entries: Mapping[PurePosixPath, tarfile.TarInfo]) -> set[PurePosixPath]:
    """All that are not hidden, whether the archive names them or only what is in them."""
    found = {name for name, entry in entries.items() if entry.isdir()}
    found |= {parent for name in entries for parent in name.parents}
    return {name for name in found if name.parts and not is_hidden(name)}


def _inside(name: str) -> PurePosixPath:
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return PurePosixPath(*parts)
