"""Event: one thing that happened in a run, with typed fields and one sentence.

A kind of event is a frozen dataclass (see `runs.events`). Console, report, trackers and log all read its fields and its
sentence, so a new kind is told everywhere as soon as it is defined.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, ClassVar, Literal, Self, TypeVar

EventLevel = Literal["info", "warning", "error"]
"""warning: a figure may mislead, or a request is not followed. error: a fault of the data."""

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """One thing that happened in a run."""

    event: ClassVar[str] = ""
    """Of its kind, as events.jsonl has it."""

    @property
    def urgency(self) -> EventLevel:
        """How much it matters to whoever reads the run's figures."""
        return "info"

    def sentence(self) -> str:
        """What happened, for people."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The event with these fields; names that it does not have are passed over.

        Raises:
            KeyError: a field without a default is missing.
            TypeError: a nested value is no mapping.
        """
        return _built(cls, values)


@cache
def _hints(kind: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _built(kind: Callable[..., T], values: Mapping[str, Any]) -> T:
    """A dataclass from plain values: nested dataclasses and tuples of them are built as well."""
    names = [field.name for field in fields(typing.cast(Any, kind))]
    given = {name: _value_of(_hints(kind)[name], values[name]) for name in names if name in values}
    try:
        return kind(**given)
    except TypeError as error:
        raise KeyError(str(error)) from error


def _value_of(hint: Any, value: Any) -> Any:  # noqa: ANN401 - any annotation, any JSON value
    if value is None:
        return None
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _value_of(next(one for one in arguments if one is not type(None)), value)
    if origin is tuple:
        inner = arguments[0]
        return tuple(_value_of(inner, one) for one in value)
    return _built(hint, value) if is_dataclass(hint) and isinstance(hint, type) else value
