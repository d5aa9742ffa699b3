"""Durations and counts as people type them."""

from __future__ import annotations

import math

import pytest

from headstart.apps.cli.options.parsing import parse_count, parse_seconds
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


@pytest.mark.parametrize(
    ("text", "count"), [("10M", 10e6), ("4.6m", 4.6e6), ("500k", 5e5), ("1B", 1e9), ("4600000", 4.6e6), (None, None)]
)
def test_counts(text: str | None, count: float | None):
    assert parse_count(text, option="--max-params") == count


@pytest.mark.parametrize("text", ["", "ten", "-5M", "5MB", "10 000"])
def test_anything_else_than_a_count_is_answered_with_examples(text: str):
    with pytest.raises(HeadstartError, match=r"--max-params .* is no count; expected such as 500k, 10M or 4600000"):
        parse_count(text, option="--max-params")
