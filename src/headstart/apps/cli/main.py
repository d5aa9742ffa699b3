"""The command line: parse, call one workflow function, show. Nothing here imports torch."""

from __future__ import annotations

import io
import sys
import warnings
from typing import NoReturn

import typer

from headstart.apps.cli.advise import advise
from headstart.apps.cli.cache import cache
from headstart.apps.cli.check import check
from headstart.apps.cli.compare import compare
from headstart.apps.cli.embed import embed
from headstart.apps.cli.evaluate import evaluate
from headstart.apps.cli.exits import Commands, exit_code
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
    help="Transfer learning on images: from a folder of labelled photos to a classifier that can be trusted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command()(demo)
app.command()(check)
app.command()(train)
app.command()(evaluate)
app.command()(predict)
app.command()(advise)
app.command()(models)
app.command()(cache)
app.command()(embed)
app.command()(compare)
app.command("plan")(plan_command)
app.command()(probe)
app.command()(report)
app.command()(runs)
app.command()(shortlist)
app.command()(web)


def main() -> NoReturn:
    """Run the command; a user's mistake is one line on stderr and exit code 1."""
    warnings.filterwarnings("ignore", module=r"PIL\..*")  # odd metadata and large images: checked where they are read
    _print_whatever_comes()
    sys.exit(exit_code(app))


def _print_whatever_comes() -> None:
    """A name that the terminal's encoding lacks is escaped; it must not end a command whose work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
