"""Paths to predict -> images, and a reason for everything that is left out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from headstart.data.sources.dataset import WHOLE, ImageRecord, SkipReason
from headstart.data.sources.layout import refuse_no_images
from headstart.data.sources.source_findings import reason_text
from headstart.data.sources.walk import walk_folder
from headstart.errors import DataError, HeadstartError
from headstart.files import is_file, is_folder, is_there

_EXPECTED = "an image file or a folder of images"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Images without labels, and what was given but is none."""

    records: list[ImageRecord] = field(default_factory=list)
    """In the order of the paths; those of a folder in order of name."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Path -> reason."""


def find_inputs(paths: Iterable[str]) -> Inputs:
    """Each path is an image or a folder of images, searched at any depth; links are followed.

    Raises:
        DataError: no path leads to an image.
    """
    found = Inputs()
    first: HeadstartError | None = None
    for text in paths:
        try:
            _look(text, found)
        except HeadstartError as error:
            first = first or error
            found.left_out.setdefault(text, error.found.removeprefix(f"{text} "))
    if not found.records and first is not None:
        raise first
    return found


def image_files(paths: Iterable[str]) -> list[ImageRecord]:
    """Images of paths that must all lead to one; warns of files in folders that are left out.

    Raises:
        DataError: a path does not exist, or a folder holds no image.
    """
    found = Inputs()
    for text in paths:
        _look(text, found)
    if found.left_out:
        name, reason = next(iter(found.left_out.items()))
        warnings.warn(f"left out {len(found.left_out)} files (first: {name}: {reason})", stacklevel=3)
    return found.records


def _look(text: str, found: Inputs) -> None:
    path = Path(text)
    if is_folder(path):
        listing = walk_folder(path)
        if not listing.images:
            refuse_no_images(text, listing.skipped)
        names = sorted(path / member.name for member in listing.images)
        found.records.extend(ImageRecord(str(name), "", WHOLE, name) for name in names)
        for entry in sorted(listing.skipped, key=lambda entry: entry.name):
            if entry.reason is not SkipReason.TOOL_FOLDER:
                found.left_out[str(path / entry.name)] = reason_text(entry)
    elif is_file(path):
        found.records.append(ImageRecord(text, "", WHOLE, path))
    elif is_there(path):
        raise DataError(f"{text} is neither a file nor a folder", expected=_EXPECTED)
    elif path.is_symlink():
        raise DataError(f"{text} is a link that leads nowhere ({path.readlink()})", expected=_EXPECTED)
    else:
        raise DataError(f"{text} does not exist", expected=_EXPECTED)
