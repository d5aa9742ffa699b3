"""Charts: honest axes, and marks where the numbers say."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.html.plot import Axis, Plot, epoch_axis, linear_axis, log_axis, share_axis, spread, starts_at
from page_text import parsed

shares = st.floats(0, 1)


@given(st.lists(shares, min_size=1, max_size=8))
def test_axes_of_shares_hold_all_and_stay_within_0_and_1(values: list[float]):
    axis = share_axis(values)
    assert 0 <= axis.low <= min(values)
    assert max(values) <= axis.high <= 1
    assert 2 <= len(axis.ticks) <= 8
    assert all(axis.low <= value <= axis.high + 1e-9 for value, _ in axis.ticks)
    assert bool(starts_at(axis)) == (axis.low > 0)


@given(st.floats(-1e6, 1e6), st.floats(0.001, 1e6))
def test_linear_axes_begin_and_end_around_the_values(low: float, width: float):
    axis = linear_axis(low, low + width, str)
    rounding = 1e-8 * (abs(low) + width)
    assert axis.low <= low + rounding
    assert axis.high >= low + width - rounding
    steps = [b - a for (a, _), (b, _) in pairwise(axis.ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)
    assert 2 <= len(axis.ticks) <= 7


@given(st.floats(1e-7, 1e3), st.floats(1.01, 1e5))
def test_logarithmic_axes_have_ticks_inside(low: float, factor: float):
    axis = log_axis(low, low * factor, str)
    assert axis.low < low < low * factor < axis.high
    assert len(axis.ticks) >= 2
    assert all(axis.low * 0.999 <= value <= axis.high * 1.001 for value, _ in axis.ticks)
    assert axis.at(axis.low) == pytest.approx(0)
    assert axis.at((axis.low * axis.high) ** 0.5) == pytest.approx(50)


@pytest.mark.parametrize(("first", "last"), [(0, 0), (1, 1), (0, 3), (1, 60), (0, 997)])
def test_epochs_are_whole_and_few(first: int, last: int):
    axis = epoch_axis(first, last)
    assert axis.low < first <= last < axis.high or last - first > 20
    assert 1 <= len(axis.ticks) <= 8
    assert all(float(text).is_integer() for _, text in axis.ticks)


def test_values_outside_lie_on_the_border():
    axis = Axis(0.0, 10.0, ())
    assert (axis.at(-5), axis.at(5), axis.at(50)) == (0, 50, 100)
    assert Axis(1.0, 1.0, ()).at(1) == 50


@given(st.lists(st.floats(0, 300), max_size=8), st.floats(1, 30))
def test_labels_are_moved_apart_and_keep_their_order(places: list[float], gap: float):
    places.sort()
    found = spread(places, gap)
    assert len(found) == len(places)
    assert all(b - a >= gap - 1e-6 for a, b in pairwise(found))
    if all(b - a >= gap for a, b in pairwise(places)):
        assert found == pytest.approx(places)
    assert sum(found) == pytest.approx(sum(places), abs=1e-3), "moved as little as needed: to both sides alike"


def test_a_chart_says_what_it_shows_and_places_marks():
    plot = Plot(Axis(0, 10, ((0, "0"), (10, "10"))), Axis(0, 1, ((0, "0 %"), (1, "100 %"))))
    plot.axis_name("epoch")
    plot.line([(0, 0), (10, 1)], "one")
    plot.line([(0, 0)], "one")
    plot.band([(0, 0.1, 0.2), (10, 0.5, 0.7)], "one")
    plot.bar(5, 0.2, 0.4, "whisker")
    plot.upright(5, "divider")
    plot.level(0.5, "grid")
    plot.mark(2.5, 0.75, "circle", "one", "here <b>")
    plot.badge(5, 0.5, "1", "spot", "one")
    plot.text(5, 0.5, "kept")
    plot.heading(0, "tune")
    plot.end_label(10, 1, "a & b", "one")
    plot.end_label(10, 0.99, "c", "two")
    page = parsed(plot.svg("Title", "Some words."))
    svg = page.all_of("svg")[0][0]
    assert svg["role"] == "img"
    assert svg["aria-label"] == "Title. Some words."
    assert page.all_of("desc")[0][1] == "Some words."
    paths = [attributes.get("d", "") for attributes, _ in page.all_of("path")]
    assert "M0.000 100.000L100.000 0.000" in paths
    assert "M0.000 80.000L100.000 30.000L100.000 50.000L0.000 90.000z" in paths
    places = [(a.get("x"), a.get("y")) for a, _ in page.all_of("svg") if a.get("class") == "at"]
    assert places == [("25.00%", "25.00%"), ("50.00%", "50.00%")]
    assert page.all_of("title")[0][1] == "here <b>"
    ends = {text: float(a["y"]) for a, text in page.all_of("text") if text in ("a & b", "c")}
    assert ends["c"] - ends["a & b"] >= 15
