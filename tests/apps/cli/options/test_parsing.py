"""Durations as people type them."""

from __future__ import annotations

import math

import pytest

from headstart.apps.cli.options.parsing import parse_seconds
from headstart.errors import HeadstartError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1.5h", 5400), ("600", 600), ("unlimited", math.inf), (None, None)],
)
def test_durations(text: str | None, seconds: float | None):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "ten minutes", "-5m", "0s", "5d"])
def test_anything_else_is_answered_with_examples(text: str):
    with pytest.raises(HeadstartError, match="is no duration; expected such as 90s, 10m, 2h or unlimited"):
        parse_seconds(text)
