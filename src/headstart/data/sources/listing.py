"""What lies in a source, before anything is known of classes: images, what is skipped, folders, links that leave it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from headstart.data.sources.dataset import Location, OutsideLink, Skipped, SkipReason
from headstart.data.sources.file_kinds import (
    IMAGE_SUFFIXES,
    LABEL_SUFFIXES,
    TOOL_FOLDERS,
    is_hidden,
    suffix_of,
    why_no_image,
)


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a source."""

    name: PurePosixPath
    path: Path | None
    offset: int = 0
    size: int | None = None
    location: Location | None = None
    """Where it is if in no file of this disk."""


@dataclass(slots=True)
class Listing:
    """Everything that a walk met; every entry is in one of the lists."""

    images: list[Member] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    folders: set[PurePosixPath] = field(default_factory=set)
    """All that are not hidden, those that may not be opened too."""
    outside_links: list[OutsideLink] = field(default_factory=list)
    labels: list[Member] = field(default_factory=list)
    """Files that may hold the label of the image next to them, as WebDataset writes them."""

    def add_file(self, member: Member, first_bytes: Callable[[], bytes]) -> None:
        """Sort a file in.

        Args:
            member: The file.
            first_bytes: Gives its first bytes; called only where the name does not say what it is.
        """
        if is_hidden(member.name):
            if not TOOL_FOLDERS.isdisjoint(member.name.parts):
                self.skip(member.name, SkipReason.TOOL_FOLDER)
                return
            # What macOS writes beside an image (`._1.png`) has its suffix and is none.
            if member.name.suffix.lower() in IMAGE_SUFFIXES and not member.name.name.startswith("._"):
                self.skip(member.name, SkipReason.HIDDEN)
            return
        try:
            reason = why_no_image(member.name, first_bytes)
        except OSError as error:
            self.skip(member.name, SkipReason.LOCKED, error.strerror or str(error))
            return
        if member.name.suffix.lower() in LABEL_SUFFIXES:
            self.labels.append(member)
        if reason is None:
            self.images.append(member)
        else:
            self.skip(member.name, reason, suffix_of(member.name))

    def skip(self, name: PurePosixPath, reason: SkipReason, detail: str = "") -> None:
        """Note an entry that is not read."""
        self.skipped.append(Skipped(writable(name.as_posix()), reason, writable(detail)))


def writable(name: str) -> str:
    """A name that plans, events and JSON can hold: bytes that are no UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
