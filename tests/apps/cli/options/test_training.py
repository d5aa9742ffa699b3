"""What is said at the command line reaches the options of training, each under its own name."""

from __future__ import annotations

import inspect
import math
from dataclasses import fields
from typing import Any

from headstart.apps.cli.options import training
from headstart.apps.cli.plan import plan
from headstart.plan.plan import DataPlan
from headstart.workflow.plans import TrainOptions


def parameters(**said: Any) -> dict[str, Any]:
    found = {
        name: parameter.default
        for name, parameter in inspect.signature(plan).parameters.items()
        if name not in ("context", "out", "as_json")
    }
    return found | {"data": "photos"} | said


def test_every_option_arrives_somewhere():
    """One option changed at a time changes what is asked for."""
    plain = training.said_of(parameters())
    other = {"find_lr": True, "allow_noncommercial": True, "strict": True, "budget": "10m", "seed": 3}
    for name in parameters():
        value = other.get(name, "something else")
        assert training.said_of(parameters(**{name: value})) != plain, name


def test_the_names_are_those_of_plan_and_options():
    source, chosen = training.said_of(parameters(strategy="full", budget="unlimited"))
    assert set(source) <= set(DataPlan.model_fields)
    assert set(chosen) <= {field.name for field in fields(TrainOptions)}
    assert (chosen["strategy"], chosen["budget_seconds"]) == ("full", math.inf)
    assert "strategy" not in training.said_of(parameters())[1], "the default is the workflow's"
