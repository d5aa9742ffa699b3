"""Throughput and latency of several networks: which to measure again, which to mark as unstable.

On a busy machine a small network may seem slower than a large one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from headstart.measures.timing import Latency, implausible
from headstart.prediction.inference_figures import InferenceFigures

MOST_REPEATS = 2
"""Repetitions of a doubtful measurement before it is marked."""


@dataclass(frozen=True, slots=True)
class Measurable:
    """A network whose throughput and latency can be measured."""

    bundle: Path
    macs: float | None
    """Multiply-accumulates of one image; None if unknown."""


def doubtful(figures: Mapping[str, InferenceFigures], macs: Mapping[str, float | None]) -> set[str]:
    """Names of networks whose latency is not stable, or far higher than that of a network with as many MACs or more.

    Args:
        figures: Name -> measured figures.
        macs: Name -> multiply-accumulates of one image.
    """
    compared = {name: one for name, one in figures.items() if name in macs}
    unstable = {name for name, one in compared.items() if one.is_unstable}
    return unstable | implausible({name: Latency(one.one_image_ms, macs[name]) for name, one in compared.items()})


def better_of(before: InferenceFigures | None, now: InferenceFigures) -> InferenceFigures:
    """The stable one of two measurements, else the quicker one, with ranges over both.

    Args:
        before: None if it is the first.
        now: The newer one.
    """
    if before is None:
        return now
    better = min((before, now), key=lambda one: (one.is_unstable, one.one_image_ms))
    return replace(
        better,
        images_per_second_range=_joined(before.throughput_range, now.throughput_range),
        one_image_ms_range=_joined(before.latency_range, now.latency_range),
    )


def _joined(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return min(*one, *other), max(*one, *other)


def marked(figures: Mapping[str, InferenceFigures], macs: Mapping[str, float | None]) -> dict[str, InferenceFigures]:
    """The figures, with `stability` "unstable" for those that are doubtful after all repetitions."""
    doubt = doubtful(figures, macs)
    return {name: replace(one, stability="unstable") if name in doubt else one for name, one in figures.items()}
