"""The section of a plan that says which checkpoint is selected."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from headstart.plan.selection import SelectionPlan


def test_the_metric_is_one_of_four_or_decided_later():
    assert SelectionPlan().metric == "auto"
    assert SelectionPlan(metric="macro_f1").metric == "macro_f1"
    with pytest.raises(ValidationError, match="balanced_accuracy"):
        SelectionPlan(metric="recall")
