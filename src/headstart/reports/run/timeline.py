"""Phases and rates over the layer groups: which group learns when, and at what peak rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from headstart.amounts import count_text
from headstart.html import wording
from headstart.html.kit import PageSection, fold, paragraph, table
from headstart.html.markup import Html, joined, tag
from headstart.runs.record import RecordValues, RunFacts
from headstart.runs.training_events import PhaseDone

EARLIER = "before these"
"""Name of the row for groups that no phase names, where the network's groups are not known."""

_PALE, _DEEP = (222, 235, 247), (8, 48, 107)
"""Colours of the smallest and the largest rate."""
_ROW_PIXELS, _HEAD_PIXELS = 25, 40
_LETTER_PIXELS = 7.2
_LEAST_COLUMN_PIXELS = 74
_MOST_ROWS = 16
_LONGEST_NAME = 15

GroupTreatment = Literal["learns", "solved", "frozen"]


@dataclass(frozen=True, slots=True)
class Column:
    """One phase."""

    name: str
    kind: Literal["solve", "train"]
    epochs: int
    """That it took, or that are planned where it has not ended."""
    state: Literal["ended", "planned", "left out"]
    rates: Mapping[str, float]
    """Peak rate by layer group that learns; empty where the head is solved."""
    note: str
    """How it ended, or that it has not."""
    batch_norm: str
    schedule: str | None


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """Neighbouring layer groups that are treated alike in every phase."""

    name: str
    groups: int
    cells: tuple[tuple[GroupTreatment, float | None], ...]
    """One a phase: what happens, and the peak rate of what learns."""


def timeline_section(run: RunFacts) -> PageSection:
    """The drawing, its legend and the same as a table."""
    columns = columns_of(run)
    rows = rows_of(run, columns)
    parts = [
        paragraph(_intro(run, columns)),
        _legend(columns),
        tag("div", _drawing(columns, rows), class_="hs-scroll", role="region", aria_label="Timeline", tabindex="0"),
        fold("The same as a table, with schedules and BatchNorm", _table(columns, rows)),
    ]
    return PageSection("phases", "Phases and learning rates", joined(parts))


def columns_of(run: RunFacts) -> tuple[Column, ...]:
    """Every phase of the plan, with what became of it."""
    ended = {row.name: row for row in run.phases}
    return tuple(_column(phase, ended.get(phase["name"]), run) for phase in run.plan["phases"])


def _column(phase: RecordValues, row: PhaseDone | None, run: RunFacts) -> Column:
    solve = phase["kind"] == "linear_probe"
    ran = sum(epoch.row.phase == phase["name"] and epoch.number > 0 for epoch in run.epochs)
    state: Literal["ended", "planned", "left out"] = "planned" if row is None else "ended"
    if row is not None and not solve and not row.epochs_run:
        state = "left out"
    note = row.ended if row is not None else f"{ran} of {phase.get('epochs', 0)} epochs so far"
    return Column(
        name=phase["name"],
        kind="solve" if solve else "train",
        epochs=1 if solve else (ran if state == "ended" else phase["epochs"]) or 1,
        state=state,
        rates={} if solve else phase.get("lr_by_group") or {},
        note=note,
        batch_norm="pretrained_statistics" if solve else phase.get("batch_norm", ""),
        schedule=None if solve else phase.get("schedule", {}).get("name"),
    )


def rows_of(run: RunFacts, columns: Sequence[Column]) -> tuple[TimelineRow, ...]:
    """Layer groups, stem to head; many of them are joined where neighbours are treated alike."""
    single = [TimelineRow(name, 1, tuple(_cell(name, column) for column in columns)) for name in _groups(run, columns)]
    if len(single) <= _MOST_ROWS:
        return tuple(single)
    found = []
    for cells, same in groupby(single, key=lambda row: row.cells):
        names = [row.name for row in same]
        found.append(TimelineRow(names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}", len(names), cells))
    return tuple(found)


def _groups(run: RunFacts, columns: Sequence[Column]) -> list[str]:
    named = max((list(column.rates) for column in columns), key=len, default=[])
    known = list(run.layer_groups)
    if set(named) <= set(known):
        return known
    whole = any(phase.get("unfreeze") == "all" for phase in run.plan["phases"])
    return named if whole else [EARLIER, *named]


def _cell(group: str, column: Column) -> tuple[GroupTreatment, float | None]:
    if column.kind == "solve":
        return ("solved", None) if group == "head" else ("frozen", None)
    rate = column.rates.get(group)
    return ("frozen", None) if rate is None else ("learns", rate)


def _intro(run: RunFacts, columns: Sequence[Column]) -> str:
    still = "the rest is frozen: the same bits before and after, statistics of BatchNorm included"
    if all(column.kind == "solve" for column in columns):
        return (
            "Nothing was trained step by step: the head was solved on the frozen features, as the one best answer of a "
            "convex problem."
        )
    planned = [column.name for column in columns if column.state != "ended"]
    more = f" Pale columns were planned and have not run: {wording.listed(planned)}." if planned else ""
    return (
        f"From the first layers (top) to the head (bottom), and from left to right in time. A coloured cell learns, at "
        f"the peak rate in it; {still}.{more}"
    )


def _legend(columns: Sequence[Column]) -> Html:
    rates = sorted({rate for column in columns for rate in column.rates.values()})
    if not rates:
        return joined([])
    low, high = rates[0], rates[-1]
    shown = rates if len(rates) <= 5 else [low * (high / low) ** (step / 4) for step in range(5)]
    items = [
        tag("span", tag("i", style=f"background:{colour(rate, low, high)}"), wording.learning_rate(rate))
        for rate in shown
    ]
    return tag("div", tag("span", tag("b", "peak rate (logarithmic)")), *items, class_="hs-key")


def colour(rate: float, low: float, high: float) -> str:
    """The larger the rate, the deeper the blue; equal steps of the logarithm are equal steps of colour."""
    share = 0.6 if high <= low else math.log(rate / low) / math.log(high / low)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(_PALE, _DEEP, strict=True))


def _is_deep(filled: str) -> bool:
    """Whether white text reads better on it than dark text (relative luminance below 0.179)."""
    linear = [(int(filled[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    luminance: float = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return luminance < 0.179


def _drawing(columns: Sequence[Column], rows: Sequence[TimelineRow]) -> Html:
    whole = sum(_width(column) for column in columns)
    rates = [rate for column in columns for rate in column.rates.values()]
    low, high = min(rates, default=1.0), max(rates, default=1.0)
    parts, left = [], 0.0
    for index, column in enumerate(columns):
        width = 100 * _width(column) / whole
        parts += _heading(column, left)
        for place, row in enumerate(rows):
            parts += _drawn_cell(row.cells[index], column, (left, width), place, (low, high))
        left += width
    for place, row in enumerate(rows):
        down = _HEAD_PIXELS + place * _ROW_PIXELS + 17
        parts.append(tag("text", _short(row.name), x="0", dx="-8", y=down, text_anchor="end", class_="tick"))
    height = _HEAD_PIXELS + len(rows) * _ROW_PIXELS
    beside = round(14 + _LETTER_PIXELS * max((len(_short(row.name)) for row in rows), default=0))
    least = beside + _LEAST_COLUMN_PIXELS * len(columns)
    style = f"height:{height}px;margin-left:{beside}px;width:calc(100% - {beside}px);"
    says = "; ".join(f"{column.name}: {_learning_words(column)}" for column in columns)
    return tag(
        "div",
        tag(
            "svg",
            tag("desc", says),
            *parts,
            class_="timeline",
            role="img",
            aria_label=f"Which layer group learns when. {says}",
            style=style,
        ),
        style=f"min-width:{least}px",
    )


def _width(column: Column) -> float:
    """Epochs, but no phase becomes too narrow for its name."""
    return max(1.0, min(float(column.epochs), 12.0)) + (0.0 if column.kind == "train" else 0.2)


def _heading(column: Column, left: float) -> list[Html]:
    second = "solved" if column.kind == "solve" else count_text(column.epochs, "epoch")
    if column.state == "left out":
        second = "left out"
    elif column.state == "planned":
        second += ", planned"
    place = f"{left:.2f}%"
    return [
        tag("text", _short(column.name), x=place, dx="4", y="14", class_="said"),
        tag("text", second, x=place, dx="4", y="31", class_="tick"),
    ]


def _drawn_cell(
    cell: tuple[GroupTreatment, float | None],
    column: Column,
    across: tuple[float, float],
    place: int,
    ends: tuple[float, float],
) -> list[Html]:
    what, rate = cell
    down = _HEAD_PIXELS + place * _ROW_PIXELS
    box = {"x": f"{across[0]:.2f}%", "width": f"{across[1]:.2f}%", "y": down + 1, "height": _ROW_PIXELS - 2, "rx": 4}
    faded = "" if column.state == "ended" else " planned"
    middle = f"{across[0] + across[1] / 2:.2f}%"
    filled, said, style = None, str(what), str(what)
    if rate is not None:
        filled, said = colour(rate, *ends), wording.learning_rate(rate)
        style = f"learns {'bright' if _is_deep(filled) else 'dark'}"
    return [
        tag("rect", class_=f"cell {what}{faded}", fill=filled, **box),
        tag("text", said, x=middle, y=down + 17, text_anchor="middle", class_=style),
    ]


def _learning_words(column: Column) -> str:
    if column.kind == "solve":
        return "the head is solved, everything else is frozen"
    said = []
    for rate, same in groupby(column.rates.items(), key=lambda item: item[1]):
        names = [name for name, _ in same]
        said.append(f"{names[0]}{f' to {names[-1]}' if len(names) > 1 else ''} at {wording.learning_rate(rate)}")
    return ", ".join(said) or "nothing learns"


def _table(columns: Sequence[Column], rows: Sequence[TimelineRow]) -> Html:
    body: list[list[str | None]] = [
        [row.name, *(wording.learning_rate(rate) if rate is not None else what for what, rate in row.cells)]
        for row in rows
    ]
    body.append(["schedule", *(column.schedule or "\u2013" for column in columns)])
    body.append(["BatchNorm", *(column.batch_norm.replace("_", " ") for column in columns)])
    body.append(["ended", *(column.note for column in columns)])
    return table(["layer group", *(column.name for column in columns)], body, says="Peak rates by group and phase")


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}\u2026"
