"""The end of progressive tuning: its reason, and what the next step would have cost."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from headstart.plan.plan import SelectionPlan
from headstart.runs.training_events import StepDone
from headstart.training.checkpoint import Candidate, TrainingProgress
from headstart.training.steps.course import why_no_step, why_selected


def training(errors: int, **selection: object) -> SimpleNamespace:
    correct = np.arange(100) >= errors
    best = Candidate("probe", correct, np.zeros(100), {})
    return SimpleNamespace(
        before_step=best,
        step_start=best,
        plan=SimpleNamespace(
            selection=SelectionPlan(**selection), phases=[None, SimpleNamespace(name="last_stages")], seed=0
        ),
        progress=TrainingProgress(phase=1),
        estimates=SimpleNamespace(seconds_of=lambda phases: 120.0 * len(phases)),
    )


@pytest.mark.parametrize("errors", [0, 14])
def test_the_reason_names_the_errors_and_the_cost(errors: int):
    why = why_no_step(training(errors))
    assert why.startswith(f"left out: {errors} errors left on 100 images")
    assert "last_stages would have taken about 2 min" in why


def test_the_reason_of_the_selection_is_that_of_the_last_selected_step():
    steps = [
        StepDone(name, f"{name}", "probe", 0.2, 0.3, 0.9, 0.8, 0.01, selected=selected, images=100)
        for name, selected in (("a", True), ("b", True), ("c", False))
    ]
    assert why_selected(steps).startswith("b is significantly better")
    assert why_selected(steps[2:]).startswith("c is not significantly better")


def test_nothing_is_left_out_where_errors_are_left_or_epochs_were_named():
    assert why_no_step(training(20)) == ""
    assert why_no_step(training(0, when_cannot_improve="tune_anyway")) == ""
