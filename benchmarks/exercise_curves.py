"""Learning curves of several variants as one SVG that stands alone: a panel each, a band over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from statistics import fmean
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 220, 150, 34, 40, 28, 24
INK, GRID, ACCURACY, LOSS = "#6b7280", "#d1d5db", "#2563a8", "#b4541a"


@dataclass(frozen=True)
class Curve:
    """One variant."""

    name: str
    runs: Sequence[Sequence[Mapping[str, Any]]]
    """Of every seed, the epochs in order; epoch 0 is the solved head."""


def curves_svg(curves: Sequence[Curve]) -> str:
    """Accuracy on the images that choose (dots, left scale) and training loss (dashed, scaled to its largest).

    All panels share their scales; a band goes from the least to the most of the seeds.
    """
    shares = [row["select_accuracy"] for curve in curves for run in curve.runs for row in run]
    losses = [row["train_loss"] for curve in curves for run in curve.runs for row in run if row["train_loss"]]
    low, high = min(shares), max(shares)
    low, high = low - 0.05 * (high - low) - 0.01, high + 0.05 * (high - low) + 0.01
    most = sorted(losses)[int(0.95 * (len(losses) - 1))] if losses else 1.0
    longest = max(len(run) for curve in curves for run in curve.runs)
    panels = [_panel(curve, index, (low, high), most, longest) for index, curve in enumerate(curves)]
    width = len(curves) * (LEFT + WIDTH + GAP)
    height = TOP + HEIGHT + BOTTOM
    says = "; ".join(f"{curve.name}: {_summary(curve)}" for curve in curves)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="11"><title>Learning curves</title><desc>{escape(says)}</desc>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(panels)}</svg>\n'
    )


def _panel(curve: Curve, index: int, shares: tuple[float, float], most: float, longest: int) -> str:
    left = index * (LEFT + WIDTH + GAP) + LEFT
    low, high = shares

    def x(epoch: int) -> float:
        return left + WIDTH * epoch / max(1, longest - 1)

    def y_share(value: float) -> float:
        return TOP + HEIGHT * (high - value) / (high - low)

    def y_loss(value: float) -> float:
        return TOP + HEIGHT * (1 - min(value, most) / most)

    parts = [f'<text x="{left}" y="16" font-weight="600" fill="#111827">{escape(curve.name)}</text>']
    for tick in _ticks(low, high):
        parts.append(
            f'<line x1="{left}" x2="{left + WIDTH}" y1="{y_share(tick):.1f}" y2="{y_share(tick):.1f}" stroke="{GRID}"/>'
            f'<text x="{left - 4}" y="{y_share(tick) + 4:.1f}" text-anchor="end" fill="{INK}">{tick:.2f}</text>'
        )
    parts.append(f'<text x="{left + WIDTH}" y="{TOP + HEIGHT + 20}" text-anchor="end" fill="{INK}">epoch</text>')
    parts.append(f'<text x="{left}" y="{TOP + HEIGHT + 20}" fill="{INK}">0</text>')
    accuracy = [[row["select_accuracy"] for row in run] for run in curve.runs]
    loss = [[row["train_loss"] for row in run] for run in curve.runs]
    parts.append(_band(accuracy, x, y_share, ACCURACY))
    parts.append(_line(_means(loss), x, y_loss, LOSS, dash="5 4"))
    parts.append(_line(_means(accuracy), x, y_share, ACCURACY, dots=3))
    parts.append(
        f'<text x="{left}" y="30" fill="{ACCURACY}">accuracy (dots)</text>'
        f'<text x="{left + 92}" y="30" fill="{LOSS}">training loss (dashed), 0 to {most:.2g}</text>'
    )
    return "".join(parts)


def _means(runs: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Over the seeds that went so far."""
    found = []
    for values in zip_longest(*runs):
        known = [value for value in values if value is not None]
        found.append(fmean(known) if known else None)
    return found


def _band(runs: Sequence[Sequence[float]], x: Any, y: Any, colour: str) -> str:  # noqa: ANN401 - two scales
    if len(runs) < 2:
        return ""
    spans = [[v for v in values if v is not None] for values in zip_longest(*runs)]
    upper = [f"{x(epoch):.1f},{y(max(values)):.1f}" for epoch, values in enumerate(spans)]
    lower = [f"{x(epoch):.1f},{y(min(values)):.1f}" for epoch, values in enumerate(spans)]
    return f'<polygon points="{" ".join([*upper, *reversed(lower)])}" fill="{colour}" opacity="0.15"/>'


def _line(values: Sequence[float | None], x: Any, y: Any, colour: str, *, dash: str = "", dots: int = 0) -> str:  # noqa: ANN401
    places = [(x(epoch), y(value)) for epoch, value in enumerate(values) if value is not None]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    line = f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"{dashed}/>'
    circles = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{dots}" fill="{colour}"/>' for a, b in places)
    return line + (circles if dots else "")


def _ticks(low: float, high: float) -> list[float]:
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / s <= 5)
    first = int(low / step) + 1
    return [round(step * number, 4) for number in range(first, first + 7) if step * number < high]


def _summary(curve: Curve) -> str:
    ends = [run[-1]["select_accuracy"] for run in curve.runs]
    return f"accuracy {fmean(run[0]['select_accuracy'] for run in curve.runs):.3f} at first, {fmean(ends):.3f} at last"
