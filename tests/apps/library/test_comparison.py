"""The library verbs of comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import headstart
from headstart.arguments import ArgumentError
from headstart.errors import HeadstartError


def test_a_comparison_by_keywords_is_the_one_of_the_command(monkeypatch: pytest.MonkeyPatch):
    from headstart.workflow import comparing

    seen: list[Any] = []
    monkeypatch.setattr(comparing, "compare", lambda plan, **rest: seen.append(plan))
    headstart.compare(
        "learning_rates", "photos", learning_rates=[1e-3, "1e-4"], seeds=2, epochs=1, limit_test="9", progress="none"
    )
    plan = seen[0]
    assert list(plan.vary["learning_rate"]) == ["0.001", "1e-4"]
    assert (plan.seeds, plan.base["epochs"], plan.data.limit_test) == ((0, 1), 1, "9")
    headstart.compare(plan, progress="none")
    assert seen[1] == plan
    with pytest.raises(ArgumentError, match="seeds has no effect together with a GridPlan"):
        headstart.compare(plan, seeds=3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: headstart.compare("models", "photos", learning_rates=[1e-3]), r"rates does not go with 'models'"),
        (lambda: headstart.compare("learning_rates"), r"data is missing; expected what 'learning_rates' needs"),
        (
            lambda: headstart.compare("strategy", "photos"),
            r"what: 'strategy' must be one of .* did you mean strategies",
        ),
        (
            lambda: headstart.resume_comparison("x", progres="none"),
            r"has no argument 'progres'; .* did you mean progress",
        ),
    ],
)
def test_every_argument_is_checked(call: Callable[[], object], words: str):
    with pytest.raises(HeadstartError, match=words):
        call()
