"""Values as people type them, and options that do not go together."""

from __future__ import annotations

import math
import re

import typer

from headstart.errors import HeadstartError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_seconds(text: str | None) -> float | None:
    """`90s`, `10m`, `1.5h`, `600` (seconds), `unlimited` (infinite); None stays None: nothing was said.

    Raises:
        HeadstartError: anything else.
    """
    if text is None:
        return None
    if text == "unlimited":
        return math.inf
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if found is None or float(found[1]) == 0:
        raise HeadstartError(f"--budget {text!r} is no duration", expected="such as 90s, 10m, 2h or unlimited")
    return float(found[1]) * _UNITS[found[2]]


def refuse_others(context: typer.Context, allowed: set[str], *, when: str, why: str) -> None:
    """An option that would silently do nothing is a usage error.

    Args:
        context: Of the command.
        allowed: Names of parameters that have an effect.
        when: The others have none, such as `together with --resume`, `without --preview`.
        why: In words.

    Raises:
        typer.BadParameter: naming all of them.
    """
    given = [
        parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.name.upper()
        for parameter in context.command.params
        if parameter.name not in allowed
        and getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    ]
    if given:
        has = "has" if len(given) == 1 else "have"
        raise typer.BadParameter(f"{', '.join(given)} {has} no effect {when}: {why}", param_hint=when.split()[-1])
