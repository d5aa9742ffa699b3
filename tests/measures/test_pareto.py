"""Fronts against the definition, pair by pair."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.measures.pareto import front

NUMBERS = st.integers(0, 4).map(float)  # few values, so that ties are common


def dominated(point: tuple[float, float], others: list[tuple[float, float]]) -> bool:
    return any(c <= point[0] and v >= point[1] and (c, v) != point for c, v in others)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=12))
def test_front_is_what_nothing_dominates(pairs: list[tuple[float, float]]) -> None:
    points = {f"p{place}": pair for place, pair in enumerate(pairs)}
    found = front(points)
    assert set(found) == {name for name, pair in points.items() if not dominated(pair, pairs)}
    assert [points[name][0] for name in found] == sorted(points[name][0] for name in found)


def test_equals_are_all_kept_in_their_order() -> None:
    assert front({"b": (1, 0.9), "a": (1, 0.9), "slow": (2, 0.9), "good": (3, 1.0), "bad": (1, 0.8)}) == [
        "b",
        "a",
        "good",
    ]


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_what_was_not_measured_is_refused_by_name(unknown: float | None) -> None:
    with pytest.raises(ValueError, match="resnet50 without a cost or a value; leave out what was not measured"):
        front({"lite0": (1.0, 0.9), "resnet50": (2.0, unknown)})  # type: ignore[dict-item]
