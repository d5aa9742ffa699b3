"""Small drawings in a line of text or a table cell, next to a figure: an interval on a scale, a bar."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.html.markup import Html, tag
from headstart.html.plot import Axis


def interval_track(
    axis: Axis,
    bounds: Sequence[float] | None,
    value: float | None,
    *,
    also: Sequence[float] = (),
    reference: float | None = None,
) -> Html:
    """SVG of a value with its interval on a scale.

    Args:
        axis: The scale, shared by all tracks that are compared.
        bounds: Ends of the interval.
        value: The mark; None draws an empty scale.
        also: Small marks below, such as single seeds.
        reference: Position of a dashed vertical line, such as chance level.
    """
    parts = [tag("line", class_="axis", x1="0", x2="100%", y1="11", y2="11")]
    parts += [_upright("grid", axis.at(tick), 4, 18) for tick, _ in axis.ticks]
    if reference is not None:
        parts.append(_upright("reference", axis.at(reference), 0, 22))
    if bounds is not None:
        low, high = axis.at(bounds[0]), axis.at(bounds[1])
        parts.append(tag("line", class_="span", x1=f"{low:.2f}%", x2=f"{high:.2f}%", y1="11", y2="11"))
        parts += [_upright("whisker", end, 6, 16) for end in (low, high)]
    parts += [tag("circle", class_="seed", cx=f"{axis.at(one):.2f}%", cy="19", r="2.5") for one in also]
    if value is not None:
        parts.append(tag("circle", class_="dot", cx=f"{axis.at(value):.2f}%", cy="11", r="5.5"))
    return tag("svg", *parts, class_="track", aria_hidden="true")


def track_scale(axis: Axis, *, most: int = 3) -> Html:
    """SVG of the ticks under a column of tracks, of which at most so many have labels."""
    every = -(-(len(axis.ticks) - 1) // max(1, most - 1)) or 1
    marks = [
        tag("text", text, class_="tick", x=f"{axis.at(value):.2f}%", y="12", text_anchor=_anchor(axis.at(value)))
        for value, text in axis.ticks[::every]
    ]
    return tag("svg", *marks, class_="track scale", aria_hidden="true")


def bar(share: float, style: str = "") -> Html:
    """HTML of a bar for a share 0..1."""
    width = f"width:{100 * min(1.0, max(0.0, share)):.1f}%"
    return tag("span", tag("span", style=width), class_=f"bar {style}".strip(), aria_hidden="true")


def _anchor(place: float) -> str:
    """Text anchor that keeps labels at the ends inside."""
    return "start" if place < 4 else "end" if place > 96 else "middle"


def _upright(style: str, place: float, top: int, bottom: int) -> Html:
    return tag("line", class_=style, x1=f"{place:.2f}%", x2=f"{place:.2f}%", y1=top, y2=bottom)
