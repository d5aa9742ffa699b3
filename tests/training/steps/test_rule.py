"""Whether the next step can pay."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.runs.training_events import StepDone
from headstart.training.steps.rule import StepOutlook, fewest_errors, why_not_worth_it

OUTLOOK = StepOutlook(errors=40, images=400, significance_level=0.05)
STEP = StepDone("last_stages", "last_stages/6", "probe", 0.92, 0.90, 0.01, selected=True, images=400)


@pytest.mark.parametrize(("level", "errors"), [(0.05, 5), (0.01, 7), (0.5, 1)])
def test_as_many_errors_must_be_left_as_the_sign_test_needs(level: float, errors: int):
    assert fewest_errors(level) == errors
    assert 0.5**errors <= level < 0.5 ** (errors - 1)


@given(st.integers(0, 4))
def test_too_few_errors_end_tuning_with_their_number(errors: int):
    assert why_not_worth_it(replace(OUTLOOK, errors=errors)).startswith(f"{errors} error")
    assert why_not_worth_it(replace(OUTLOOK, errors=errors, first_step="always")) == ""


def test_a_step_that_gained_is_followed_by_the_next():
    assert why_not_worth_it(OUTLOOK) == ""
    assert why_not_worth_it(replace(OUTLOOK, steps=(STEP,))) == ""
