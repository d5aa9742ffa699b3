"""Learning curves of several variants as one SVG that stands alone: a column each, a band over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from statistics import fmean
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, BETWEEN, BOTTOM, GAP = 200, 120, 36, 44, 26, 26, 18
INK, GRID, CHOOSING, TRAINING = "#4b5563", "#d1d5db", "#2563a8", "#b4541a"
NEVER_BELOW = 0.98
"""Losses above this share of all are drawn at the border: one bad epoch must not flatten the rest."""


@dataclass(frozen=True)
class Curve:
    """One variant."""

    name: str
    runs: Sequence[Sequence[Mapping[str, Any]]]
    """Of every seed, the epochs in order; epoch 0 is the linear probe."""

    def values(self, key: str) -> list[list[float | None]]:
        """Of every seed, one value an epoch."""
        return [[row[key] for row in run] for run in self.runs]


@dataclass(frozen=True)
class Box:
    """Where a chart lies, and what its sides mean."""

    left: float
    top: float
    low: float
    high: float
    epochs: int
    """The last one."""

    def x(self, epoch: float) -> float:
        """Pixels from the left."""
        return self.left + WIDTH * epoch / max(1, self.epochs)

    def y(self, value: float) -> float:
        """Pixels from the top; values outside lie on the border."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.top + HEIGHT * (1 - share)


def curves_svg(curves: Sequence[Curve]) -> str:
    """Validation accuracy above, training and validation losses below.

    All charts of a row share their scales; a band goes from the least to the most of the seeds.
    """
    shares = [v for curve in curves for run in curve.values("validation_accuracy") for v in run if v is not None]
    both = [v for c in curves for key in ("train_loss", "validation_loss") for run in c.values(key) for v in run if v]
    low, high = max(0.0, min(shares) - 0.02), min(1.0, max(shares) + 0.02)
    most = sorted(both)[int(NEVER_BELOW * (len(both) - 1))] * 1.05 if both else 1.0
    last = max(len(run) for curve in curves for run in curve.runs) - 1
    parts = []
    for index, curve in enumerate(curves):
        left = index * (LEFT + WIDTH + GAP) + LEFT
        parts.append(f'<text x="{left}" y="16" font-weight="600" fill="#111827">{escape(curve.name)}</text>')
        parts.append(_accuracy(curve, Box(left, TOP, low, high, last)))
        parts.append(_losses(curve, Box(left, TOP + HEIGHT + BETWEEN, 0.0, most, last)))
    width, height = len(curves) * (LEFT + WIDTH + GAP), TOP + 2 * HEIGHT + BETWEEN + BOTTOM
    says = "; ".join(f"{curve.name}: {_summary(curve)}" for curve in curves)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="11"><title>Learning curves</title><desc>{escape(says)}</desc>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _accuracy(curve: Curve, box: Box) -> str:
    runs = curve.values("validation_accuracy")
    caption = _text(box.left, box.top - 8, "validation accuracy", CHOOSING)
    return caption + _frame(box, 2) + _band(runs, box, CHOOSING) + _line(runs, box, CHOOSING, dots=2.5)


def _losses(curve: Curve, box: Box) -> str:
    choosing, training = curve.values("validation_loss"), curve.values("train_loss")
    captions = _text(box.left, box.top - 8, "validation loss", CHOOSING)
    captions += _text(box.left + 92, box.top - 8, "training loss (dashed)", TRAINING)
    lines = _band(choosing, box, CHOOSING) + _line(choosing, box, CHOOSING, dots=2.5)
    lines += _line(training, box, TRAINING, dash="5 4")
    below = _text(box.left, box.top + HEIGHT + 16, "0", INK)
    below += _text(box.left + WIDTH, box.top + HEIGHT + 16, f"epoch {box.epochs}", INK, anchor="end")
    return captions + _frame(box, 1) + lines + below


def _frame(box: Box, digits: int) -> str:
    """Lines at round values, named at the left."""
    parts = []
    for tick in _ticks(box.low, box.high):
        y = f"{box.y(tick):.1f}"
        parts.append(f'<line x1="{box.left}" x2="{box.left + WIDTH}" y1="{y}" y2="{y}" stroke="{GRID}"/>')
        parts.append(_text(box.left - 5, box.y(tick) + 4, f"{tick:.{digits}f}", INK, anchor="end"))
    return "".join(parts)


def _text(x: float, y: float, words: str, colour: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def _spans(runs: Sequence[Sequence[float | None]]) -> list[tuple[int, list[float]]]:
    """(epoch, values of the seeds that have one)."""
    found = [(epoch, [v for v in values if v is not None]) for epoch, values in enumerate(zip_longest(*runs))]
    return [(epoch, values) for epoch, values in found if values]


def _band(runs: Sequence[Sequence[float | None]], box: Box, colour: str) -> str:
    if len(runs) < 2:
        return ""
    upper = [f"{box.x(epoch):.1f},{box.y(max(values)):.1f}" for epoch, values in _spans(runs)]
    lower = [f"{box.x(epoch):.1f},{box.y(min(values)):.1f}" for epoch, values in _spans(runs)]
    return f'<polygon points="{" ".join([*upper, *reversed(lower)])}" fill="{colour}" opacity="0.15"/>'


def _line(runs: Sequence[Sequence[float | None]], box: Box, colour: str, *, dash: str = "", dots: float = 0.0) -> str:
    places = [(box.x(epoch), box.y(fmean(values))) for epoch, values in _spans(runs)]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    line = f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"{dashed}/>'
    circles = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{dots}" fill="{colour}"/>' for a, b in places)
    return line + (circles if dots else "")


def _ticks(low: float, high: float) -> list[float]:
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 1e9) if (high - low) / s <= 5)
    first = int(low / step) + (1 if low > 0 else 0)
    return [round(step * number, 4) for number in range(first, first + 7) if step * number < high]


def _summary(curve: Curve) -> str:
    ends = [run[-1]["validation_accuracy"] for run in curve.runs]
    return (
        f"accuracy {fmean(run[0]['validation_accuracy'] for run in curve.runs):.3f} at first, {fmean(ends):.3f} at last"
    )
