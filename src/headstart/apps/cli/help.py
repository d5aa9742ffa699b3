"""Help texts in groups: what most people use, then data, training, search and run; each option names its group."""

from __future__ import annotations

import re
from typing import Any, get_args

from typer.core import TyperCommand

from headstart.plan.option import Panel

FEW = 10
"""A command with no more options than this shows them in one list."""

_ARGUMENT_TYPE = re.compile(r" <(?![^>]*\|)[^>]*>$")
"""Type that typer puts behind the name of an argument; choices (`<a|b>`) are worth showing."""
_CONTAINER = re.compile(r"<(?:list\[)?(\w+)(?:\]| range)?>")
"""Type of an option in typer's words, such as `<list[str]>` and `<int range>`."""


def version() -> str:
    """The installed version, such as `0.1.0`."""
    from importlib import metadata

    return metadata.version("headstart")


def panel_of(parameter: Any) -> str:  # noqa: ANN401 - typer's own class
    """Heading of an option: the one that its declaration names, else Usual; Run for `--help`, which click declares."""
    return "Run" if parameter.name == "help" else parameter.rich_help_panel or "Usual"


class Command(TyperCommand):
    """A command whose help shows its options in groups, as plain text of any width."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401
        """`RUN [DATA]`: an argument that may be left out stands in brackets, where typer adds marks of its own."""
        arguments = [one for one in self.get_params(ctx) if one.param_type_name == "argument"]
        return ["[OPTIONS]", *map(_argument_usage, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - typer's own classes, which moved
        """Write arguments, then options by panel; of a command with few options in one list."""
        arguments: list[tuple[str, str]] = []
        options: dict[str, list[tuple[str, str]]] = {panel: [] for panel in get_args(Panel)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            names, text = record
            if parameter.param_type_name == "argument":
                arguments.append((_ARGUMENT_TYPE.sub("", names), text))
            else:
                options[panel_of(parameter)].append((_CONTAINER.sub(r"<\1>", names), text))
        if sum(map(len, options.values())) <= FEW:
            options = {"Options": [record for panel in options.values() for record in panel]}
        for panel, records in {"Arguments": arguments, **options}.items():
            if records:
                with formatter.section(panel):
                    formatter.write_dl(records)


def _argument_usage(argument: Any) -> str:  # noqa: ANN401 - typer's own class
    name = f"{argument.metavar or argument.human_readable_name}{'...' if argument.nargs == -1 else ''}"
    return name if argument.required else f"[{name}]"
