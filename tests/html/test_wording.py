"""Figures as people read them."""

from __future__ import annotations

import pytest

from headstart.html import wording


def test_shares_and_intervals():
    assert wording.percent(0.8694) == "86.9\u00a0%"
    assert wording.percent(None) == "\u2013"
    assert wording.interval_text((0.807, 0.914)) == "80.7 to 91.4\u00a0%"
    assert wording.interval_text(None) == "\u2013"


@pytest.mark.parametrize(
    ("value", "text"),
    [(3e-4, "3e-4"), (2.54e-5, "2.5e-5"), (9.96e-5, "1e-4"), (0.01, "1e-2"), (0.5, "0.5"), (1.0, "1"), (0.0, "0")],
)
def test_rates(value: float, text: str):
    assert wording.learning_rate(value) == text


def test_sizes_counts_and_lists():
    assert wording.duration(130) == "2 min 10 s"
    assert wording.size(813_275_430) == "813 MB"
    assert wording.large(4_652_008) == "4.65 M"
    assert wording.large(12) == "12"
    assert wording.listed([]) == "none"
    assert wording.listed(["a"]) == "a"
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert wording.listed(list("abcd"), most=2) == "a, b and 2 more"
    assert wording.titled("probe_then_tune") == "Probe then tune"
    assert wording.number(float("nan")) == wording.number(None) == "\u2013"
    assert {wording.duration(None), wording.size(None), wording.large(None)} == {"\u2013"}
