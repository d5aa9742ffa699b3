"""Small drawings beside figures."""

from __future__ import annotations

from headstart.html.plot import Axis
from headstart.html.tracks import bar, interval_track, track_scale
from page_text import parsed

HALVES = Axis(0.0, 1.0, ((0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")))
TENTHS = Axis(0.0, 1.0, tuple((i / 10, f"{10 * i} %") for i in range(11)))


def test_an_interval_lies_where_its_ends_are():
    page = parsed(interval_track(HALVES, (0.25, 0.75), 0.5, also=(0.3, 0.6), reference=0.1))
    assert page.tags[0][1]["aria-hidden"] == "true"
    lines = {a["class"]: (a["x1"], a["x2"]) for a, _ in page.all_of("line")}
    assert lines["span"] == ("25.00%", "75.00%")
    assert lines["reference"] == ("10.00%", "10.00%")
    circles = [(a["class"], a["cx"]) for a, _ in page.all_of("circle")]
    assert circles == [("seed", "30.00%"), ("seed", "60.00%"), ("dot", "50.00%")]


def test_an_empty_track_is_a_scale():
    assert not parsed(interval_track(HALVES, None, None)).all_of("circle")


def test_of_many_ticks_few_are_named():
    assert [text for _, text in parsed(track_scale(HALVES)).all_of("text")] == ["0 %", "50 %", "100 %"]
    assert [text for _, text in parsed(track_scale(TENTHS)).all_of("text")] == ["0 %", "50 %", "100 %"]
    ends = [a["text-anchor"] for a, _ in parsed(track_scale(HALVES)).all_of("text")]
    assert ends == ["start", "middle", "end"]


def test_bars_stay_in_their_place():
    assert 'style="width:50.0%"' in bar(0.5)
    assert 'style="width:100.0%"' in bar(7.0, "two")
    assert 'class="bar two"' in bar(7.0, "two")
