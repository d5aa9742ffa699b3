"""Throughput and latency of several networks: which to measure again, which to mark as unstable.

On a busy machine a small network may seem slower than a large one. Figures as in `inference` of comparison.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.measures.timing import Latency, implausible

MOST_REPEATS = 2
"""Repetitions of a doubtful measurement before it is marked."""
_FIGURES = ("images_per_second", "one_image_ms")


@dataclass(frozen=True, slots=True)
class Measurable:
    """A network whose throughput and latency can be measured."""

    bundle: Path
    macs: float | None
    """Multiply-accumulates of one image; None if unknown."""


def doubtful(figures: Mapping[str, Mapping[str, Any]], macs: Mapping[str, float | None]) -> set[str]:
    """Names of networks whose latency is not stable, or far higher than that of a network with as many MACs or more.

    Args:
        figures: Name -> measured figures.
        macs: Name -> multiply-accumulates of one image.
    """
    known = {name: Latency(one["one_image_ms"], macs[name]) for name, one in figures.items() if name in macs}
    unstable = {name for name, one in figures.items() if name in macs and one.get("stability") == "unstable"}
    return unstable | implausible(known)


def better_of(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, Any]:
    """The stable one of two measurements, else the quicker one, with ranges over both.

    Args:
        before: None if it is the first.
        now: The newer one.
    """
    if before is None:
        return dict(now)
    both = sorted((before, now), key=lambda one: (one.get("stability") == "unstable", one["one_image_ms"]))
    kept = dict(both[0])
    for name in _FIGURES:
        ends = [end for one in (before, now) for end in one.get(f"{name}_range") or (one[name], one[name])]
        kept[f"{name}_range"] = [min(ends), max(ends)]
    return kept


def marked(figures: Mapping[str, Mapping[str, Any]], macs: Mapping[str, float | None]) -> dict[str, dict[str, Any]]:
    """The figures, with `stability` "unstable" for those that are doubtful after all repetitions."""
    doubt = doubtful(figures, macs)
    return {name: {**one, "stability": "unstable"} if name in doubt else dict(one) for name, one in figures.items()}
