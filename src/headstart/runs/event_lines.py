"""Events as lines of events.jsonl: read with their types, whatever version of headstart wrote them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headstart.runs import events, training_events, warnings
from headstart.runs.event import Event
from headstart.runs.upgrade import upgraded_event

KINDS = {
    kind.event: kind
    for module in (events, training_events, warnings)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind.event
}
"""Name -> class, of every kind of event."""

_MOST_VALUES = 6


@dataclass(frozen=True)
class UnknownEvent(Event):
    """A line of events.jsonl of another version: kept as it is."""

    kind: str
    values: Mapping[str, Any]

    def sentence(self) -> str:
        """Its kind and its first values."""
        shown = [f"{name}: {value}" for name, value in self.values.items()][:_MOST_VALUES]
        return f"{self.kind.replace('_', ' ')}: {', '.join(shown)}" if shown else self.kind.replace("_", " ")

    def to_dict(self) -> dict[str, Any]:
        """The values as they were read."""
        return dict(self.values)


@dataclass(frozen=True)
class LoggedEvent:
    """One line of events.jsonl."""

    time: float
    """Seconds since the epoch; 0 where the line has none."""
    event: Event

    @property
    def name(self) -> str:
        """Name of the kind of event."""
        return self.event.kind if isinstance(self.event, UnknownEvent) else self.event.event


def event_of(row: Mapping[str, Any]) -> LoggedEvent:
    """The event of a line of events.jsonl; one that is not known is kept as it is."""
    row = upgraded_event(row)
    values = {name: value for name, value in row.items() if name not in ("time", "event")}
    time, kind = row.get("time"), str(row.get("event", ""))
    event: Event = UnknownEvent(kind, values)
    if kind in KINDS:
        with contextlib.suppress(ValueError):  # of a version whose event of this name had other fields
            event = KINDS[kind].from_dict(values)
    return LoggedEvent(float(time) if isinstance(time, int | float) else 0.0, event)
