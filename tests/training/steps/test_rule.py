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


def test_a_step_that_gained_is_followed_by_the_next():
    assert why_not_worth_it(OUTLOOK) == ""
    assert why_not_worth_it(replace(OUTLOOK, steps=(STEP,))) == ""
