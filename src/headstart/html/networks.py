"""Drawings as inline SVG and HTML: a network from stem to head with shares, and a scatter plot with its Pareto front.

Positions are percentages, sizes of marks and text are pixels, so nothing shrinks on a phone and no script is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Literal

from headstart.html.markup import Html, joined, tag

BLUE, SKY, GREEN, YELLOW, ORANGE, VERMILLION, PURPLE, GREY = (
    *("#0072b2", "#56b4e9", "#009e73", "#f0e442", "#e69f00", "#d55e00", "#cc79a7", "#8a949e"),
)
"""Okabe & Ito 2008, and a grey."""

_SHARE_COLOURS = ((0.0, VERMILLION), (0.35, ORANGE), (0.7, SKY), (1.0, BLUE))
"""Colours from replaced to kept features; dark and light alternate for readers who see few colours."""


def share_colour(share: float) -> str:
    """Colour of a transfer share 0..1, interpolated between the nearest marks."""
    low, high = next(
        (pair for pair in pairwise(_SHARE_COLOURS) if share <= pair[1][0]),
        (_SHARE_COLOURS[-2], _SHARE_COLOURS[-1]),
    )
    part = min(1.0, max(0.0, (share - low[0]) / (high[0] - low[0])))
    mixed = (round(a + (b - a) * part) for a, b in zip(_rgb(low[1]), _rgb(high[1]), strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


@dataclass(frozen=True, slots=True)
class Block:
    """Drawing of one layer group."""

    name: str
    share: float
    """0..1; decides the colour."""
    kind: Literal["backbone", "head"]


def network(blocks: Sequence[Block]) -> Html:
    """SVG of a network from top (stem) to bottom (head): maps become smaller and deeper, the head is a row of classes.

    All blocks have the same height, so that rows of text next to them align.
    """
    spoken = ", ".join(f"{block.name} {block.share:.0%}" for block in blocks)
    each = 100 / len(blocks)
    parts = []
    for index, block in enumerate(blocks):
        middle = each * (index + 0.5)
        if index:
            parts.append(
                f'<line x1="50%" x2="50%" y1="{middle - each * 0.72:.2f}%" y2="{middle - each * 0.28:.2f}%" '
                'stroke="var(--hs-edge)" stroke-width="2"/>'
            )
        parts.append(_head(middle, block) if block.kind == "head" else _maps(index, len(blocks), middle, each, block))
    label = escape(f"The network from stem to head, with the share that transfers: {spoken}")
    return Html(f'<svg role="img" aria-label="{label}">{"".join(parts)}</svg>')


def _maps(index: int, count: int, middle: float, each: float, block: Block) -> str:
    """A stack of feature maps: three sheets, the narrower the later."""
    width = 76 - 40 * index / max(1, count - 1)
    height = each * 0.44
    colour = share_colour(block.share)
    return "".join(
        f'<rect x="{50 - width / 2 + 4 * sheet:.2f}%" y="{middle - height / 2 - each * 0.05 * sheet:.2f}%" '
        f'width="{width:.2f}%" height="{height:.2f}%" rx="4" fill="{colour}" stroke="var(--hs-card)" stroke-width="2"/>'
        for sheet in (2, 1, 0)
    )


def _head(middle: float, block: Block) -> str:
    """A row of classes."""
    colour = share_colour(block.share)
    return "".join(
        f'<circle cx="{x}%" cy="{middle:.2f}%" r="6" fill="{colour}" stroke="var(--hs-card)" stroke-width="2"/>'
        for x in (28, 50, 72)
    )


@dataclass(frozen=True, slots=True)
class GroupMeasurement:
    """Metrics of a probe at one layer group, each 0..1."""

    accuracy: float
    interval: tuple[float, float]
    knn_accuracy: float | None


@dataclass(frozen=True, slots=True)
class ShareRow:
    """Text and bar of one layer group next to the drawing."""

    block: Block
    heading: Html
    text: Html
    """Below the bar."""
    measured: GroupMeasurement | None = None


def shares(rows: Sequence[ShareRow]) -> Html:
    """A network, with a bar next to each group for the share that transfers and the measured metrics."""
    items = [tag("li", row.heading, _track(row), row.text) for row in rows]
    axis = [tag("span", f"{mark}%") for mark in (0, 25, 50, 75, 100)]
    drawn = network([row.block for row in rows])
    return joined(
        [
            tag("div", *axis, class_="hs-axis", aria_hidden="true"),
            tag("div", drawn, tag("ol", *items), class_="hs-flow"),
        ]
    )


def _track(row: ShareRow) -> Html:
    share, colour = row.block.share, share_colour(row.block.share)
    marks = [tag("div", class_="hs-bar", style=f"width:{share:.1%};background:{colour}")]
    if row.measured is not None:
        low, high = row.measured.interval
        marks.append(tag("div", class_="hs-span", style=f"left:{low:.1%};width:{max(0.0, high - low):.1%}"))
        marks.append(tag("div", class_="hs-mark", style=f"left:{row.measured.accuracy:.1%}"))
        if row.measured.knn_accuracy is not None:
            marks.append(tag("div", class_="hs-mark hs-ring", style=f"left:{row.measured.knn_accuracy:.1%}"))
    return tag("div", *marks, class_="hs-track", aria_hidden="true")


@dataclass(frozen=True, slots=True)
class ScatterAxis:
    """One axis of a scatter plot."""

    name: str
    low: float
    high: float
    scale: Literal["linear", "log"]
    ticks: tuple[tuple[float, str], ...]

    def at(self, value: float) -> float:
        """Position in percent, 0 at the low end; values outside are clipped."""
        low, high, here = self.low, self.high, min(max(value, self.low), self.high)
        if self.scale == "log":
            low, high, here = math.log(low), math.log(high), math.log(here)
        return 100 * (here - low) / (high - low) if high > low else 50.0


@dataclass(frozen=True, slots=True)
class ScatterPoint:
    """One point of a scatter plot."""

    name: str
    x: float
    y: float
    colour: str
    place: Literal["inside", "front"] = "inside"
    """front: on the Pareto front."""


def scatter(
    points: Sequence[ScatterPoint],
    *,
    x: ScatterAxis,
    y: ScatterAxis,
    says: str,
    chooses: str,
    chosen: str,
    rising: Literal[1, -1] = 1,
) -> Html:
    """A scatter plot: points, the front as steps, and the chosen point with its name.

    Args:
        points: Those of the front are drawn last.
        x: Horizontal axis.
        y: Vertical axis; more is better.
        says: Description for screen readers; the same data must be in a table.
        chooses: Field that a click on a point sets.
        chosen: Name of the chosen point; none is marked if there is no such point.
        rising: 1: small is good on the x axis, so the front rises from left to right; -1: large is good.
    """
    heights = [f"{100 - y.at(value):.2f}%" for value, _ in y.ticks]
    grid = [tag("line", class_="hs-grid", x1="0", x2="100%", y1=height, y2=height) for height in heights]
    ordered = sorted(points, key=lambda point: point.place == "front")
    dots = Html("".join(_dot(point, x, y) for point in ordered))
    front = sorted((point for point in points if point.place == "front"), key=lambda point: point.x)
    here = next((point for point in points if point.name == chosen), None)
    labels = [tag("span", text, class_="hs-y", style=f"bottom:{y.at(value):.2f}%") for value, text in y.ticks]
    labels += [tag("span", text, class_="hs-x", style=f"left:{x.at(value):.2f}%") for value, text in x.ticks]
    labels.append(tag("span", x.name, class_="hs-x hs-axis-name"))
    drawn = [*grid, _steps(front, x, y, rising), dots, _here(here, x, y)]
    plot = tag("svg", *drawn, role="img", aria_label=says, data_chooses=chooses)
    return tag("div", plot, tag("div", *labels, aria_hidden="true"), class_="hs-plot")


def _dot(point: ScatterPoint, x: ScatterAxis, y: ScatterAxis) -> str:
    # Written out: there are two thousand of them, and `tag` would take a tenth of a second.
    place = 'r="6" class="hs-on"' if point.place == "front" else 'r="4.5" fill-opacity="0.55"'
    return (
        f'<circle cx="{x.at(point.x):.2f}%" cy="{100 - y.at(point.y):.2f}%" {place} fill="{point.colour}" '
        f'data-value="{escape(point.name)}"/>'
    )


def _steps(front: Sequence[ScatterPoint], x: ScatterAxis, y: ScatterAxis, rising: int) -> Html:
    """SVG of the front as steps: along to the next point, then up to it."""
    lines = []
    for left, right in pairwise(front):
        corner = left if rising == 1 else right
        across, level = (x.at(left.x), x.at(right.x)), 100 - y.at(corner.y)
        upright = across[1] if rising == 1 else across[0]
        ends = 100 - y.at(left.y), 100 - y.at(right.y)
        lines.append(_line(across[0], level, across[1], level))
        lines.append(_line(upright, ends[0], upright, ends[1]))
    return joined(lines)


def _line(x1: float, y1: float, x2: float, y2: float) -> Html:
    return tag("line", class_="hs-front", x1=f"{x1:.2f}%", y1=f"{y1:.2f}%", x2=f"{x2:.2f}%", y2=f"{y2:.2f}%")


def _here(point: ScatterPoint | None, x: ScatterAxis, y: ScatterAxis) -> Html | None:
    """Ring around the chosen point, and its name on the side where there is room."""
    if point is None:
        return None
    across, down = f"{x.at(point.x):.2f}%", f"{100 - y.at(point.y):.2f}%"
    is_left, is_high = x.at(point.x) < 50, y.at(point.y) > 50
    ring = tag("circle", class_="hs-here", cx=across, cy=down, r="10", pointer_events="none")
    side = {"dx": 14 if is_left else -14, "dy": 22 if is_high else -14, "text_anchor": "start" if is_left else "end"}
    return joined([ring, tag("text", point.name, x=across, y=down, **side)])


def legend_key(marks: Sequence[tuple[str, str, Literal["square", "round", "ring"]]]) -> Html:
    """Legend of a drawing: (colour, text, shape)."""
    items = []
    for colour, text, shape in marks:
        style = f"border:2px solid {colour};transform:rotate(45deg)" if shape == "ring" else f"background:{colour}"
        mark = tag("i", class_="hs-round" if shape == "round" else None, style=style, aria_hidden="true")
        items.append(tag("span", mark, text))
    return tag("div", *items, class_="hs-key")


def meter(share: float, *, state: Literal["plain", "chosen"] = "plain") -> Html:
    """Bar inside a table cell, 0..1, next to its number."""
    style = "hs-meter hs-chosen" if state == "chosen" else "hs-meter"
    return tag("div", tag("div", style=f"width:{share:.1%}"), class_=style, aria_hidden="true")
