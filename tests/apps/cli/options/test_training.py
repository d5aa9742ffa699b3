"""Every option of a request is an option of the command line, and what is given there reaches the request."""

from __future__ import annotations

import math
from typing import Any, get_type_hints

import pytest
import typer

from headstart.apps.cli.main import app
from headstart.apps.cli.options import training
from headstart.errors import PlanError
from headstart.plan.option import words_of
from headstart.plan.plan import DataPlan
from headstart.plan.request import OPTIONS, Request

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
DECLARED = {name: option for name, option in OPTIONS.items() if option.kind != "library only"}
EXAMPLES: dict[str, Any] = {
    **{"model": "resnet18", "input_size": 64, "epochs": 3, "unfreeze": 2, "lr": 1e-3, "head_lr": 1e-2, "batch_size": 7},
    **{"weight_decay": 0.1, "patience": 4, "seed": 9, "budget_seconds": "10m", "workers": 3, "device": "cpu"},
    **{
        "val": "v",
        "group": "(a)",
        "fold": "2/5",
        "limit_train": "10",
        "limit_test": "5/class",
        "bits": 12,
        "bands": "3,2,1",
        "links": "follow",
        "window": "full",
    },
}
"""Field -> a value; of fields with words the last word is taken, of switches True."""


def example_of(field: str) -> Any:
    hints = {**get_type_hints(Request), **get_type_hints(DataPlan)}
    option = {**OPTIONS, **training.OF_DATA}[field]
    return True if option.switch else EXAMPLES[field] if field in EXAMPLES else words_of(hints[field])[-1]


@pytest.mark.parametrize("command", ["train", "plan"])
def test_every_declared_option_is_there_with_its_spellings(command: str):
    options = {spelling for parameter in COMMANDS[command].params for spelling in parameter.opts}
    for field in (*DECLARED, *training.OF_DATA):
        assert set(training.TRAINING.spellings_of(field)) <= options, field


@pytest.mark.parametrize("field", [*DECLARED, *training.OF_DATA])
def test_what_is_given_reaches_the_request(field: str):
    """One option at a time changes what is requested, in the field that declares it."""
    plain = training.request_of("photos", {})
    given = training.request_of("photos", {training.TRAINING.parameter_of(field): example_of(field)})
    changed = given.data if field in training.OF_DATA else given
    before = plain.data if field in training.OF_DATA else plain
    assert getattr(changed, field) != getattr(before, field)


@pytest.mark.parametrize(
    ("spelling", "field"),
    [
        ("--image-size", "input_size"),
        ("--imgsz", "input_size"),
        ("--time-limit", "budget_seconds"),
        ("--lr", "lr"),
        ("--batch-size", "batch_size"),
        ("--weight-decay", "weight_decay"),
        ("--workers", "workers"),
        ("--device", "device"),
        ("--find-lr", "peak_lr"),
        ("--unfreeze", "unfreeze"),
    ],
)
def test_spellings_of_peers_are_taken_and_the_help_says_which_is_ours(spelling: str, field: str):
    ours, *others = training.TRAINING.spellings_of(field)
    assert spelling in (ours, *others)
    if others:
        assert training.TRAINING.help_of(field).endswith(f" Also spelled {' or '.join(others)}.")


def test_an_unlimited_budget_is_infinite_and_nothing_given_is_the_default():
    assert training.request_of("photos", {"budget": "unlimited"}).budget_seconds == math.inf
    assert training.request_of("photos", {"find_lr": False, "strict": False}) == Request(DataPlan(source="photos"))


def test_words_of_an_option_are_those_of_its_field():
    hints = get_type_hints(Request)
    types = {parameter.name: parameter.type_descriptor.annotation for parameter in COMMANDS["train"].params}
    for field, option in DECLARED.items():
        if words_of(hints[field]) and not option.switch:
            assert words_of(types[training.TRAINING.parameter_of(field)]) == words_of(hints[field]), field


def test_all_faults_are_named_at_once():
    with pytest.raises(PlanError) as caught:
        training.request_of("photos", {"lr": 2.0, "epochs": 0, "patience": 0, "device": "gpu"})
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["epochs", "lr", "patience", "device"]
