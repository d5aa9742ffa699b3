"""Rule that says which images belong together: a regular expression, a level of folders, or a column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

FOLDER = "folder:"
COLUMN = "column:"


@dataclass(frozen=True, slots=True)
class GroupRule:
    """One rule, as `--group` has it."""

    kind: Literal["pattern", "folder", "column"]
    value: str
    """The regular expression, the level from 1, or the name of the column."""

    @classmethod
    def of(cls, text: str) -> GroupRule:
        """The rule that a text is.

        Args:
            text: `folder:2`, `column:patient`, or a regular expression with a group 1.

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
        try:
            groups = re.compile(text).groups
        except re.error as error:
            raise ValueError(f"{text!r} is no regular expression ({error})") from error
        if groups < 1:
            raise ValueError(f"{text!r} has no group 1; put the part that names the group in ( )")
        return cls("pattern", text)

    def group_in(self, path: str) -> str | None:
        """Group of an image by its path inside DATA; None if the path names none, or the rule is a column.

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
