"""Events are built from plain values, with their types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from headstart.runs.event import Event


@dataclass(frozen=True)
class Part:
    name: str
    size: int = 1


@dataclass(frozen=True)
class Whole(Event):
    event: ClassVar[str] = "whole"
    parts: tuple[Part, ...]
    shares: tuple[tuple[float | None, ...], ...] = ()
    first: Part | None = None

    def sentence(self) -> str:
        return "whole"


def test_nested_values_get_their_types():
    made = Whole.from_dict({"parts": [{"name": "a", "size": 2}, {"name": "b"}], "shares": [[0.5, None]], "more": 1})
    assert made == Whole((Part("a", 2), Part("b")), ((0.5, None),))
    assert Whole.from_dict({"parts": [], "first": {"name": "c"}}).first == Part("c")
    assert Whole.from_dict(made.to_dict()) == made


def test_an_event_without_a_sentence_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Event()


def test_what_is_missing_is_told():
    with pytest.raises(ValueError, match="parts is missing"):
        Whole.from_dict({})
