"""Durations and sizes in words, and the sums of a forecast."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.engine.costs.terms import (
    FEWEST_POINTS,
    MOST_POINTS,
    PIXELS,
    Forecast,
    PhaseCost,
    frozen_stretch,
    judging_stretch,
    points_for,
    steps_stretch,
)


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (15, "the budget of 15 s is shorter than that: it ends training while features for probe are computed"),
        (19, "the budget of 19 s is shorter than that: it ends training while the head of probe is solved"),
        (63, "the budget of 1 min 3 s is shorter than that: it ends training in tune after about 4 of 10 epochs"),
        (22, "the budget of 22 s is shorter than that: it ends training while features for tune are computed"),
        (91, "the budget of 1 min 31 s is shorter than that, but only the end will be past it"),
    ],
)
def test_a_short_budget_is_said_to_end_where_it_does(budget: float, sentence: str):
    tune = PhaseCost("tune", frozen_seconds=20, steps_seconds=50, once_seconds=20, epochs=10)
    made = Forecast(
        (
            PhaseCost("probe", frozen_seconds=8, other_seconds=2, once_seconds=8),
            tune,
            PhaseCost("end", other_seconds=5),
        ),
        0,
        "measured",
    )
    assert made.cut_off(10.0, budget) == sentence  # the probe ends at 20 s, what is stored at 40 s, tune at 90 s


def test_a_forecast_is_the_sum_of_its_phases():
    parts = {"views": 1, "frozen": 2, "steps": 3, "judging": 4, "other": 5, "search": 6}
    one = PhaseCost("a", **{f"{name}_seconds": seconds for name, seconds in parts.items()})
    two = PhaseCost("b", steps_seconds=1, stored_bytes=7)
    made = Forecast((one, two), memory_bytes=0, origin="guessed")
    assert (one.seconds, made.seconds, made.stored_bytes) == (21, 22, 7)


def test_stretches_have_names_of_their_own():
    names = [frozen_stretch("c", "torch"), frozen_stretch("c", "onnxruntime"), frozen_stretch("b", "torch")]
    names += [steps_stretch(PIXELS, "c"), steps_stretch("c", "c"), judging_stretch(PIXELS), judging_stretch("c")]
    assert len(set(names)) == len(names)


@given(steps=st.integers(1, 10**6))
def test_two_range_tests_take_a_third_of_the_phase_and_a_hundred_steps_at_most(steps: int):
    points = points_for(steps)
    assert FEWEST_POINTS <= points <= MOST_POINTS
    assert 2 * points <= max(2 * FEWEST_POINTS, min(100, steps / 3))
