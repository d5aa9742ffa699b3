"""A plain tar -> everything in it: links are resolved inside the archive, and what is skipped is noted."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

from headstart.data.sources.dataset import SkipReason
from headstart.data.sources.file_kinds import FIRST_BYTES, is_hidden
from headstart.data.sources.listing import Listing, Member
from headstart.errors import DataError

_MOST_LINKS = 40
"""From one link to the next, as many as Linux follows."""


def walk_tar(path: Path) -> Listing:
    """Everything in an uncompressed tar.

    Names are read as tar itself unpacks them: without a leading `/` or `./`. A name with `..` is left out and named.
    Nothing is unpacked.

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
    outside = {name for name, entry in entries.items() if _leads_out(entry.name)}
    listing = Listing(folders=_folders({name: entry for name, entry in entries.items() if name not in outside}))
    for name in sorted(entries):
        if name not in outside:
            _sort_in(listing, path, name, entries)
        elif not entries[name].isdir():
            listing.skip(name, SkipReason.OUTSIDE, entries[name].name)
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
    if target is SkipReason.OUTSIDE:
        listing.skip(name, SkipReason.OUTSIDE, entry.linkname)
        return
    if isinstance(target, PurePosixPath) and target in listing.folders:
        listing.skip(name, SkipReason.REPEATED, target.as_posix())
        return
    if not isinstance(target, PurePosixPath) or target not in entries or not entries[target].isfile():
        listing.skip(name, SkipReason.DANGLING, entry.linkname)
        return
    found = entries[target]

    def first_bytes() -> bytes:
        with path.open("rb") as file:
            file.seek(found.offset_data)
            return file.read(min(FIRST_BYTES, found.size))

    listing.add_file(Member(name, path, found.offset_data, found.size), first_bytes)


def _resolve(
    name: PurePosixPath, entries: Mapping[PurePosixPath, tarfile.TarInfo]
) -> PurePosixPath | Literal[SkipReason.OUTSIDE] | None:
    """Where a chain of links ends, or that it leaves the archive; None if it runs in a circle."""
    for _ in range(_MOST_LINKS):
        entry = entries.get(name)
        if entry is None or not (entry.islnk() or entry.issym()):
            return name
        if entry.islnk():
            if _leads_out(entry.linkname):
                return SkipReason.OUTSIDE
            name = _inside(entry.linkname)
            continue
        target = posixpath.normpath(posixpath.join(name.parent.as_posix(), entry.linkname))
        if target.startswith(("../", "/")) or target == "..":
            return SkipReason.OUTSIDE
        name = PurePosixPath(target)
    return None


def _folders(entries: Mapping[PurePosixPath, tarfile.TarInfo]) -> set[PurePosixPath]:
    """All that are not hidden, whether the archive names them or only what is in them."""
    found = {name for name, entry in entries.items() if entry.isdir()}
    found |= {parent for name in entries for parent in name.parents}
    return {name for name in found if name.parts and not is_hidden(name)}


def _leads_out(name: str) -> bool:
    return ".." in name.split("/")


def _inside(name: str) -> PurePosixPath:
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return PurePosixPath(*parts)
