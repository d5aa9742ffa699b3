"""One fold of k as text."""

from __future__ import annotations

import pytest

from headstart.errors import PlanError
from headstart.plan.fold import Fold
from headstart.plan.plan import DataPlan


def test_a_fold_is_read_and_written_as_the_user_writes_it():
    fold = Fold.read("2/5")
    assert (fold.number, fold.count, str(fold), fold.sentence) == (2, 5, "2/5", "fold 2 of 5")


@pytest.mark.parametrize("text", ["0/5", "6/5", "1/1", "1/101", "2", "2/5/1", "two/5", "-1/5", "2 / 5"])
def test_what_is_no_fold_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match="such as 2/5"):
        Fold.read(text)


def test_a_plan_has_one_test_set():
    assert DataPlan.from_options(source="photos", fold="5/5").test_fold == Fold(5, 5)
    with pytest.raises(PlanError, match=r"fold: .*6/5.* must be a fold and their number"):
        DataPlan.from_options(source="photos", fold="6/5")
    with pytest.raises(PlanError, match=r"fold: .*2/5 and val 'held' are both the test set"):
        DataPlan.from_options(source="photos", fold="2/5", val="held")
