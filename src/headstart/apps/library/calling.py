"""How a function of the library is called: names and types of its arguments checked, options of training shown."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_type_hints

from headstart.arguments import refuse_unknown
from headstart.workflow.keywords import (
    INSTEAD,
    SearchKeywords,
    TrainKeywords,
    defaults,
    refuse_wrong_values,
    search_defaults,
)

PathLike = str | os.PathLike[str]
Names = str | Sequence[str]
"""Names as a list, or one text with commas between them."""
_Given = ParamSpec("_Given")
Result = TypeVar("Result")


def checked(function: Callable[_Given, Result]) -> Callable[_Given, Result]:
    """The function, with the names and the types of its arguments checked; ranges are checked where they are used.

    An argument `options` that takes all other keywords is left to the function.
    """
    signature = inspect.signature(function)
    free = {p.name for p in signature.parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD}
    where = f"headstart.{function.__name__}"

    @functools.wraps(function)
    def call(*args: _Given.args, **kwargs: _Given.kwargs) -> Result:
        if not free:
            refuse_unknown(kwargs, signature.parameters, where=where, instead=INSTEAD)
        given = signature.bind(*args, **kwargs).arguments
        names = {name: hint for name, hint in _hints(function).items() if name in given and name not in free}
        refuse_wrong_values({name: given[name] for name in names}, names)
        return function(*args, **kwargs)

    return call


def _hints(function: Callable[..., object]) -> dict[str, Any]:
    """Annotations of the arguments; that of the result may name a module that is not loaded yet."""
    found = dict(function.__annotations__)
    found.pop("return", None)
    found.pop("options", None)
    holder = type("Holder", (), {"__annotations__": found, "__module__": function.__module__})
    return get_type_hints(holder)


def with_options(function: Callable[_Given, Result]) -> Callable[_Given, Result]:
    """Show each keyword of training with its default where signatures are shown: `help`, notebooks."""
    return _showing(function, TrainKeywords.__annotations__, defaults())


def with_search(function: Callable[_Given, Result]) -> Callable[_Given, Result]:
    """Show each keyword of a search with its default where signatures are shown."""
    return _showing(function, SearchKeywords.__annotations__, search_defaults())


def _showing(
    function: Callable[_Given, Result], hints: Mapping[str, Any], usual: Mapping[str, Any]
) -> Callable[_Given, Result]:
    """The function with these keywords in place of its `**options` in its signature."""
    signature = inspect.signature(function)
    plain = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=_written(hints[name]))
        for name, value in usual.items()
        if name not in {p.name for p in plain}
    ]
    function.__signature__ = signature.replace(parameters=[*plain, *options])  # type: ignore[attr-defined]
    return function


def _written(hint: Any) -> str:  # noqa: ANN401
    return getattr(hint, "__forward_arg__", str(hint))


def path_or_none(path: PathLike | None) -> Path | None:
    """The path as a Path; None stays None."""
    return None if path is None else Path(path)


def text_or_none(path: PathLike | None) -> str | None:
    """The path as text; None stays None."""
    return None if path is None else os.fspath(path)
