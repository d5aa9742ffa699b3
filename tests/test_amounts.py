"""Counts, durations, bytes and money as people read them."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.amounts import bytes_text, count_text, counted_text, duration_text, usd_text

UNIT_SECONDS = {"s": 1, "min": 60, "h": 3600, "days": 86_400, "weeks": 7 * 86_400}
UNIT_BYTES = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (9.0, "9 s"),
        (0.42, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (45.2, "45 s"),
        (59.8, "1 min"),
        (130, "2 min 10 s"),
        (597.4, "9 min 57 s"),
        (599, "10 min"),
        (3599, "1 h"),
        (12_000, "3 h 20 min"),
        (2.1 * 86_400, "2.1 days"),
        (54 * 86_400, "7.7 weeks"),
        (1e9, "1,653 weeks"),
        (math.inf, "unlimited"),
    ],
)
def test_durations(seconds: float, text: str):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (120_400_000, "120 MB"),
        (999_600_000, "1 GB"),
        (6_020_000_000, "6.02 GB"),
        (2.5e12, "2.5 TB"),
        (3e15, "3,000 TB"),
    ],
)
def test_bytes(count: float, text: str):
    assert bytes_text(count) == text


def test_counts():
    assert [count_text(n, "image") for n in (0, 1, 1_500)] == ["0 images", "1 image", "1,500 images"]
    assert count_text(2, "class") == "2 classes"


def test_what_is_counted():
    assert counted_text(225, "groups", 160) == "225 images of 160 groups"
    assert counted_text(1, "files", 1) == "1 image, 1 different file"
    assert [counted_text(2_000), counted_text(3, "images", None)] == ["2,000 images", "3 images"]


@pytest.mark.parametrize(
    ("usd", "text"), [(0.0, "less than $0.01"), (0.349, "$0.35"), (99.9, "$99.90"), (1234.5, "$1,234")]
)
def test_money(usd: float, text: str):
    assert usd_text(usd) == text


def read(text: str, units: dict[str, float]) -> float:
    return sum(float(n.replace(",", "")) * units[unit] for n, unit in re.findall(r"([\d.,]+) (\w+)", text))


@given(st.floats(0.5, 1e9))
def test_what_is_read_is_what_was_meant(seconds: float):
    assert read(duration_text(seconds), UNIT_SECONDS) == pytest.approx(seconds, rel=0.11)
    if seconds > 10:
        assert read(duration_text(seconds), UNIT_SECONDS) == pytest.approx(seconds, rel=0.06)


@given(st.integers(0, 10**16))
def test_bytes_are_within_half_a_percent(count: int):
    assert read(bytes_text(count), UNIT_BYTES) == pytest.approx(count, rel=0.006)
