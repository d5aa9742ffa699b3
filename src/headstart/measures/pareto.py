"""Pareto front: the points that no other equals or beats in value at no more cost."""

from __future__ import annotations

import math
from collections.abc import Mapping


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the points that are not dominated, cheapest first; of one cost and value all are kept, in their order.

    A point is dominated if another costs no more, is worth no less, and is better in at least one of the two.

    Args:
        points: Name -> (cost, value): less cost is better, more value is better.

    Raises:
        ValueError: a cost or value is NaN or None; what was not measured has no place on a front.
    """
    unknown = [name for name, pair in points.items() if any(number is None or math.isnan(number) for number in pair)]
    if unknown:
        raise ValueError(f"{', '.join(unknown)} without a cost or a value; leave out what was not measured")
    kept: list[str] = []
    best: tuple[float, float] | None = None  # the point that was kept last: the most valuable of all that cost no more
    # By rising cost, of equal cost the best first: then a point is on the front if it beats the best so far.
    for name, (cost, value) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if best is None or value > best[1] or (cost, value) == best:
            kept.append(name)
            best = cost, value
    return kept
