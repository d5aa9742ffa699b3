"""Checks of arguments: what passes, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from headstart.arguments import ArgumentError, fault_of, one_of, parse_count, real_number, refuse_unknown
from headstart.errors import HeadstartError

WORDS = Literal["stage", "block"] | None


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("stage", WORDS),
        (None, WORDS),
        (3, int | None),
        (np.int64(3), int),
        (3, float),
        (np.float32(0.5), float),
        (Path("a"), str | Path),
        (True, bool),
        (["a"], list[str] | None),
        ({"a": 1.0}, Literal["balanced"] | dict[str, float] | None),
    ],
)
def test_what_fits_passes(value: object, hint: Any):
    assert fault_of("option", value, hint) == ""


@pytest.mark.parametrize(
    ("value", "hint", "words"),
    [
        ("stages", WORDS, "option: 'stages' must be one of stage, block, None; did you mean stage?"),
        (True, int, "option: True must be a whole number"),
        (3.5, int | None, "option: 3.5 must be a whole number, None"),
        ("3", float, "option: '3' must be a number"),
        (float("nan"), float, "option: nan must be a number"),
        (1, str, "option: 1 must be text"),
        (1, bool, "option: 1 must be True or False"),
    ],
)
def test_what_does_not_fit_is_named(value: object, hint: Any, words: str):
    assert fault_of("option", value, hint) == words


def test_words_and_numbers():
    assert one_of("grain", "block", ("stage", "block")) == "block"
    assert real_number("decay", np.float64(0.5), above=0, most=1) == 0.5
    for wrong in (0, 1.5, float("inf"), True, "0.5", None):
        with pytest.raises(ArgumentError, match=r"decay=.* expected a number > 0 and <= 1"):
            real_number("decay", wrong, above=0, most=1)


def test_an_unknown_name_is_a_type_error_with_the_way_out():
    refuse_unknown(["epochs"], ["epochs", "seed"], where="fit", instead={})
    with pytest.raises(TypeError, match=r"fit has no argument 'epoch'; expected one of epochs, seed; did you mean epo"):
        refuse_unknown(["epoch"], ["seed", "epochs"], where="fit", instead={})
    with pytest.raises(ArgumentError, match=r"write unreadable='stop'"):
        refuse_unknown(["strict"], ["unreadable"], where="fit", instead={"strict": "unreadable='stop'"})


@pytest.mark.parametrize(
    ("text", "count"), [("10M", 10e6), ("4.6m", 4.6e6), ("500k", 5e5), ("1B", 1e9), ("4600000", 4.6e6), (None, None)]
)
def test_counts(text: str | None, count: float | None):
    assert parse_count(text, option="--max-params") == count


@pytest.mark.parametrize("text", ["", "ten", "-5M", "5MB", "10 000"])
def test_anything_else_than_a_count_is_answered_with_examples(text: str):
    with pytest.raises(HeadstartError, match=r"--max-params .* is no count; expected such as 500k, 10M or 4600000"):
        parse_count(text, option="--max-params")
