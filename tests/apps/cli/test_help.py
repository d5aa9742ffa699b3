"""Help texts: every option under a heading, `-h` in every command, and the version."""

from __future__ import annotations

from typing import get_args

import pytest
import typer

import headstart
from command_line import Call
from headstart.apps.cli.help import FEW, panel_of, version
from headstart.apps.cli.main import app
from headstart.apps.cli.options.training import TRAINING
from headstart.plan.option import Panel, options_of
from headstart.plan.plan import DataPlan
from headstart.plan.request import OPTIONS

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_an_option_stands_under_the_same_heading_in_every_command():
    panels: dict[str, set[str]] = {}
    for command in COMMANDS.values():
        options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
        for parameter in options if len(options) >= FEW else ():
            assert panel_of(parameter) in get_args(Panel), (command.name, parameter.name)
            panels.setdefault(str(parameter.name), set()).add(panel_of(parameter))
    several = {name: found for name, found in panels.items() if len(found) > 1}
    # The domain of the images or of the weights; a sample of the images or the rows of a list.
    assert several == {"domain": {"Usual", "Search"}, "limit": {"Data", "Search"}}


def test_the_group_is_the_one_that_the_field_of_the_request_declares():
    train = {parameter.name: parameter for parameter in COMMANDS["train"].params}
    declared = {**OPTIONS, **options_of(DataPlan)}
    found = {field: panel_of(train[TRAINING.parameter_of(field)]) for field in TRAINING.fields}
    assert found == {field: declared[field].panel for field in TRAINING.fields}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_its_options_with_h(name: str, run: Call):
    code, out, _ = run(name, "-h")
    assert code == 0
    assert run(name, "--help")[1] == out
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option":
            assert f"{parameter.opts[-1]} " in out or f"{parameter.opts[-1]}\n" in out


def test_usage_marks_what_may_be_left_out_and_what_may_be_repeated(run: Call):
    assert run("evaluate", "-h")[1].splitlines()[0].endswith(" evaluate [OPTIONS] RUN [DATA]")
    assert run("predict", "-h")[1].splitlines()[0].endswith(" predict [OPTIONS] RUN IMAGES...")
    assert run("runs", "-h")[1].splitlines()[0].endswith(" runs [OPTIONS] [FOLDER...]")


def test_types_are_told_in_plain_words(run: Call):
    helps = [run(name, "-h")[1] for name in COMMANDS]
    assert not [line for out in helps for line in out.splitlines() if "list[" in line or " range>" in line]
    assert "--track <str>" in run("train", "-h")[1]
    assert "\n  RUN     " in run("predict", "-h")[1]
    assert "WHAT <models|strategies|learning_rates|grid>" in run("compare", "-h")[1]


def test_many_options_stand_in_groups_and_few_in_one_list(run: Call):
    train, predict = run("train", "-h")[1], run("predict", "-h")[1]
    heads = [line for line in train.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert heads == ["Arguments:", "Usual:", "Data:", "Training:", "Run:"]
    assert train.index("\nUsual:") < train.index("--strategy") < train.index("\nData:") < train.index("--val ")
    assert "\nOptions:" in predict
    assert "\nUsual:" not in predict


def test_the_version_is_that_of_the_package(run: Call):
    assert run("--version")[:2] == (0, f"headstart {version()}\n")
    assert headstart.__version__ == version()


def test_every_command_says_in_one_line_what_it_does(run: Call):
    listed = run("-h")[1].split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert not [line for line in listed if line.endswith("...")]
