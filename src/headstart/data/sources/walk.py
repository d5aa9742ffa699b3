"""A folder -> everything in it: links are followed, each real folder once, and what is skipped is noted."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path, PurePosixPath

from headstart.data.sources.dataset import Links, OutsideLink, SkipReason
from headstart.data.sources.file_kinds import FIRST_BYTES, IMAGE_SUFFIXES, TOOL_FOLDERS, is_hidden, suffix_of
from headstart.data.sources.listing import Listing, Member, writable
from headstart.errors import DataError

_Identity = tuple[int, int]
"""Device and inode of a folder."""


def walk_folder(root: Path, *, links: Links = "inside") -> Listing:
    """Everything in a folder, at any depth.

    Real folders come first and links after them in order of name, so that a link never takes the place of the folder
    itself.

    Args:
        root: The folder; it may be a link.
        links: follow reads what links lead to wherever it lies, because sets are put together so. inside leaves out and
            names links that lead out of the folder: in a set from elsewhere they may lead to private images.

    Raises:
        DataError: the folder itself may not be opened.
    """
    walk = _Walk(root, links)
    walk.run()
    return walk.listing


class _Walk:
    def __init__(self, root: Path, links: Links) -> None:
        self.listing = Listing()
        self._followed = links
        self._root = root
        self._real_root = os.path.realpath(root)
        self._read_as: dict[_Identity, str] = {}
        """Folders that were met, and under which name."""
        self._links: deque[PurePosixPath] = deque()
        """Links to folders that are still to be followed."""

    def run(self) -> None:
        try:
            self._read_as[_identity(self._root.stat())] = "."
            os.scandir(self._root).close()
        except OSError as error:
            raise DataError(
                f"{self._root} cannot be opened ({error.strerror or error})", expected="a folder that you may read"
            ) from error
        self._enter([PurePosixPath()])
        # Links after all real folders: a folder is known by its own name, whichever name sorts first.
        while self._links:
            name = self._links.popleft()
            if self._is_new(name):
                self._enter([name])

    def _enter(self, names: list[PurePosixPath]) -> None:
        """Read folders and the real folders below them."""
        while names:
            name = names.pop()
            if name.parts and not is_hidden(name):
                self.listing.folders.add(name)
            try:
                with os.scandir(self._root / name) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except OSError as error:
                self.listing.skip(name, SkipReason.LOCKED, error.strerror or str(error))
                continue
            names += [name / entry.name for entry in entries if self._sort_in(name, entry)]

    def _sort_in(self, parent: PurePosixPath, entry: os.DirEntry[str]) -> bool:
        """Sort an entry in, and say whether it is a real folder that the caller is to read.

        Args:
            parent: Name of the folder that holds it.
            entry: A file, folder, link or something else.
        """
        name = parent / entry.name
        try:
            if entry.is_file():  # most are, and need no call of the system to say so
                if not entry.is_symlink() or self._may_follow(name, os.path.realpath(entry.path)):
                    self._file(name, Path(entry.path))
                return False
            identity = _identity(entry.stat())
        except OSError as error:
            if entry.is_symlink():
                self.listing.skip(name, SkipReason.DANGLING, _target(entry))
            else:
                self.listing.skip(name, SkipReason.LOCKED, error.strerror or str(error))
            return False
        if not entry.is_dir():
            self.listing.skip(name, SkipReason.SPECIAL)
        elif entry.name in TOOL_FOLDERS:
            self.listing.skip(name, SkipReason.TOOL_FOLDER)
        elif entry.is_symlink():
            self._links.append(name)
        else:
            # A folder may be mounted twice (bind mounts): it is read under the first name only.
            return self._read_as.setdefault(identity, name.as_posix()) == name.as_posix()
        return False

    def _file(self, name: PurePosixPath, path: Path) -> None:
        def first_bytes() -> bytes:
            with path.open("rb") as file:
                return file.read(FIRST_BYTES)

        self.listing.add_file(Member(name, path), first_bytes)

    def _is_new(self, name: PurePosixPath) -> bool:
        """Whether a linked folder is to be read now; else it is noted why not."""
        real = os.path.realpath(self._root / name)
        try:
            identity = _identity(Path(real).stat())
        except OSError as error:  # it went away while others were read
            self.listing.skip(name, SkipReason.DANGLING, error.strerror or real)
            return False
        # A link to a folder above would read everything again, and itself without end.
        above = self._real_root == real or self._real_root.startswith(real.rstrip(os.sep) + os.sep)
        if above or identity in self._read_as:
            if not is_hidden(name):
                self.listing.folders.add(name)
            self.listing.skip(name, SkipReason.REPEATED, real if above else self._read_as[identity])
            return False
        if not self._may_follow(name, real):
            if not is_hidden(name):
                self.listing.folders.add(name)
            return False
        self._read_as[identity] = name.as_posix()
        return True

    def _may_follow(self, name: PurePosixPath, target: str) -> bool:
        """Whether a link is followed; notes one that leads out of the folder in either case.

        Args:
            name: Of the link.
            target: Real path of what is at its end, so that no chain of links leads out.
        """
        if target.startswith(self._real_root.rstrip(os.sep) + os.sep):
            return True
        if self._followed == "follow":
            self.listing.outside_links.append(OutsideLink(writable(name.as_posix()), writable(target)))
            return True
        if is_hidden(name):
            self.listing.skip(name, SkipReason.TOOL_FOLDER)
        elif name.suffix and name.suffix.lower() not in IMAGE_SUFFIXES:
            self.listing.skip(name, SkipReason.NO_IMAGE, suffix_of(name))
        else:
            self.listing.skip(name, SkipReason.OUTSIDE, target)
        return False


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino


def _target(entry: os.DirEntry[str]) -> str:
    try:
        return str(Path(entry.path).readlink())
    except OSError:
        return "?"
