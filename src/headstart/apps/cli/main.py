"""The command line: parse, call one workflow function, show. Nothing here imports torch."""

from __future__ import annotations

import io
import sys
import warnings
from functools import partial
from typing import Annotated, NoReturn

import typer

from headstart.apps.cli.advise import advise
from headstart.apps.cli.cache import cache
from headstart.apps.cli.check import check
from headstart.apps.cli.compare import compare
from headstart.apps.cli.embed import embed
from headstart.apps.cli.evaluate import evaluate
from headstart.apps.cli.exits import Commands, exit_code
from headstart.apps.cli.help import Command, version
from headstart.apps.cli.models import models
from headstart.apps.cli.plan import plan as plan_command
from headstart.apps.cli.predict import predict
from headstart.apps.cli.probe import probe
from headstart.apps.cli.report import report
from headstart.apps.cli.runs import runs
from headstart.apps.cli.shortlist import shortlist
from headstart.apps.cli.train import demo, train
from headstart.apps.cli.web import web

app = typer.Typer(
    name="headstart",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        print(f"headstart {version()}")
        raise typer.Exit


@app.callback()
def headstart(
    wanted: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Transfer learning on images: from a folder of labelled photos to a classifier that can be trusted."""


app.command(cls=Command)(demo)
app.command(cls=Command)(check)
app.command(cls=Command)(train)
app.command(cls=Command)(evaluate)
app.command(cls=Command)(predict)
app.command(cls=Command)(advise)
app.command(cls=Command)(models)
app.command(cls=Command)(cache)
app.command(cls=Command)(embed)
app.command(cls=Command)(compare)
app.command("plan", cls=Command)(plan_command)
app.command(cls=Command)(probe)
app.command(cls=Command)(report)
app.command(cls=Command)(runs)
app.command(cls=Command)(shortlist)
app.command(cls=Command)(web)


def main() -> NoReturn:
    """Run the command; a user's mistake is one line on stderr and exit code 1."""
    warnings.filterwarnings("ignore", module=r"PIL\..*")  # odd metadata and large images: checked where they are read
    _print_whatever_comes()
    sys.exit(exit_code(partial(app, standalone_mode=False)))


def _print_whatever_comes() -> None:
    """A name that the terminal's encoding lacks is escaped; it must not end a command whose work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
