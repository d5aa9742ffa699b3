"""Figures as people read them: shares, intervals, rates, times, sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.amounts import bytes_text, duration_text


def percent(share: float | None) -> str:
    """`86.9 %`; a dash for what is not known."""
    return "\u2013" if share is None else f"{100 * share:.1f}\u00a0%"


def interval(bounds: Sequence[float] | None) -> str:
    """`80.7 to 91.4 %`."""
    return "\u2013" if bounds is None else f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}\u00a0%"


def rate(value: float) -> str:
    """A learning rate in two digits at most: `3e-4`, `2.5e-5`, `1e-2`, `0.1`."""
    if value == 0:
        return "0"
    if value >= 0.1:
        return f"{value:.2g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    digits = f"{value / 10**exponent:.1f}".removesuffix(".0")
    return f"1e{exponent + 1}" if digits == "10" else f"{digits}e{exponent}"


def number(value: float | None, digits: int = 3) -> str:
    """A loss and the like."""
    if value is None or not math.isfinite(value):
        return "\u2013"
    return f"{value:.{digits}f}"


def duration(seconds: float | None) -> str:
    """As `amounts.duration_text`."""
    return "\u2013" if seconds is None else duration_text(seconds)


def size(count: float | None) -> str:
    """As `amounts.bytes_text`."""
    return "\u2013" if count is None else bytes_text(count)


def large(count: float | None) -> str:
    """A count in three digits: `4.65 M`, `385 M`, `1.2 G`."""
    if count is None:
        return "\u2013"
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f}"


def listed(names: Sequence[str], *, most: int = 8) -> str:
    """`a, b and c`; of many the first and how many more."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else "none"


def titled(name: str) -> str:
    """`probe_then_tune` as people read it: `Probe then tune`."""
    return name.replace("_", " ").capitalize()
