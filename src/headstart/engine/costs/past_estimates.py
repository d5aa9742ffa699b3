"""How right earlier estimates of time were on this machine: what a new one may promise; pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MOST_KEPT = 20
"""Ratios that are remembered for each origin; older ones go, because machines change."""
FEWEST = 3
"""With fewer runs nothing is said of how far an estimate may be off."""


@dataclass(frozen=True, slots=True)
class KeptEstimates:
    """The last runs whose estimates came from the same kind of figures."""

    runs: int
    low: float
    """Smallest time taken, as a multiple of the estimate."""
    high: float
    """Largest."""


def kept_estimates(ratios: Sequence[float]) -> KeptEstimates | None:
    """The range that held for the last runs; None with fewer than `FEWEST`.

    Args:
        ratios: Seconds taken by seconds estimated, oldest first, each > 0.
    """
    last = ratios[-MOST_KEPT:]
    return KeptEstimates(len(last), min(last), max(last)) if len(last) >= FEWEST else None


def with_ratio(ratios: Sequence[float], *, estimated: float, took: float) -> list[float]:
    """The ratios after one more run; as they were if either time is no positive number."""
    if not (math.isfinite(estimated) and math.isfinite(took) and estimated > 0 and took > 0):
        return list(ratios)
    return [*ratios, took / estimated][-MOST_KEPT:]
