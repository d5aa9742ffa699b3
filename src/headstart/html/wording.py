"""Text of figures: shares, intervals, learning rates, times, sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.amounts import bytes_text, duration_text


def percent(share: float | None) -> str:
    """Text such as `86.9 %`; a dash if unknown."""
    return "\u2013" if share is None else f"{100 * share:.1f}\u00a0%"


def interval_text(bounds: Sequence[float] | None) -> str:
    """Text such as `80.7 to 91.4 %`."""
    return "\u2013" if bounds is None else f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}\u00a0%"


def learning_rate(value: float) -> str:
    """Learning rate with at most two digits: `3e-4`, `2.5e-5`, `1e-2`, `0.1`."""
    if value == 0:
        return "0"
    if value >= 0.1:
        return f"{value:.2g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    digits = f"{value / 10**exponent:.1f}".removesuffix(".0")
    return f"1e{exponent + 1}" if digits == "10" else f"{digits}e{exponent}"


def number(value: float | None, digits: int = 3) -> str:
    """Text of a loss or another number."""
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
    """Count with three digits: `4.65 M`, `385 M`, `1.2 G`."""
    if count is None:
        return "\u2013"
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f}"


def listed(names: Sequence[str], *, most: int = 8) -> str:
    """Text such as `a, b and c`; of many the first ones and the number of others."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else "none"


def titled(name: str) -> str:
    """Title of a name: `Probe then tune` of `probe_then_tune`."""
    return name.replace("_", " ").capitalize()
