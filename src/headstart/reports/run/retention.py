"""Section on what training has left of the starting network: similarity by epoch, and movement by layer group."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from headstart.amounts import count_text
from headstart.html import wording
from headstart.html.kit import PageSection, fold, key, paragraph, table
from headstart.html.markup import Html, joined, tag
from headstart.html.plot import Axis, MarkShape, Plot, epoch_axis, linear_axis
from headstart.runs.ledger import LedgerEntry
from headstart.runs.record import RunRecord

_RIGHT_PIXELS = 76
_MOST_MARKED = 24


def retention_section(run: RunRecord) -> PageSection | None:
    """Section with a chart of the similarity to the starting network and a table by group; None without epochs."""
    entries = [one for one in run.ledger if one.similarity is not None]
    if not entries:
        return None
    parts = [
        paragraph(_intro(entries)),
        key([("one", "mean of the layer groups"), ("two", "lowest layer group")]),
        tag("div", _figure(entries), class_="charts"),
        fold("Layer groups after the last epoch", _table(entries[-1])),
    ]
    return PageSection("retention", "Retention", joined(parts))


def _intro(entries: Sequence[LedgerEntry]) -> str:
    last = entries[-1]
    lowest = min((one.cka, name) for name, one in last.states.items() if one.cka is not None)
    batch = f" on a fixed batch of {count_text(last.batch.images, 'training image')}" if last.batch else ""
    return (
        f"After the last epoch the features of {lowest[1]} have a linear CKA of {lowest[0]:.2f} with those of the "
        f"starting network{batch}; no other layer group has less. 1 is the same up to rotation and scale, 0 is "
        "unrelated: a group far below 1 no longer holds what was pretrained. Only groups that steps of the phase run "
        f"are read.{_original_text(last)}"
    )


def _original_text(last: LedgerEntry) -> str:
    """Sentence on the head that came with the weights; empty where there is none."""
    if last.batch is None or last.batch.original_agreement is None:
        return ""
    return (
        f" The head that came with the weights gives {wording.percent(last.batch.original_agreement)} of these images "
        f"the class that it gave before training (Kullback-Leibler divergence "
        f"{wording.number(last.batch.original_divergence)} nats)."
    )


def _figure(entries: Sequence[LedgerEntry]) -> Html:
    lowest = [(place, one.similarity) for place, one in enumerate(entries, 1) if one.similarity is not None]
    means = [(place, _mean(one)) for place, one in enumerate(entries, 1)]
    low = min(value for _, value in lowest)
    plot = Plot(epoch_axis(1, len(entries)), _axis(low), height=180, right=_RIGHT_PIXELS)
    plot.axis_name("epoch")
    series: tuple[tuple[list[tuple[int, float]], str, MarkShape, str], ...] = (
        (means, "one", "circle", "mean"),
        (lowest, "two", "square", "lowest"),
    )
    for rows, style, shape, name in series:
        plot.line(rows, style)
        for place, value in rows if len(rows) <= _MOST_MARKED else ():
            one = entries[place - 1]
            plot.mark(place, value, shape, style, f"{one.phase} epoch {one.epoch}: {name} CKA {value:.3f}")
        plot.end_label(*rows[-1], name, style)
    says = f"The lowest CKA goes from {lowest[0][1]:.2f} to {lowest[-1][1]:.2f}, the mean ends at {means[-1][1]:.2f}."
    caption = f"Linear CKA with the starting network; 1 is the same. The axis starts at {plot.y.low:.2g}."
    svg = plot.svg("Similarity to the starting network by epoch", says)
    return tag("figure", tag("figcaption", tag("strong", "Similarity to the starting network"), caption), svg)


def _axis(low: float) -> Axis:
    return linear_axis(max(0.0, min(low, 0.9)), 1.0, lambda value: f"{value:.2g}")


def _mean(entry: LedgerEntry) -> float:
    return fmean(one.cka or 0.0 for one in entry.states.values())


def _table(entry: LedgerEntry) -> Html:
    rows = []
    for name in dict.fromkeys([*entry.states, *entry.groups]):
        group, state = entry.groups.get(name), entry.states.get(name)
        rows.append(
            [
                name,
                "frozen" if group is None else wording.learning_rate(group.lr),
                wording.percent(group.movement if group else None),
                wording.percent(group.distance if group else None),
                wording.number(state.cka if state else None, 2),
                wording.percent(state.dead if state else None),
            ]
        )
    header = ["layer group", "last learning rate", "movement in the epoch", "distance from the start", "CKA", "dead"]
    return table(header, rows, says="Layer groups after the last epoch", numeric=range(1, 6))
