"""What accuracy costs: against minutes of training and against speed of prediction, with the front of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.html import wording
from headstart.html.markup import Html, joined, tag
from headstart.html.page import Section, paragraph
from headstart.html.plot import Plot, log_axis, share_axis, starts_at
from headstart.reports.comparison.facts import ComparisonFacts


@dataclass(frozen=True, slots=True)
class Point:
    """A variant in a chart."""

    number: int
    name: str
    x: float
    accuracy: float
    interval: tuple[float, float]
    x_text: str


def tradeoffs_section(comparison: ComparisonFacts) -> Section | None:
    """Two charts; a variant on the front is beaten by no other in both directions."""
    minutes = _points(comparison, "minutes")
    speeds = _points(comparison, "inference")
    figures = [
        _figure(minutes, comparison.answer["pareto"].get("minutes") or [], "Accuracy and time to train", "minutes"),
        _figure(speeds, comparison.answer["pareto"].get("inference") or [], "Accuracy and speed", "inference"),
    ]
    drawn = [figure for figure in figures if figure is not None]
    if not drawn:
        return None
    numbers = {point.number: point.name for point in (*minutes, *speeds)}
    key = ", ".join(f"{number} {name}" for number, name in sorted(numbers.items()))
    parts = [
        paragraph(
            "Filled: on the front, where no other variant is both more accurate and cheaper. Upright lines: 95\u00a0% "
            f"intervals of accuracy on the images that report. {key}."
        ),
        tag("div", *drawn, class_="charts"),
    ]
    return Section("tradeoffs", "What accuracy costs", joined(parts))


def _points(comparison: ComparisonFacts, against: str) -> list[Point]:
    found = []
    for one in comparison.variants:
        report = one.get("report")
        if against == "minutes":
            value = (one.get("seconds") or {}).get("mean")
            text = wording.duration(value)
        else:
            speed = one.get("inference") or {}
            value = None if speed.get("stability") == "unstable" else speed.get("images_per_second")
            text = f"{value:,.0f} images/s" if value else ""
        if report is not None and value:
            low, high = report["interval"]
            x = value / 60 if against == "minutes" else value
            found.append(Point(comparison.number(one["name"]), one["name"], x, report["accuracy"], (low, high), text))
    return found


def _figure(points: Sequence[Point], front: Sequence[str], title: str, against: str) -> Html | None:
    if len(points) < 2:
        return None
    y = share_axis([share for point in points for share in point.interval])
    x = log_axis(
        min(p.x for p in points) * 0.8,
        max(p.x for p in points) * 1.2,
        lambda value: f"{value:.2g}" if value < 100 else f"{value:,.0f}",
    )
    plot = Plot(x, y, height=270)
    plot.axis_name("minutes to train (logarithmic)" if against == "minutes" else "images/s predicted (logarithmic)")
    on_front = [point for point in points if point.name in front]
    for start, end in zip(on_front_sorted := sorted(on_front, key=lambda p: p.x), on_front_sorted[1:], strict=False):
        corner = (end.x, start.accuracy) if against == "minutes" else (start.x, end.accuracy)
        plot.line([(start.x, start.accuracy), corner, (end.x, end.accuracy)], "front")
    for point in points:
        plot.bar(point.x, *point.interval, "whisker")
    for point in sorted(points, key=lambda p: p.name in front):
        style = "spot on" if point.name in front else "spot"
        says = f"{point.name}: {wording.percent(point.accuracy)}, {point.x_text}"
        plot.badge(point.x, point.accuracy, str(point.number), style, says)
    told = "; ".join(f"{p.number} {p.name}: {wording.percent(p.accuracy)}, {p.x_text}" for p in points)
    fronted = f" On the front: {wording.listed(front)}." if front else ""
    caption = tag("figcaption", tag("strong", title), f"{fronted.strip()}{starts_at(y)}")
    return tag("figure", caption, plot.svg(title, f"{told}.{fronted}"))
