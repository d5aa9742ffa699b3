"""What a new estimate may promise is what earlier ones kept, and nothing where too few were tested."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.engine.costs.past_estimates import FEWEST, MOST_KEPT, kept_estimates, with_ratio

ratios = st.lists(st.floats(0.01, 100.0), max_size=2 * MOST_KEPT)


def test_too_few_runs_promise_nothing():
    assert kept_estimates([1.0] * (FEWEST - 1)) is None


@given(ratios)
def test_the_range_holds_for_each_of_the_last_runs(ratios: list[float]):
    kept, last = kept_estimates(ratios), ratios[-MOST_KEPT:]
    if kept is None:
        assert len(ratios) < FEWEST
        return
    assert kept.runs == len(last)
    assert all(kept.low <= ratio <= kept.high for ratio in last)
    assert kept.low in last
    assert kept.high in last


@given(ratios, st.floats(0.1, 1e6), st.floats(0.1, 1e6))
def test_the_newest_run_is_never_forgotten(ratios: list[float], estimated: float, took: float):
    after = with_ratio(ratios, estimated=estimated, took=took)
    assert after[-1] == took / estimated
    assert len(after) <= MOST_KEPT


@pytest.mark.parametrize("odd", [0.0, -1.0, math.nan, math.inf])
def test_times_that_are_none_teach_nothing(odd: float):
    assert with_ratio([1.0], estimated=odd, took=1.0) == [1.0]
    assert with_ratio([1.0], estimated=1.0, took=odd) == [1.0]
