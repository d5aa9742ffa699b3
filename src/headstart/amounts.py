"""Counts, durations, bytes and money as people read them: one way for lines, tables, reports and pages; no torch."""

from __future__ import annotations

import math

_DAY_SECONDS = 86_400
_WEEK_DAYS = 7


def count_text(count: int, noun: str) -> str:
    """`1 image`, `1,500 images`, `2 classes`."""
    plural = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{plural}"


def duration_text(seconds: float) -> str:
    """`0.4 s`, `45 s`, `2 min 10 s`, `12 min`, `3 h 20 min`, `2.1 days`, `7.7 weeks`, `unlimited`.

    What takes long needs no seconds: from ten minutes on they are left out, from two days on minutes too.
    """
    if seconds == math.inf:
        return "unlimited"
    if seconds < 9.95:
        return f"{_short(seconds)} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 597.5:
        return _two(round(seconds), 60, "min", "s")
    days = seconds / _DAY_SECONDS
    if days < 2:
        return _two(round(seconds / 60), 60, "h", "min")
    amount, unit = (days, "days") if days < 2 * _WEEK_DAYS else (days / _WEEK_DAYS, "weeks")
    return f"{_short(amount)} {unit}" if amount < 9.95 else f"{amount:,.0f} {unit}"


def bytes_text(count: float) -> str:
    """`0 bytes`, `999 bytes`, `120 MB`, `6.02 GB`, `2.5 TB`: units of 1000, three digits."""
    if count < 999.5:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5:
            return f"{count:.3g} {unit}"
    count /= 1000
    return f"{count:.3g} TB" if count < 999.5 else f"{count:,.0f} TB"


def usd_text(usd: float) -> str:
    """`less than $0.01`, `$0.35`, `$120`."""
    if usd < 0.01:
        return "less than $0.01"
    return f"${usd:,.2f}" if usd < 100 else f"${usd:,.0f}"


def accuracy_text(accuracy: float, interval: tuple[float, float], images: int) -> str:
    """`accuracy 0.941 (0.902..0.972) on 153 images`, for one line that stands for a result.

    Args:
        accuracy: 0..1.
        interval: Its 95 % interval.
        images: On which it was measured.
    """
    low, high = interval
    return f"accuracy {accuracy:.3f} ({low:.3f}..{high:.3f}) on {count_text(images, 'image')}"


def _short(amount: float) -> str:
    """One decimal, where it is not 0."""
    return f"{amount:.1f}".removesuffix(".0")


def _two(count: int, size: int, large: str, small: str) -> str:
    """An amount in two units, either left out where it is none."""
    parts = [(count // size, large), (count % size, small)]
    return " ".join(f"{amount} {unit}" for amount, unit in parts if amount)


def counted_text(images: int, counted: str = "images", groups: int | None = None, *, noun: str = "image") -> str:
    """What an interval counts: `225 images of 160 groups`, `225 images, 220 different files`, `225 images`.

    Args:
        images: How many there are.
        counted: images, groups or files; see `measures.figures.Counted`.
        groups: How many groups or different files there are.
        noun: What they are called, such as `test image`.
    """
    text = count_text(images, noun)
    if groups is None or counted == "images":
        return text
    if counted == "groups":
        return f"{text} of {count_text(groups, 'group')}"
    return f"{text}, {count_text(groups, 'different file')}"
