"""Drawings, measured: where marks stand, and which colours they have."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.html import networks
from page_text import parsed


def test_the_colours_of_shares_run_from_what_is_replaced_to_what_stays():
    assert networks.share_colour(0.0) == networks.VERMILLION
    assert networks.share_colour(0.35) == networks.ORANGE
    assert networks.share_colour(0.7) == networks.SKY
    assert networks.share_colour(1.0) == networks.BLUE
    middle = networks.share_colour(0.85)
    assert middle not in (networks.SKY, networks.BLUE)
    assert re.fullmatch("#[0-9a-f]{6}", middle)


@given(st.floats(0, 1))
def test_every_share_has_a_colour(share: float):
    assert re.fullmatch("#[0-9a-f]{6}", networks.share_colour(share))


def blocks(count: int) -> list[networks.Block]:
    backbone = [networks.Block(f"stage{index}", 1 - index / count, "backbone") for index in range(count - 1)]
    return [*backbone, networks.Block("head", 0.0, "head")]


@pytest.mark.parametrize("count", [2, 6, 14])
def test_each_block_of_a_network_meets_its_row(count: int):
    page = parsed(networks.network(blocks(count)))
    sheets = [attributes for attributes, _ in page.all_of("rect")]
    assert len(sheets) == 3 * (count - 1)
    for index, front in enumerate(sheets[2::3]):
        middle = float(front["y"][:-1]) + float(front["height"][:-1]) / 2
        assert middle == pytest.approx(100 * (index + 0.5) / count, abs=0.02)
    widths = [float(sheet["width"][:-1]) for sheet in sheets[2::3]]
    assert widths == sorted(widths, reverse=True), "maps become smaller"
    assert len(page.all_of("circle")) == 3, "the head is a row of classes"
    assert page.tags[0][1]["role"] == "img"
    assert "stage0 100%" in page.tags[0][1]["aria-label"]


def test_a_bar_is_as_long_as_its_share_and_marks_stand_where_they_were_measured():
    measured = networks.GroupMeasurement(0.8, (0.75, 0.85), 0.6)
    row = networks.ShareRow(networks.Block("stem", 0.95, "backbone"), "<b>stem</b>", "<i>edges</i>", measured)
    styles = [attributes.get("style", "") for attributes, _ in parsed(networks.shares([row])).all_of("div")]
    assert any(style.startswith("width:95.0%") for style in styles)
    assert "left:75.0%;width:10.0%" in styles
    assert "left:80.0%" in styles
    assert "left:60.0%" in styles


LINEAR = networks.ScatterAxis("y", 0, 10, "linear", ((0, "0"), (10, "10")))
LOG = networks.ScatterAxis("x", 1, 100, "log", ((1, "1"), (10, "10"), (100, "100")))


def test_axes_place_values():
    assert [LINEAR.at(value) for value in (-5, 0, 5, 10, 20)] == [0, 0, 50, 100, 100]
    assert LOG.at(10) == pytest.approx(50)
    assert networks.ScatterAxis("one", 3, 3, "linear", ()).at(3) == 50


@given(st.floats(1, 100), st.floats(1, 100))
def test_axes_keep_the_order(one: float, other: float):
    assert (LOG.at(one) - LOG.at(other)) * (one - other) >= 0
    assert math.isfinite(LOG.at(one))


POINTS = (
    networks.ScatterPoint("cheap", 1, 2, networks.SKY, "front"),
    networks.ScatterPoint("beaten", 10, 1, networks.GREY),
    networks.ScatterPoint("good", 100, 9, networks.ORANGE, "front"),
)


def scatter(rising: int = 1, chosen: str = "good") -> str:
    return networks.scatter(
        POINTS, x=LOG, y=LINEAR, says="3 points", chooses="pick", chosen=chosen, rising=1 if rising == 1 else -1
    )


def test_points_stand_at_their_values_and_those_of_the_front_on_top():
    page = parsed(scatter())
    dots = [attributes for attributes, _ in page.all_of("circle") if "data-value" in attributes]
    assert [dot["data-value"] for dot in dots] == ["beaten", "cheap", "good"]
    assert [(dot["cx"], dot["cy"]) for dot in dots] == [
        ("50.00%", "90.00%"),
        ("0.00%", "80.00%"),
        ("100.00%", "10.00%"),
    ]
    assert [dot.get("class") for dot in dots] == [None, "hs-on", "hs-on"]
    assert page.tags[1][1] == {"role": "img", "aria-label": "3 points", "data-chooses": "pick"}


@pytest.mark.parametrize(("rising", "level"), [(1, "80.00%"), (-1, "10.00%")])
def test_the_front_is_what_can_be_had_at_each_cost(rising: int, level: str):
    """Between two points: with small costs good, what the cheaper one gives; with large values good, the next one's."""
    lines = [a for a, _ in parsed(scatter(rising)).all_of("line") if a["class"] == "hs-front"]
    along, up = lines
    assert along["y1"] == along["y2"] == level
    assert up["x1"] == up["x2"] == ("100.00%" if rising == 1 else "0.00%")


def test_the_chosen_point_is_named():
    page = parsed(scatter())
    assert [text for _, text in page.all_of("text")] == ["good"]
    assert not parsed(scatter(chosen="nothing")).all_of("text")


def test_keys_and_meters_are_text_with_marks():
    marks = [("#000000", "dot", "round"), ("#000000", "ring", "ring")]
    page = parsed(networks.legend_key(marks) + networks.meter(0.25))
    assert "dot" in page.text_of(class_="hs-key")
    assert {"style": "width:25.0%"} in [attributes for attributes, _ in page.all_of("div")]
