"""Event: one thing that happened in a run, with typed fields and one sentence.

A kind of event is a frozen dataclass (see `runs.events`). Console, report, trackers and log all read its fields and its
sentence, so a new kind is told everywhere as soon as it is defined.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

from headstart.runs.values import typed

EventLevel = Literal["info", "warning", "error"]
"""warning: a figure may mislead, or a request is not followed. error: a fault of the data."""


@dataclass(frozen=True)
class Event(ABC):
    """One thing that happened in a run."""

    event: ClassVar[str] = ""
    """Name of its kind, as events.jsonl has it."""

    @property
    def urgency(self) -> EventLevel:
        """How much it matters to whoever reads the run's figures."""
        return "info"

    @abstractmethod
    def sentence(self) -> str:
        """What happened, for people."""

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The event with these fields; names that it does not have are ignored.

        Raises:
            ValueError: a field without a default is missing, or a value is of another type.
        """
        return typed(cls, values)
