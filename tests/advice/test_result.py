"""The answer as JSON, and as a command that trains the same plan."""

from __future__ import annotations

import json
import math
import shlex
from typing import Any

import pytest

from headstart.advice.advisor import advice_for
from headstart.advice.result import Advice, usual_routes
from headstart.advice.situation import Situation
from headstart.plan.plan import DataPlan
from headstart.plan.presets import STRATEGIES
from headstart.plan.request import Request


def advice(**said: Any) -> Advice:
    return advice_for(Situation(**said))


def test_the_keys_are_a_contract():
    answer = advice(images=800, domain="medical", budget_seconds=math.inf).to_dict()
    json.dumps(answer, allow_nan=False)
    assert {"strategy", "model", "reasons", "rejected", "plan", "cost", "steps", "warnings"} <= set(answer)
    assert all(set(reason) == {"path", "reason", "source"} for reason in answer["reasons"])
    assert all({"strategy", "reason"} <= set(row) for row in answer["rejected"])
    assert len(answer["rejected"]) == len(STRATEGIES) - 1
    assert answer["plan"]["strategy"] == answer["strategy"]
    assert answer["situation"]["budget_seconds"] == "unlimited"


def test_the_cost_stands_beside_that_of_training_from_scratch():
    cost = advice(images=800, domain="medical").to_dict()["cost"]
    assert {"minutes", "memory_gb", "disk_gb", "usd", "assumptions", "by_strategy", "from_scratch"} <= set(cost)
    assert cost["from_scratch"]["minutes"] > 50 * cost["minutes"]
    assert cost["from_scratch"]["images"] == 100_000
    assert cost["usual"]["from_scratch"]["time"] == "days to weeks"
    assert set(cost["by_strategy"]) == set(STRATEGIES)
    assert cost["by_strategy"]["progressive"]["minutes"] == cost["minutes"]


@pytest.mark.parametrize(
    "said",
    [
        {"images": 500, "domain": "medical"},
        {"images": 1_500},
        {"images": 2_000, "similarity": "high"},
        {"images": 20_000, "similarity": "high", "resolution": 32},
        {"images": 3_000, "domain": "satellite", "budget_seconds": 1e7},
        {"images": 900, "similarity": "low"},
    ],
)
def test_the_command_trains_the_same_plan(said: dict[str, Any]):
    """The options of the command, through the plan maker of `train`, give the phases and sections of the advice."""
    from headstart.plan.image_counts import PlanCounts, counted
    from headstart.plan.request import Request
    from headstart.workflow.plans import make_plan

    found = advice(**said)
    assert found.command_says_all
    words = shlex.split(found.command("my photos"))
    assert words[:3] == ["headstart", "train", "my photos"]
    options = {
        name.removeprefix("--").replace("-", "_"): value for name, value in zip(*[iter(words[3:])] * 2, strict=True)
    }
    if "input_size" in options:
        options["input_size"] = int(options["input_size"])  # type: ignore[assignment]
    if "budget" in options:
        options["budget_seconds"] = float(options.pop("budget").removesuffix("s"))  # type: ignore[assignment]
    request = Request(DataPlan(source="DATA"), **options)  # type: ignore[arg-type]
    counts = PlanCounts(said["images"], shorter_side=said.get("resolution"), weights_size=224, weights_sizes="any")
    made = counted(make_plan(request), request, counts)
    for name in type(made).model_fields:
        if name != "reasons":
            assert getattr(made, name) == getattr(found.plan, name), name


def test_the_command_names_what_was_said_of_the_images():
    part = DataPlan(source="x", val="my val", group=r"/(\d+)_", limit_train="100/class", unreadable="stop")
    found = advice_for(Situation(images=500), Request(part))
    assert "--val 'my val' --group '/(\\d+)_' --limit-train 100/class --strict" in found.command("x")
    assert found.command_says_all
    other = advice_for(Situation(images=500), Request(part.model_copy(update={"test_fraction": 0.3})))
    assert not other.command_says_all, "there is no option for it"


def test_a_command_that_cannot_say_all_admits_it():
    assert not advice(images=30_000, domain="document").command_says_all
    assert not advice_for(Situation(images=30_000, domain="document"), Request(DataPlan(source="x"))).command_says_all


def test_what_the_field_says_of_both_ways():
    routes = usual_routes()
    assert routes["from_scratch"]["labelled_images"] == "100,000+"
    assert routes["from_scratch"]["usd"] == "$100 to 1000+"
    assert routes["transfer"]["labelled_images"] == "1,000 to 10,000"
    assert (routes["from_scratch"]["risk"], routes["transfer"]["risk"]) == ("high", "low")
