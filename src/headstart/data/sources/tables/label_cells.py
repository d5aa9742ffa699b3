"""Labels of a table as they are written: what is refused, and what may be no label."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from headstart.errors import DataError

_SEPARATORS = (";", "|", ",", "+", "/", "&", " ")
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_BETWEEN_ITEMS = re.compile(r"""[,;|]|(?<=['"])\s+(?=['"])""")
"""Of a list as Python, JSON or numpy write it."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_WHOLE_WITH_POINT = re.compile(r"[+-]?\d+\.0*")
_MISSING_VALUES = frozenset({"nan", "NaN", "NAN", "null", "NULL", "<NA>", "NaT", "#N/A"})
_MAYBE_MISSING = frozenset({"None", "none", "NONE", "n/a", "N/A"})
"""May be the name of a class, such as `None` for healthy; not where it has few rows."""


def refuse_unclear_labels(table: Path, labels: Mapping[str, str]) -> None:
    """Stop at labels that are several ones, or one in two spellings.

    Args:
        table: For messages.
        labels: Image -> label.

    Raises:
        DataError: with their number and the first.
    """
    _refuse_joined_labels(table, labels)
    known = sorted(set(labels.values()))
    _refuse_stray_spaces(table, known)
    _refuse_equal_numbers(table, known)


def _refuse_joined_labels(table: Path, written: Mapping[str, str]) -> None:
    """A cell such as `cat;dog` is refused only where cat and dog are labels of their own: it may be a name."""
    labels = {_unwrapped(label) for label in written.values()}
    joined = [(image, label) for image, label in written.items() if _is_joined(_unwrapped(label), labels)]
    if joined:
        raise DataError(
            f"{len(joined)} rows of {table} hold several labels (first: {joined[0][0]}: {joined[0][1]!r})",
            expected="one label per image; several labels are refused",
            remedy="keep the one label that matters, leave these images out, or rename the class if it is one",
        )


def _unwrapped(label: str) -> str:
    """A label without the brackets and quotes of a list: `['cat']` -> `cat`."""
    text = label.strip()
    if len(text) < 3 or _BRACKETS.get(text[0]) != text[-1]:
        return label
    return ",".join(part.strip().strip("'\"").strip() for part in _BETWEEN_ITEMS.split(text[1:-1]))


def _is_joined(label: str, labels: set[str]) -> bool:
    """Whether a label is several others with one mark between them."""
    for mark in _SEPARATORS:
        parts = [part.strip() for part in (label.split() if mark == " " else label.split(mark))]
        if len(parts) > 1 and all(part in labels for part in parts):
            return True
    return False


def _refuse_equal_numbers(table: Path, known: Sequence[str]) -> None:
    """`1` and `1.0` are one number in two spellings; `01` and `1` may be two codes."""
    spellings: dict[float, list[str]] = defaultdict(list)
    for label in known:
        if _NUMBER.fullmatch(label.strip()):
            spellings[float(label)].append(label)
    for labels in spellings.values():
        if len(labels) > 1 and any(not label.strip().lstrip("+-").isdigit() for label in labels):
            raise DataError(
                f"{table} has the labels {' and '.join(map(repr, labels))}, which are the same number",
                expected="one spelling of each label",
                remedy="write whole numbers without a decimal point",
            )


def doubtful_labels(labels: Sequence[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Labels that may be none.

    Args:
        labels: (N,) one for each image.

    Returns:
        (label that programs write for a missing value -> images that have it, labels such as 1.0 if all are so).
    """
    counts = Counter(labels)
    # `none` may be a class of its own; as a missing value it is rarer than half of an average class.
    few = len(labels) / (2 * len(counts)) if counts else 0.0
    missing = {
        label: count
        for label, count in sorted(counts.items())
        if label.strip() in _MISSING_VALUES or (label.strip() in _MAYBE_MISSING and count < few)
    }
    others = sorted(label for label in counts if label not in missing)
    decimal = others if all(_WHOLE_WITH_POINT.fullmatch(label.strip()) for label in others) else []
    return missing, tuple(decimal)


def _refuse_stray_spaces(table: Path, known: Sequence[str]) -> None:
    stray = [label for label in known if label != label.strip() and label.strip() in known]
    if stray:
        raise DataError(
            f"{table} has the labels {stray[0].strip()!r} and {stray[0]!r}, which differ by spaces only",
            expected="one spelling of each label",
            remedy="remove the spaces",
        )
