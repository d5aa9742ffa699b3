"""Counts, durations and money as people say them."""

from __future__ import annotations

import math

from headstart.features.cost_facts import duration_text as hours_text

_DAY_SECONDS = 86_400
_WEEK_DAYS = 7


def count_text(count: int, noun: str) -> str:
    """`1 image`, `1,500 images`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def duration_text(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`, `2.1 days`, `7.7 weeks`, `unlimited`: what takes long needs no minutes."""
    if seconds == math.inf:
        return "unlimited"
    days = seconds / _DAY_SECONDS
    if days < 2:
        return hours_text(seconds if seconds < 600 else 60 * round(seconds / 60))
    amount, unit = (days, "days") if days < 2 * _WEEK_DAYS else (days / _WEEK_DAYS, "weeks")
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:,.0f} {unit}"


def usd_text(usd: float) -> str:
    """`less than $0.01`, `$0.35`, `$120`."""
    if usd < 0.01:
        return "less than $0.01"
    return f"${usd:,.2f}" if usd < 100 else f"${usd:,.0f}"
