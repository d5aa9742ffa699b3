"""Counts, durations and money."""

from __future__ import annotations

import math

import pytest

from headstart.advise.words import count_text, duration_text, usd_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0.2 s"),
        (60, "1 min"),
        (445, "7 min 25 s"),
        (5_000, "1 h 23 min"),
        (36_000, "10 h"),
        (2 * 86_400, "2.0 days"),
        (13 * 86_400, "13 days"),
        (21 * 86_400, "3.0 weeks"),
        (1e9, "1,653 weeks"),
        (math.inf, "unlimited"),
    ],
)
def test_durations_get_the_unit_that_suits_them(seconds: float, text: str):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("usd", "text"), [(0.0, "less than $0.01"), (0.349, "$0.35"), (99.9, "$99.90"), (1234.5, "$1,234")]
)
def test_money(usd: float, text: str):
    assert usd_text(usd) == text


def test_one_is_no_plural():
    assert (count_text(1, "image"), count_text(1_500, "image")) == ("1 image", "1,500 images")
