"""Help texts: every option under a heading, `-h` in every command, and the version."""

from __future__ import annotations

import pytest
import typer

import headstart
from command_line import Call
from headstart.apps.cli.help import FEW, PANELS, version
from headstart.apps.cli.main import app

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_every_option_of_a_long_help_has_one_heading():
    names = [name for panel in PANELS.values() for name in panel]
    assert len(names) == len(set(names))
    for command in COMMANDS.values():
        options = {parameter.name for parameter in command.params if parameter.param_type_name == "option"}
        assert len(options) < FEW or options <= set(names), command.name


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
