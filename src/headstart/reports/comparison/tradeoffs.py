"""Pareto charts: accuracy against training time and against throughput."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.html import wording
from headstart.html.kit import PageSection, paragraph
from headstart.html.markup import Html, joined, tag
from headstart.html.plot import Plot, log_axis, share_axis, starts_at
from headstart.reports.comparison.facts import ComparisonFacts


@dataclass(frozen=True, slots=True)
class TradeoffPoint:
    """Point of one variant in a chart."""

    number: int
    name: str
    x: float
    accuracy: float
    interval: tuple[float, float]
    x_text: str


def tradeoffs_section(comparison: ComparisonFacts) -> PageSection | None:
    """Section with both charts; no other variant beats one on the front in both directions."""
    minutes = _points(comparison, "minutes")
    speeds = _points(comparison, "inference")
    figures = [
        _figure(minutes, comparison.record.pareto.minutes, "Accuracy and training time", "minutes"),
        _figure(speeds, comparison.record.pareto.inference, "Accuracy and throughput", "inference"),
    ]
    drawn = [figure for figure in figures if figure is not None]
    if not drawn:
        return None
    numbers = {point.number: point.name for point in (*minutes, *speeds)}
    key = ", ".join(f"{number} {name}" for number, name in sorted(numbers.items()))
    parts = [
        paragraph(
            "Filled: on the Pareto front, where no other variant is both more accurate and cheaper. Vertical lines: "
            f"95\u00a0% intervals of test accuracy. {key}."
        ),
        tag("div", *drawn, class_="charts"),
    ]
    return PageSection("tradeoffs", "Accuracy and cost", joined(parts))


def _points(comparison: ComparisonFacts, against: str) -> list[TradeoffPoint]:
    found = []
    for one in comparison.variants:
        value = one.mean_seconds if against == "minutes" else one.stable_throughput
        # At one throughput two names of one model would cover each other; their training times differ.
        if one.test is None or not value or (against == "inference" and one.same_model_as is not None):
            continue
        text = wording.duration(value) if against == "minutes" else f"{value:,.0f} images/s"
        x = value / 60 if against == "minutes" else value
        test = one.test
        found.append(TradeoffPoint(comparison.number(one.name), one.name, x, test.accuracy, test.interval, text))
    return found


def _figure(points: Sequence[TradeoffPoint], front: Sequence[str], title: str, against: str) -> Html | None:
    if len(points) < 2:
        return None
    y = share_axis([share for point in points for share in point.interval])
    x = log_axis(
        min(p.x for p in points) * 0.8,
        max(p.x for p in points) * 1.2,
        lambda value: f"{value:.2g}" if value < 100 else f"{value:,.0f}",
    )
    plot = Plot(x, y, height=270)
    plot.axis_name(
        "training time in minutes (logarithmic)" if against == "minutes" else "throughput in images/s (logarithmic)"
    )
    on_front = [point for point in points if point.name in front]
    for start, end in zip(on_front_sorted := sorted(on_front, key=lambda p: p.x), on_front_sorted[1:], strict=False):
        corner = (end.x, start.accuracy) if against == "minutes" else (start.x, end.accuracy)
        plot.line([(start.x, start.accuracy), corner, (end.x, end.accuracy)], "front")
    for point in points:
        plot.bar(point.x, *point.interval, "whisker")
    for point in sorted(points, key=lambda p: p.name in front):
        style = "spot on" if point.name in front else "spot"
        description = f"{point.name}: {wording.percent(point.accuracy)}, {point.x_text}"
        plot.badge(point.x, point.accuracy, str(point.number), style, description)
    summary = "; ".join(f"{p.number} {p.name}: {wording.percent(p.accuracy)}, {p.x_text}" for p in points)
    front_text = f" On the Pareto front: {wording.listed(front)}." if front else ""
    caption = tag("figcaption", tag("strong", title), f"{front_text.strip()}{starts_at(y)}")
    return tag("figure", caption, plot.svg(title, f"{summary}.{front_text}"))
