"""Whether the next step can pay."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.runs.training_events import StepDone
from headstart.training.steps.rule import StepOutlook, fewest_errors, why_not_worth_it

OUTLOOK = StepOutlook(errors=40, images=400, significance_level=0.05)
STEP = StepDone("last_stages", "last_stages", "probe", 0.2, 0.3, 0.92, 0.90, 0.01, selected=True, images=400)


@pytest.mark.parametrize(("level", "errors"), [(0.05, 15), (0.01, 21), (0.5, 3)])
def test_a_third_of_the_errors_must_be_as_many_as_the_sign_test_needs(level: float, errors: int):
    assert fewest_errors(level) == errors
    assert 0.5 ** (errors // 3) <= level


@given(st.integers(0, 14))
def test_too_few_errors_end_tuning_with_their_number(errors: int):
    assert why_not_worth_it(replace(OUTLOOK, errors=errors)).startswith(f"{errors} error")
    assert why_not_worth_it(replace(OUTLOOK, errors=errors, first_step="always")) == ""


def test_the_first_step_is_always_tried_where_errors_are_left():
    assert why_not_worth_it(OUTLOOK) == ""


@pytest.mark.parametrize(
    ("errors", "start", "begins"), [(55, 93, False), (67, 93, True), (66, 93, False), (93, 93, True)]
)
def test_a_head_on_all_depths_that_repaired_as_much_as_a_step_can_ends_tuning(errors: int, start: int, begins: bool):
    """62 of 93 are left where a third is repaired; the sign test needs five fewer than the best candidate has."""
    why = why_not_worth_it(replace(OUTLOOK, errors=errors, start_errors=start))
    assert (why == "") == begins
    assert begins or f"left {errors} of the 93 errors" in why


def done(*steps: tuple[bool, float]) -> tuple[StepDone, ...]:
    names = ("last_stages", "most_stages", "all")
    return tuple(
        replace(STEP, phase=name, checkpoint=name, selected=selected, p_value=p_value)
        for name, (selected, p_value) in zip(names, steps, strict=False)
    )


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([(False, 0.4)], ""),  # one deeper step has its trial
        ([(False, 0.4), (False, 0.3)], "most_stages was not significantly better"),
        ([(True, 1e-12), (False, 0.3)], "most_stages was not significantly better"),
        ([(True, 0.001)], "last_stages gained 0.100 nats of log loss"),
        ([(True, 1e-12)], ""),
        ([(False, 0.4), (True, 1e-12)], ""),
        ([(False, 0.4), (True, 0.001)], "most_stages gained 0.100 nats"),
    ],
)
def test_what_the_steps_so_far_say_of_the_next(steps: list[tuple[bool, float]], why: str):
    found = why_not_worth_it(replace(OUTLOOK, steps=done(*steps)))
    assert found.startswith(why)
    assert bool(found) == bool(why)


def test_behind_a_head_on_all_depths_no_deeper_step_has_a_trial():
    """Out of fold it was far better than what a step reached on rsscn7 and chest_xray, at 128 and at 224 px."""
    outlook = replace(OUTLOOK, start_errors=60, steps=done((False, 0.4)))
    assert why_not_worth_it(replace(outlook, start_errors=None)) == ""
    assert why_not_worth_it(replace(outlook, errors=60)).startswith("last_stages was not significantly better")


def test_too_few_errors_end_tuning_after_any_step():
    assert why_not_worth_it(replace(OUTLOOK, errors=14, steps=done((True, 1e-12)))).startswith("14 errors left")


@given(st.floats(0, 0.04))
def test_a_gain_is_large_enough_where_a_quarter_of_it_is_significant(p_value: float):
    """Deviates of a one-sided 0.05: 1.645 for the quarter, 6.58 (p = 2.4e-11) for the whole."""
    found = why_not_worth_it(replace(OUTLOOK, steps=done((True, p_value))))
    assert (found == "") == (p_value <= 2.36e-11)
