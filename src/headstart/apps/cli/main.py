"""The command line: parse, call one workflow function, show. Nothing here imports torch."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from functools import partial
from typing import Annotated, NoReturn

import typer

from headstart.apps.cli import own_process
from headstart.apps.cli.commands import HELP_NAMES, Commands
from headstart.apps.cli.exits import exit_code
from headstart.apps.cli.help import version

app = typer.Typer(
    name="headstart",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=HELP_NAMES,
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


def program() -> NoReturn:
    """Run the command in a process that is headstart's own."""
    own_process.begin()
    try:
        main()
    finally:
        own_process.end()


def main() -> NoReturn:
    """Run the command; a user's mistake is one line on stderr and exit code 1."""
    # Odd metadata and large images: checked where they are read.
    warnings.filterwarnings("ignore", module=r"(PIL|pydicom)\..*")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    _print_whatever_comes()
    sys.exit(exit_code(partial(app, standalone_mode=False)))


def _print_whatever_comes() -> None:
    """A name that the terminal's encoding lacks is escaped; it must not end a command whose work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    program()
