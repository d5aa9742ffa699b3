"""Paths to predict -> images, and a reason for everything that is left out."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from headstart.data.sources.dataset import WHOLE, ImageRecord, Links, SkipReason
from headstart.data.sources.layout import refuse_no_images
from headstart.data.sources.reading import is_digits, is_source_file, open_source
from headstart.data.sources.source_findings import reason_text
from headstart.data.sources.tables.files import TABLE_SUFFIXES
from headstart.data.sources.tables.rows import image_rows
from headstart.data.sources.walk import walk_folder
from headstart.errors import DataError, HeadstartError
from headstart.files import is_file, is_folder, is_there

_EXPECTED = "an image file, a folder of images, a pattern such as 'photos/*.jpg', or a table with a column image"
_WILDCARDS = "*?["


@dataclass(frozen=True, slots=True)
class Inputs:
    """Images without labels, and what was given but is none."""

    records: list[ImageRecord] = field(default_factory=list)
    """In the order of the paths; those of a folder or pattern in order of name, those of a table in its order."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Path -> reason."""


def find_inputs(paths: Iterable[str], *, links: Links = "inside") -> Inputs:
    """Images of paths: each is an image, a folder (searched at any depth), a pattern or a table.

    A path that exists is never a pattern, whatever marks are in its name.

    Args:
        paths: As given.
        links: Of folders: see `walk_folder`.

    Raises:
        DataError: no path leads to an image.
    """
    found = Inputs()
    first: HeadstartError | None = None
    for text in paths:
        try:
            _look(text, found, links)
        except HeadstartError as error:
            first = first or error
            found.left_out.setdefault(text, error.found.removeprefix(f"{text} "))
    if not found.records and first is not None:
        raise first
    return found


def image_files(paths: Iterable[str]) -> list[ImageRecord]:
    """Images of paths that must all lead to one; warns of files in folders that are left out.

    Raises:
        DataError: a path does not exist, or a folder, a pattern or a table leads to no image.
    """
    found = Inputs()
    for text in paths:
        _look(text, found)
    if found.left_out:
        name, reason = next(iter(found.left_out.items()))
        if not found.records:
            raise DataError(f"none of {len(found.left_out)} images can be read (first: {name}: {reason})")
        warnings.warn(f"left out {len(found.left_out)} files (first: {name}: {reason})", stacklevel=3)
    return found.records


def _look(text: str, found: Inputs, links: Links = "inside") -> None:
    path = Path(text)
    if is_folder(path):
        _look_into_folder(text, found, links)
    elif is_source_file(text) and not (is_digits(text) and is_there(path)):
        found.records.extend(open_source(text, labels="optional").records)
    elif is_file(path) and path.suffix.lower() in TABLE_SUFFIXES:
        _look_into_table(path, found)
    elif is_file(path):
        found.records.append(ImageRecord(text, "", WHOLE, path))
    elif is_there(path):
        raise DataError(f"{text} is neither a file nor a folder", expected=_EXPECTED)
    elif path.is_symlink():
        raise DataError(f"{text} is a link that leads nowhere ({path.readlink()})", expected=_EXPECTED)
    elif any(mark in text for mark in _WILDCARDS):
        _look_for_pattern(text, found, links)
    else:
        raise DataError(f"{text} does not exist", expected=_EXPECTED)


def _look_into_folder(text: str, found: Inputs, links: Links) -> None:
    path = Path(text)
    listing = walk_folder(path, links=links)
    if not listing.images:
        refuse_no_images(text, listing.skipped)
    names = sorted(path / member.name for member in listing.images)
    found.records.extend(ImageRecord(str(name), "", WHOLE, name) for name in names)
    for entry in sorted(listing.skipped, key=lambda entry: entry.name):
        if entry.reason is not SkipReason.TOOL_FOLDER:
            found.left_out[str(path / entry.name)] = reason_text(entry)


def _look_into_table(table: Path, found: Inputs) -> None:
    """Images are called as the table calls them, so that predictions can be joined to its rows."""
    rows = image_rows(table)
    if not rows:
        raise DataError(f"{table} has a header but no rows", expected="one row for each image")
    for row in rows:
        if row.file is None or is_file(row.file):
            record = ImageRecord(row.image, "", WHOLE, row.file, row.offset, row.size, location=row.location)
            found.records.append(record)
        else:
            found.left_out[row.image] = f"does not exist, though {table} names it"


def _look_for_pattern(pattern: str, found: Inputs, links: Links) -> None:
    """What the shell does with `*`, for patterns in quotes; `**` goes down at any depth."""
    names = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    files = [name for name in names if is_file(Path(name))]
    for name in files or names:  # `photos/**` matches folders too, whose images it matches one by one
        _look(name, found, links)
    if not names:
        raise DataError(f"{pattern} matches no file", expected=_EXPECTED)
