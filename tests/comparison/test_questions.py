"""The three usual questions as grids."""

from __future__ import annotations

import pytest

from headstart.comparison.questions import COMPARED_LEARNING_RATES, learning_rate_changes, question
from headstart.errors import PlanError


def test_models_are_compared_by_features_unless_something_else_is_said():
    plan = question("models", "photos", ["a", "b"])
    assert plan.base == {"strategy": "feature_extraction"}
    assert [variant.changes for variant in plan.variants()] == [{"model": "a"}, {"model": "b"}]
    assert question("models", "photos", ["a", "b"], base={"strategy": "full"}).base == {"strategy": "full"}


def test_a_rate_is_that_of_the_whole_network():
    plan = question("learning_rates", "photos")
    assert [variant.name for variant in plan.variants()] == list(COMPARED_LEARNING_RATES)
    assert plan.variants()[1].changes == {
        "phases[tune].head_lr": 1e-3,
        "phases[tune].backbone_lr": {"rule": "uniform", "lr": 1e-3},
    }
    assert plan.base == {"strategy": "full"}


def test_a_quick_look_sets_what_nobody_said():
    plan = question("strategies", "photos", data={"limit_train": "9/class"}, base={"epochs": 1}, extent="quick")
    assert (plan.data.limit_train, plan.data.limit_test) == ("9/class", "50/class")
    assert plan.base == {"input_size": 96, "epochs": 1}
    assert plan.seeds == (0,)
    assert "epochs" not in question("models", "photos", extent="quick").base, "nothing is trained there"


@pytest.mark.parametrize("text", ["fast", "0", "-1e-3", "2", "nan"])
def test_what_is_no_rate_is_told(text: str):
    with pytest.raises(PlanError, match="learning_rates"):
        learning_rate_changes(text)


def test_the_same_rate_written_twice_is_told():
    with pytest.raises(PlanError, match=r"1e-3 and 0.001 are the same"):
        question("learning_rates", "photos", ["1e-3", "0.001"])


def test_what_varies_is_not_fixed_beside_it():
    with pytest.raises(PlanError, match="varies; name the"):
        question("strategies", "photos", base={"strategy": "full"})
    with pytest.raises(PlanError, match="must be one of models, strategies, learning_rates"):
        question("colours", "photos")  # type: ignore[arg-type]
