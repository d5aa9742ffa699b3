"""Checks of the arguments of public functions: a wrong one is named, with what it may be and the nearest valid name."""

from __future__ import annotations

import math
import numbers
import os
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from headstart.errors import HeadstartError, nearest

Choice = TypeVar("Choice", bound=str)


class ArgumentError(HeadstartError, TypeError, ValueError):
    """An argument of a public function is wrong; callers catch it as TypeError or ValueError too."""


def one_of(name: str, value: object, known: Iterable[Choice]) -> Choice:
    """The value, if it is one of the known words.

    Raises:
        ArgumentError: it is not; names all of them, and the nearest.
    """
    words = tuple(known)
    for word in words:
        if isinstance(value, str) and value == word:
            return word
    hint = nearest(value, words) if isinstance(value, str) else ""
    raise ArgumentError(f"{name}={_shown(value)} is not valid", expected=f"one of {', '.join(words)}", remedy=hint)


def real_number(name: str, value: object, *, above: float, most: float = math.inf) -> float:
    """The value as a float, if it is a finite number in (above, most].

    Raises:
        ArgumentError: it is not.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(number := float(value)) or not above < number <= most:  # type: ignore[arg-type]
        limits = f"> {above:g}" + ("" if most == math.inf else f" and <= {most:g}")
        raise ArgumentError(f"{name}={_shown(value)} is not valid", expected=f"a number {limits}")
    return number


def fault_of(name: str, value: object, hint: Any) -> str:  # noqa: ANN401 - a type as annotations write it
    """What is wrong with the type of a value, as a sentence; empty if nothing is.

    Ranges are not checked here: whoever uses a number knows its range.

    Args:
        name: Of the argument.
        value: What was given; numpy's numbers count as numbers.
        hint: Annotation of the argument, resolved: words (Literal), str, int, float, Path, None and unions of them. For
            any other annotation the kind of container is checked, not what it holds.
    """
    options = _options_of(hint)
    if any(_fits(value, option) for option in options):
        return ""
    words = [word for option in options if get_origin(option) is Literal for word in get_args(option)]
    others = [_kind_of(option) for option in options if get_origin(option) is not Literal]
    expected = ", ".join(dict.fromkeys([*map(str, words), *filter(None, others)]))
    text = f"{name}: {_shown(value)} must be {'one of ' if words else ''}{expected}"
    near = nearest(value, map(str, words)) if isinstance(value, str) and words else ""
    return text + (f"; {near}" if near else "")


def refuse_unknown(given: Iterable[str], known: Iterable[str], *, where: str, instead: Mapping[str, str]) -> None:
    """Refuse keyword arguments that a function does not have.

    Args:
        given: Names that were used.
        known: Names that there are.
        where: The function, as the user calls it.
        instead: Name that a user may expect -> what to write here.

    Raises:
        ArgumentError: names the first unknown one, and what it may have been meant to be.
    """
    names = sorted(known)
    for name in given:
        if name in names:
            continue
        way_out = f"write {instead[name]}" if name in instead else nearest(name, names)
        raise ArgumentError(f"{where} has no argument {name!r}", expected=f"one of {', '.join(names)}", remedy=way_out)


_KINDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    Path: "a path",
    type(None): "None",
    os.PathLike: "a path",
    Callable: "a function",
    Sequence: "a list",
    Mapping: "a mapping",
    dict: "a mapping",
}

_TESTS: dict[Any, Callable[[object], bool]] = {
    str: lambda value: isinstance(value, str),
    int: lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool),
    float: lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool) and not math.isnan(value),
    bool: lambda value: isinstance(value, bool),
    Path: lambda value: isinstance(value, Path),
    type(None): lambda value: value is None,
}


def _options_of(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """The members of a union, nested ones too; a lone type is its own."""
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(option for member in get_args(hint) for option in _options_of(member))
    return (hint,)


def _kind_of(option: Any) -> str:  # noqa: ANN401
    kind = get_origin(option) or option
    return _KINDS.get(kind) or str(getattr(kind, "__name__", kind))


def _fits(value: object, option: Any) -> bool:  # noqa: ANN401
    if get_origin(option) is Literal:
        return value in get_args(option) if isinstance(value, str | int) and not isinstance(value, bool) else False
    if option in _TESTS:
        return _TESTS[option](value)
    kind = get_origin(option) or option
    if kind is Sequence and isinstance(value, str | bytes):
        return False
    return isinstance(value, kind) if isinstance(kind, type) else True


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_MULTIPLES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9}


def parse_count(text: str | None, *, option: str) -> float | None:
    """`10M`, `4.6M`, `500k`, `1B`, `4600000`; None stays None.

    Raises:
        HeadstartError: anything else; names the option.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kmbg]?)", text.strip().lower())
    if found is None:
        raise HeadstartError(f"{option} {text!r} is no count", expected="such as 500k, 10M or 4600000")
    return float(found[1]) * _MULTIPLES[found[2]]
