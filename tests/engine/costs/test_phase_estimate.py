"""The sums of an estimate, and where a budget ends it."""

from __future__ import annotations

import pytest

from headstart.engine.costs.phase_estimate import CostEstimate, PhaseEstimate


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (15, "the budget of 15 s is shorter than that: it ends training while features for probe are computed"),
        (19, "the budget of 19 s is shorter than that: it ends training while the head of probe is fitted"),
        (63, "the budget of 1 min 3 s is shorter than that: it ends training in tune after about 4 of 10 epochs"),
        (22, "the budget of 22 s is shorter than that: it ends training while features for tune are computed"),
        (91, "the budget of 1 min 31 s is shorter than that, but only the end will be past it"),
    ],
)
def test_a_short_budget_is_said_to_end_where_it_does(budget: float, sentence: str):
    tune = PhaseEstimate("tune", 70, once_seconds=20, epochs=10, epoch_seconds=5)
    made = CostEstimate((PhaseEstimate("probe", 10, once_seconds=8), tune, PhaseEstimate("end", 5)), 0, "measured")
    assert made.cut_off(10.0, budget) == sentence  # the probe ends at 20 s, what is stored at 40 s, tune at 90 s


def test_an_estimate_is_the_sum_of_its_phases():
    made = CostEstimate((PhaseEstimate("a", 21), PhaseEstimate("b", 1, stored_bytes=7)), 0, "guessed")
    assert (made.seconds, made.stored_bytes) == (22, 7)
