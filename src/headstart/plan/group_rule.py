"""Rule that says which images belong together: by their paths, by a column, or by the headers of their files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

FOLDER = "folder:"
COLUMN = "column:"
DICOM = "dicom:"
EXIF = "exif:"


@dataclass(frozen=True, slots=True)
class GroupRule:
    """One rule, as `--group` has it."""

    kind: Literal["pattern", "folder", "column", "dicom", "exif"]
    value: str
    """The regular expression, the level from 1, the name of the column or DICOM field, or a number of seconds."""

    @classmethod
    def of(cls, text: str) -> GroupRule:
        """The rule that a text is.

        Args:
            text: `folder:2`, `column:patient`, `dicom:PatientID`, `exif:5s`, or a regular expression with a group 1.

        Raises:
            ValueError: it is none of these.
        """
        if text.startswith(FOLDER):
            level = text.removeprefix(FOLDER)
            if not re.fullmatch(r"[1-9]\d?", level):
                raise ValueError(f"{text!r} must be a level from 1, such as folder:2 for the folders in class folders")
            return cls("folder", level)
        if text.startswith(COLUMN):
            if text == COLUMN:
                raise ValueError(f"{text!r} names no column, such as column:patient")
            return cls("column", text.removeprefix(COLUMN))
        if text.startswith(DICOM):
            if not re.fullmatch(r"[A-Z][A-Za-z]+", text.removeprefix(DICOM)):
                raise ValueError(f"{text!r} names no DICOM field, such as dicom:PatientID")
            return cls("dicom", text.removeprefix(DICOM))
        if text.startswith(EXIF):
            found = re.fullmatch(r"(\d+(?:\.\d+)?)s", text.removeprefix(EXIF))
            if found is None:
                raise ValueError(f"{text!r} must be the longest pause between photos that belong together, as exif:5s")
            return cls("exif", found[1])
        try:
            groups = re.compile(text).groups
        except re.error as error:
            raise ValueError(f"{text!r} is no regular expression ({error})") from error
        if groups < 1:
            raise ValueError(f"{text!r} has no group 1; put the part that names the group in ( )")
        return cls("pattern", text)

    @property
    def is_of_source(self) -> bool:
        """Whether the images bring their groups when they are found, because paths do not tell them."""
        return self.kind in ("column", "dicom", "exif")

    @property
    def seconds(self) -> float:
        """Longest pause between photos that belong together."""
        return float(self.value)

    def group_in(self, path: str) -> str | None:
        """Group of an image by its path inside DATA; None if the path names none, or the rule is not about paths.

        Args:
            path: With forward slashes.
        """
        if self.kind == "folder":
            folders = path.split("/")[:-1]
            level = int(self.value)
            return folders[level - 1] if level <= len(folders) else None
        found = re.search(self.value, path) if self.kind == "pattern" else None
        return found.group(1) if found is not None else None


def group_column(text: str | None) -> str | None:
    """The column that a rule names; None if it names none."""
    return text.removeprefix(COLUMN) if text is not None and text.startswith(COLUMN) else None


def source_rule(text: str | None) -> str | None:
    """The rule if the images bring their groups by it when they are found; None for rules about paths."""
    return text if text is not None and GroupRule.of(text).is_of_source else None
