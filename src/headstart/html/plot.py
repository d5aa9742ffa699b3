"""Charts as inline SVG: positions are percentages, marks and text are pixels, so a phone shrinks neither.

A chart describes itself in words (`role="img"`, a label and a description); series differ in stroke and mark, never
in colour alone. Colours are classes of page.css, which follow the reader's light or dark setting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from headstart.html.markup import Html, joined, tag

MarkShape = Literal["circle", "square", "diamond", "triangle", "ring"]
Anchor = Literal["start", "middle", "end"]

_SHAPES: dict[MarkShape, str] = {
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "square": "M-3.5 -3.5h7v7h-7z",
    "diamond": "M0 -5l5 5l-5 5l-5 -5z",
    "triangle": "M0 -5l5 8.5h-10z",
    "ring": "M-8 0a8 8 0 1 0 16 0a8 8 0 1 0 -16 0z",
}
_LINE_PIXELS = 15
"""Height of a line of text in a chart."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Axis of a chart."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    scale: Literal["linear", "log"] = "linear"

    def at(self, value: float) -> float:
        """Position in percent, 0 at the low end; values outside are clipped."""
        low, high, here = self.low, self.high, min(max(value, self.low), self.high)
        if self.scale == "log":
            low, high, here = math.log(low), math.log(high), math.log(here)
        return 100 * (here - low) / (high - low) if high > low else 50.0


def linear_axis(low: float, high: float, text: Callable[[float], str], *, most_ticks: int = 5) -> Axis:
    """Axis that begins and ends at round numbers around `low` and `high`."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    step = _round_step((high - low) / max(1, most_ticks - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [round(index * step, 10) for index in range(first, last + 1)]
    return Axis(ticks[0], ticks[-1], tuple((value, text(value)) for value in ticks))


def share_axis(shares: Sequence[float]) -> Axis:
    """Axis for shares 0..1 that shows their differences; it need not start at 0 (see `starts_at`)."""
    low, high = min(shares), max(shares)
    margin = max(0.02, (high - low) * 0.08)
    step = _round_step((high - low + 2 * margin) / 4)
    first, last = max(0, math.floor((low - margin) / step)), math.ceil((high + margin) / step)
    ticks = [round(index * step, 10) for index in range(first, last + 1) if index * step <= 1 + 1e-9]
    top = min(1.0, last * step)
    return Axis(ticks[0], top, tuple((value, f"{100 * value:.4g} %") for value in ticks))


def starts_at(axis: Axis) -> str:
    """Note for the caption if an axis does not start at 0."""
    return "" if axis.low == 0 else f" The axis starts at {100 * axis.low:.4g} %, not at 0."


def log_axis(low: float, high: float, text: Callable[[float], str]) -> Axis:
    """Logarithmic axis around positive values, with ticks at 1, 2 and 5 (1 alone over many decades)."""
    low, high = low * 0.8, high * 1.25
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 1.7 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]
    if len(ticks) < 2:
        ticks = [low / 0.8, high / 1.25]
    return Axis(low, high, tuple((value, text(value)) for value in dict.fromkeys(ticks)), "log")


def epoch_axis(first: int, last: int) -> Axis:
    """Axis of whole epochs, of which 0 is the linear probe."""
    step = max(1, math.ceil(_round_step(max(1, last - first) / 6)))
    ticks = [value for value in range(first, last + 1) if value % step == 0]
    room = 0.5 if last == first else 0.02 * (last - first)
    return Axis(first - room, last + room, tuple((value, str(value)) for value in ticks))


def _round_step(step: float) -> float:
    """Next larger of 1, 2, 2.5 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * (1 - 1e-9))


class Plot:
    """Chart that is drawn from back to front."""

    def __init__(
        self, x: Axis, y: Axis, *, height: int = 240, left: int = 52, right: int = 16, bottom: int = 40, top: int = 12
    ) -> None:
        """An empty chart with grid and ticks; margins and height in pixels."""
        self.x, self.y, self.height = x, y, height
        self._margins = (top, right, bottom, left)
        self._parts: list[Html] = []
        self._ends: list[tuple[float, float, str, str]] = []
        for value, text in y.ticks:
            across = f"{self._down(value):.2f}%"
            self._parts.append(tag("line", class_="grid", x1="0", x2="100%", y1=across, y2=across))
            self._parts.append(tag("text", text, class_="tick", x="0", y=across, dx="-8", dy="4", text_anchor="end"))
        for value, text in x.ticks:
            place = f"{x.at(value):.2f}%"
            self._parts.append(tag("text", text, class_="tick", x=place, y="100%", dy="17", text_anchor="middle"))
        self._parts.append(tag("line", class_="axis", x1="0", x2="100%", y1="100%", y2="100%"))

    def axis_name(self, text: str) -> None:
        """Draw the name of the horizontal axis."""
        self._parts.append(
            tag("text", text, class_="tick strong", x="50%", y="100%", dy="34", text_anchor="middle"),
        )

    def line(self, points: Sequence[tuple[float, float]], style: str) -> None:
        """Draw a line through points."""
        if len(points) > 1:
            path = "L".join(f"{self.x.at(x):.3f} {self._down(y):.3f}" for x, y in points)
            self._stretched(f"M{path}", f"line {style}")

    def band(self, rows: Sequence[tuple[float, float, float]], style: str) -> None:
        """Draw the area between a lower and an upper line: (x, low, high)."""
        if len(rows) > 1:
            upper = [f"{self.x.at(x):.3f} {self._down(high):.3f}" for x, _, high in rows]
            lower = [f"{self.x.at(x):.3f} {self._down(low):.3f}" for x, low, _ in reversed(rows)]
            self._stretched(f"M{'L'.join(upper + lower)}z", f"band {style}")

    def bar(self, x: float, low: float, high: float, style: str) -> None:
        """Draw a vertical interval."""
        place = f"{self.x.at(x):.2f}%"
        ends = {"y1": f"{self._down(low):.2f}%", "y2": f"{self._down(high):.2f}%"}
        self._parts.append(tag("line", class_=f"line {style}", x1=place, x2=place, **ends))

    def upright(self, x: float, style: str) -> None:
        """Draw a vertical line."""
        place = f"{self.x.at(x):.2f}%"
        self._parts.append(tag("line", class_=style, x1=place, x2=place, y1="0", y2="100%"))

    def level(self, y: float, style: str) -> None:
        """Draw a horizontal line."""
        place = f"{self._down(y):.2f}%"
        self._parts.append(tag("line", class_=style, x1="0", x2="100%", y1=place, y2=place))

    def mark(self, x: float, y: float, shape: MarkShape, style: str, says: str = "") -> None:
        """Draw a mark; `says` is its tooltip."""
        path = tag("path", tag("title", says) if says else None, d=_SHAPES[shape], class_=f"mark {style}")
        self._parts.append(self._placed(x, y, path))

    def badge(self, x: float, y: float, text: str, style: str, says: str) -> None:
        """Draw a round mark with one or two letters in it."""
        circle = tag("circle", tag("title", says), r="10", class_=style)
        letters = tag("text", text, class_="badge-text", text_anchor="middle", dy="4")
        self._parts.append(self._placed(x, y, joined([circle, letters])))

    def text(self, x: float, y: float, text: str, *, dx: int = 0, dy: int = 4, anchor: Anchor = "start") -> None:
        """Draw a word next to a point."""
        place = {"x": f"{self.x.at(x):.2f}%", "y": f"{self._down(y):.2f}%"}
        self._parts.append(tag("text", text, class_="said", dx=dx, dy=dy, text_anchor=anchor, **place))

    def heading(self, x: float, text: str, *, row: int = 0) -> None:
        """Draw a word above the chart, to the right of a position; row 1 is higher than row 0."""
        self._parts.append(
            tag("text", text, class_="tick", x=f"{self.x.at(x):.2f}%", y="0", dy=-6 - row * _LINE_PIXELS)
        )

    def end_label(self, x: float, y: float, text: str, style: str) -> None:
        """Draw the name of a line right of its end; overlapping names are shifted."""
        self._ends.append((x, y, text, style))

    def svg(self, title: str, description: str) -> Html:
        """SVG of the chart."""
        top, right, bottom, left = self._margins
        return tag(
            "svg",
            tag("desc", description),
            *self._parts,
            *self._end_labels(),
            class_="plot",
            role="img",
            aria_label=f"{title}. {description}",
            style=f"height:{self.height}px;margin:{top}px {right}px {bottom}px {left}px;"
            f"width:calc(100% - {left + right}px)",
        )

    def _end_labels(self) -> list[Html]:
        ordered = sorted(self._ends, key=lambda end: self._down(end[1]))
        places = spread([self._down(y) / 100 * self.height for _, y, _, _ in ordered], _LINE_PIXELS)
        return [
            tag("text", text, class_=f"said {style}", x=f"{self.x.at(x):.2f}%", y=f"{place:.1f}", dx="10", dy="4")
            for place, (x, _, text, style) in zip(places, ordered, strict=True)
        ]

    def _down(self, value: float) -> float:
        return 100 - self.y.at(value)

    def _placed(self, x: float, y: float, inner: Html) -> Html:
        return tag("svg", inner, class_="at", x=f"{self.x.at(x):.2f}%", y=f"{self._down(y):.2f}%")

    def _stretched(self, path: str, style: str) -> None:
        """Draw a path in percent of both sides; its shape is stretched, its stroke is not."""
        drawn = tag("path", d=path, class_=style, vector_effect="non-scaling-stroke")
        box = {"viewBox": "0 0 100 100", "preserveAspectRatio": "none", "width": "100%", "height": "100%"}
        self._parts.append(tag("svg", drawn, class_="stretched", **box))


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Increasing positions, shifted as little as needed to lie at least `gap` from each other."""
    found: list[list[float]] = []  # clusters as [sum of places less their offsets, count]
    for place in places:
        found.append([place, 1])
        while len(found) > 1 and _start(found[-2]) + found[-2][1] * gap > _start(found[-1]):
            total, count = found.pop()
            before = found[-1]
            before[0] += total - count * before[1] * gap
            before[1] += count
    return [_start(cluster) + index * gap for cluster in found for index in range(int(cluster[1]))]


def _start(cluster: Sequence[float]) -> float:
    return cluster[0] / cluster[1]
