"""Typed values from JSON and back: the one reader of the files of a run, so that no reader knows keys on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

_T = TypeVar("_T")


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
"""Class -> its reader. Making one costs milliseconds, and `headstart runs` reads hundreds of files of three classes."""


def typed(kind: type[_T], values: object) -> _T:
    """A dataclass from plain values; nested dataclasses, tuples and mappings of them too.

    Names that the class does not have are ignored: they are of a newer version.

    Raises:
        ValueError: with the path of the first value that is missing or of another type.
    """
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    try:
        return cast(_T, _ADAPTERS[kind].validate_python(values))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"])) or "the file"
        more = f", and {count - 1} more values are missing or wrong" if (count := error.error_count()) > 1 else ""
        what = "is missing" if first["type"].startswith("missing") else f"is wrong: {first['msg']}"
        raise ValueError(f"{path} {what}{more}") from error


def plain(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Dataclasses as dictionaries and tuples as lists, as JSON gives them back."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def plain_mapping(value: object) -> dict[str, Any]:
    """The fields of a dataclass, as JSON gives them back."""
    return cast(dict[str, Any], plain(value))
