"""Splits by the names of folders: `train`, `Testing`, `seg_train` and `fold1` are not the names of classes."""

from __future__ import annotations

import re

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
"""Word for a split, in lower case -> split; of folders and of a table's column split.

The words are those of Hugging Face's datasets, which reads dev as validation and eval as test.
"""

USUAL = frozenset({"train", "val", "valid", "validation", "test"})
"""Folders of these names are splits, whatever else lies next to them. The other words, and names that contain one, may
as well be classes; the layout decides."""

_WORDS = re.compile(r"[a-z]+")
_ENDINGS = ("set", "data", "images", "imgs", "split")
_NUMBERED = re.compile(r"(?i)(cv|k|fold|part|split|subset|batch|set|round)[\s._-]*\d+")


def usual_split(name: str) -> str | None:
    """Split of a folder whose name says nothing else."""
    return SPLIT_FOLDERS[name.lower()] if name.lower() in USUAL else None


def split_in(name: str) -> str | None:
    """The one split that a name contains as a word: `seg_train`, `TestSet`, `dev-2017`; None if it has none, or two."""
    found = {split for word in _words(name) if (split := SPLIT_FOLDERS.get(word)) is not None}
    return found.pop() if len(found) == 1 else None


def is_like_a_split(name: str) -> bool:
    """Whether a name is one of a split or a fold rather than of a class."""
    return split_in(name) is not None or _NUMBERED.fullmatch(name) is not None


def _words(name: str) -> list[str]:
    """Words in lower case, each also without what it may end in."""
    words = _WORDS.findall(name.lower())
    return words + [word.removesuffix(ending) for word in words for ending in _ENDINGS if word.endswith(ending)]
