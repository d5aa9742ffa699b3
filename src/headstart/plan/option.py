"""What the doors show of an option: its help, its spellings at the command line, its range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

Panel = Literal["Usual", "Data", "Training", "Search", "Run"]
"""Heading under which a help text lists an option."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option as its field declares it, inside `Annotated`; every door is derived from it or checked against it."""

    help: str
    """For the command line, and for the guide."""
    panel: Panel = "Training"
    spellings: tuple[str, ...] = ()
    """At the command line, ours first; empty: `--` and the name of the field."""
    switch: str | None = None
    """Value that the option sets where it takes none, such as find for `--find-lr`."""
    kind: Literal["value", "duration", "count", "library only"] = "value"
    """duration: text such as 90s or 10m at the command line; count: such as 10M. library only: no option there."""
    least: float = -math.inf
    most: float = math.inf
    ends: Literal["closed", "open below"] = "closed"
    """open below: `least` itself is too small."""

    def fault_of(self, name: str, value: float) -> str:
        """What is wrong with a number, as a sentence; empty if it is in range."""
        low = value > self.least if self.ends == "open below" else value >= self.least
        if low and value <= self.most:
            return ""
        if self.ends == "open below":
            bounds = f"> {self.least:g}" + (f" and <= {self.most:g}" if math.isfinite(self.most) else "")
        else:
            bounds = f"{self.least:.10g}..{self.most:.10g}"
        return f"{name}: {value:g} must be {bounds}"


def options_of(section: type[Any]) -> Mapping[str, Option]:
    """Field -> its option, of a class whose fields are annotated with `Option`."""
    found: dict[str, Option] = {}
    for name, hint in get_type_hints(section, include_extras=True).items():
        if get_origin(hint) is Annotated:
            found |= [(name, extra) for extra in get_args(hint) if isinstance(extra, Option)]
    return found


def words_of(hint: Any) -> tuple[str, ...]:  # noqa: ANN401 - a type as annotations write it
    """Words that an annotation allows; empty where it allows other values than words and None."""
    if get_origin(hint) is Annotated:
        return words_of(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return tuple(map(str, get_args(hint)))
    parts = [words_of(part) for part in get_args(hint) if part is not type(None)]
    return tuple(word for part in parts for word in part) if parts and all(parts) else ()
