"""Lines of events.jsonl of other versions are kept as they are."""

from __future__ import annotations

from headstart.runs.event_lines import UnknownEvent, event_of


def test_events_of_other_versions_are_kept_as_they_are():
    later = event_of({"time": 3.0, "event": "tea_break", "minutes": 5})
    assert later.event == UnknownEvent("tea_break", {"minutes": 5})
    assert (later.name, later.event.sentence()) == ("tea_break", "tea break: minutes: 5")
    other = event_of({"time": 3.0, "event": "resumed", "step": 5})
    assert other.event == UnknownEvent("resumed", {"step": 5}), "the same name with other fields"
    assert event_of({"time": "?", "event": "stopped", "reason": "budget", "more": 1}).event.to_dict() == {
        "reason": "budget"
    }
