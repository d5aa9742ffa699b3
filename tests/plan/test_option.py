"""What an option declares, read from the annotations of a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from headstart.plan.option import Option, options_of, words_of


@dataclass
class Section:
    plain: int
    shown: Annotated[int | None, Option("Shown.", least=1, most=5)] = None


def test_only_annotated_fields_are_options() -> None:
    assert options_of(Section) == {"shown": Option("Shown.", least=1, most=5)}


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (Literal["a", "b"], ("a", "b")),
        (Literal["a"] | None, ("a",)),
        (Annotated[Literal["a", "b"] | None, Option("x")], ("a", "b")),
        (Literal["a"] | int, ()),
        (str | None, ()),
        (int, ()),
    ],
)
def test_words_are_there_where_nothing_else_may_be(hint: object, words: tuple[str, ...]) -> None:
    assert words_of(hint) == words


@pytest.mark.parametrize(
    ("option", "value", "fault"),
    [
        (Option("", least=1, most=5), 1, ""),
        (Option("", least=1, most=5), 6, "n: 6 must be 1..5"),
        (Option("", least=0, most=1, ends="open below"), 0.0, "n: 0 must be > 0 and <= 1"),
        (Option("", least=0, ends="open below"), -1.5, "n: -1.5 must be > 0"),
        (Option("", least=0, most=1), float("nan"), "n: nan must be 0..1"),
        (Option("", most=2**32 - 1), 2**32 - 1, ""),
    ],
)
def test_numbers_out_of_range_are_named(option: Option, value: float, fault: str) -> None:
    assert option.fault_of("n", value) == fault
