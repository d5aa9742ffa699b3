"""Options of a command from the annotated fields of a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from headstart.apps.cli.options.derived import DerivedOptions
from headstart.errors import HeadstartError
from headstart.plan.option import Option


@dataclass
class Record:
    source: str
    size: Annotated[int | None, Option("Side.", panel="Data", spellings=("--size", "--side"))] = None
    mode: Annotated[Literal["a", "b"], Option("Mode.")] = "a"
    strict: Annotated[Literal["on", "off"], Option("Stop.", switch="on")] = "off"
    limit: Annotated[float | None, Option("Time.", kind="duration")] = None
    most: Annotated[float | None, Option("Count.", kind="count")] = None
    table: Annotated[dict[str, float] | None, Option("Table.", kind="library only")] = None


DERIVED = DerivedOptions(Record)


def called(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    @DERIVED.add_to
    def command(name: Annotated[str, typer.Argument()], **options: Any) -> None:
        found.update(name=name, **DERIVED.values_of(options))

    done = CliRunner().invoke(app, ["x", *arguments])
    if isinstance(done.exception, HeadstartError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return found


def test_a_field_that_was_not_given_keeps_its_default():
    assert called() == {"name": "x", "mode": "a"}


def test_spellings_switches_durations_and_counts_are_read():
    found = called("--side", "3", "--mode", "b", "--strict", "--limit", "2m", "--most", "5k")
    assert found == {"name": "x", "size": 3, "mode": "b", "strict": "on", "limit": 120.0, "most": 5000.0}
    with pytest.raises(HeadstartError, match="--most 'many' is no count"):
        called("--most", "many")


def test_help_and_heading_are_those_of_the_field():
    assert DERIVED.help_of("size") == "Side. Also spelled --side."
    assert (DERIVED.info("size").help, DERIVED.info("size").rich_help_panel) == (DERIVED.help_of("size"), "Data")
    assert "table" not in DERIVED.fields
    assert "mode" not in DerivedOptions(Record, without=("mode",)).fields
