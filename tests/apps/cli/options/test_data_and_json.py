"""Options that many commands take: the same spelling and help in each of them."""

from __future__ import annotations

import typer

from headstart.apps.cli.main import app
from headstart.apps.cli.options.data_and_json import DATA_HELP

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_json_is_one_option_of_every_command_that_prints_a_result():
    found = {
        name: parameter.help
        for name, command in COMMANDS.items()
        for parameter in command.params
        if "--json" in parameter.opts
    }
    assert set(COMMANDS) - set(found) == {"web"}
    assert len(set(found.values())) == 1


def test_data_is_explained_once():
    helps = {
        name: next(parameter.help for parameter in COMMANDS[name].params if parameter.name == "data")
        for name in ("check", "train", "plan")
    }
    assert set(helps.values()) == {DATA_HELP}
