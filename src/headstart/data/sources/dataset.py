"""Labelled images of one source, and an account of what reading it left out or had to interpret."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

WHOLE = "all"
"""Split of images whose source has none."""
Links = Literal["inside", "follow"]
"""Links that are followed: those to places inside the source, or all."""
LabelPolicy = Literal["needed", "optional"]
"""Whether images without labels are refused."""


class Location(Protocol):
    """Place of one image that is no part of a file: a row of a table, an object of a remote store.

    Threads read at the same time, so reading changes nothing that they share without a lock.
    """

    def read(self) -> bytes:
        """The encoded image.

        Raises:
            OSError: it is gone or cannot be read.
        """
        ...


LARGEST_FILE_BYTES = 2**31
"""Of one image; a sparse file of any length takes no room on a disk, and all of the memory when it is read."""


class FileTooLargeError(OSError):
    """A file that has more bytes than an image may have."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One labelled image and where its encoded bytes lie."""

    id: str
    """Path inside the source (in a table: as written) with forward slashes; unique there, and the name used in every
    message."""
    label: str
    """Its class; empty in a source without labels."""
    split: str
    """train, val, test, or all."""
    path: Path | None = None
    """File that holds the bytes; None when they are in memory or at a `location`."""
    offset: int = 0
    """First byte inside `path`."""
    size: int | None = None
    """Number of bytes; None reads to the end."""
    content: bytes | None = None
    group: str | None = None
    """Name of the patient, scene or page where the source says it; images with the same one belong together."""
    weight: float | None = None
    """How much the image counts in training, > 0, where the source says it."""
    location: Location | None = None
    """Where the bytes are if neither in a file nor in memory."""

    def read(self) -> bytes:
        """The encoded image.

        Raises:
            OSError: the file is gone or cannot be read; FileTooLargeError where it is dangerously large.
        """
        if self.content is not None:
            return self.content
        if self.location is not None:
            return self.location.read()
        if self.path is None:
            raise FileNotFoundError(self.id)
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size if self.size is None else self.size
            if size > LARGEST_FILE_BYTES:
                raise FileTooLargeError(f"{size:,} bytes; at most {LARGEST_FILE_BYTES:,}")
            file.seek(self.offset)
            return file.read() if self.size is None else file.read(self.size)


class SkipReason(StrEnum):
    """Reason why an entry of a source is not read."""

    DANGLING = "dangling"
    """A link that leads nowhere."""
    OUTSIDE = "outside"
    """A link out of the source, or a member of a tar whose name leads out of it."""
    REPEATED = "repeated"
    """A link to a folder that is read under another name, or that holds the link itself."""
    LOCKED = "locked"
    """A folder or file that may not be opened."""
    SPECIAL = "special"
    """Neither a file nor a folder: a pipe, a socket, a device, a sparse member of a tar."""
    HIDDEN = "hidden"
    """An image whose name, or the name of a folder above it, begins with a dot."""
    UNREAD_FORMAT = "unread_format"
    """an image in a format that is not read, such as camera raw."""
    NO_IMAGE = "no_image"
    """A file that is no image by its name and its first bytes."""
    TOOL_FOLDER = "tool_folder"
    """A folder that a program keeps for itself, such as .git; nobody looks into it."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """One entry of a source that is not read."""

    name: str
    """Path inside the source, with forward slashes; bytes that are no UTF-8 are escaped."""
    reason: SkipReason
    detail: str = ""
    """Where a link leads, what the system said, or the suffix of a file."""


@dataclass(frozen=True, slots=True)
class OutsideLink:
    """A link that leads out of the source and is followed."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Account:
    """What reading a source left out or had to interpret; `source_findings` turns it into findings."""

    skipped: tuple[Skipped, ...] = ()
    """In order of name."""
    bare_folders: tuple[str, ...] = ()
    """Folders at the level of classes, or of splits, in which there is no image to read."""
    outside_links: tuple[OutsideLink, ...] = ()
    read_as: dict[str, str] = field(default_factory=dict)
    """Split folder -> split, where its name is not one of the usual."""
    split_like: tuple[str, ...] = ()
    """Class folders that hold the same subfolders, as splits would."""
    split_like_hold: tuple[str, ...] = ()
    """Those subfolders."""
    label_tables: tuple[str, ...] = ()
    """Tables with labels next to folders, which are not read."""
    unlabelled: tuple[str, ...] = ()
    """Images without a label, which are left out, in order of name."""
    unread_splits: dict[str, int] = field(default_factory=dict)
    """Split that is none of train, val and test -> its images, which are left out."""
    columns_read_as: dict[str, str] = field(default_factory=dict)
    """Column of a table -> the one it is read as, where its name is not one of the usual."""
    missing_value_labels: dict[str, int] = field(default_factory=dict)
    """Label that programs write for a missing value -> rows that have it."""
    decimal_labels: tuple[str, ...] = ()
    """Labels such as 1.0."""

    def joined(self, other: Account, *, prefix: str) -> Account:
        """This account joined with that of another source.

        Args:
            other: Of the other source.
            prefix: Of its names, as its images have it.
        """
        return replace(
            self,
            skipped=self.skipped + tuple(replace(s, name=f"{prefix}{s.name}") for s in other.skipped),
            bare_folders=self.bare_folders + tuple(f"{prefix}{name}" for name in other.bare_folders),
            outside_links=self.outside_links
            + tuple(replace(link, name=f"{prefix}{link.name}") for link in other.outside_links),
            label_tables=self.label_tables + tuple(f"{prefix}{name}" for name in other.label_tables),
        )


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled images of one source."""

    name: str
    """Short name for run folders and titles."""
    source: str
    """DATA as given."""
    records: tuple[ImageRecord, ...]
    """In order of id."""
    account: Account = Account()

    @property
    def has_labels(self) -> bool:
        """Whether the images have classes; without, they can be embedded and predicted, not trained on."""
        return any(record.label for record in self.records)

    @property
    def ignored(self) -> dict[str, int]:
        """File suffix -> number of files that are no images."""
        found = Counter(s.detail for s in self.account.skipped if s.reason is SkipReason.NO_IMAGE)
        return dict(sorted(found.items()))

    def classes(self, split: str | None = None) -> tuple[str, ...]:
        """Class names in the one order that is used everywhere: sorted as text."""
        return tuple(
            sorted({record.label for record in self.records if record.label and split in (None, record.split)})
        )

    def counts(self) -> dict[str, int]:
        """Images per class, in class order."""
        found = Counter(record.label for record in self.records)
        return {name: found[name] for name in self.classes()}

    def splits(self) -> tuple[str, ...]:
        """Splits that hold images, in the order train, val, test."""
        present = {record.split for record in self.records}
        return tuple(name for name in ("train", "val", "test", WHOLE) if name in present)

    def of(self, split: str) -> tuple[ImageRecord, ...]:
        """Images of one split."""
        return tuple(record for record in self.records if record.split == split)
