"""Section on phases and learning rates: which layer groups each phase trains, and at which peak learning rate."""

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
from headstart.plan.plan import Phase, ProbePhase
from headstart.runs.record import RunRecord
from headstart.runs.training_events import PhaseDone

EARLIER = "before these"
"""Name of the row for groups that no phase names, where the network's groups are not known."""

_PALE, _DEEP = (222, 235, 247), (8, 48, 107)
"""Colours of the smallest and the largest learning rate."""
_ROW_PIXELS, _HEAD_PIXELS = 25, 40
_LETTER_PIXELS = 7.2
_LEAST_COLUMN_PIXELS = 74
_MOST_ROWS = 16
_LONGEST_NAME = 15

GroupTreatment = Literal["trained", "fitted", "frozen"]
"""trained: by gradient descent. fitted: the head, as a linear probe."""


@dataclass(frozen=True, slots=True)
class Column:
    """One phase."""

    name: str
    kind: Literal["probe", "train"]
    epochs: int
    """Number that were trained, or that are planned where the phase has not ended."""
    state: Literal["ended", "planned", "skipped"]
    lr: Mapping[str, float]
    """Trainable layer group -> peak learning rate; empty for a linear probe."""
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
    """One a phase: what happens, and the peak learning rate where the group is trained."""


def timeline_section(run: RunRecord) -> PageSection:
    """Section with the drawing, its legend and the same as a table."""
    columns = columns_of(run)
    rows = rows_of(run, columns)
    parts = [
        paragraph(_intro(run, columns)),
        _legend(columns),
        tag("div", _drawing(columns, rows), class_="hs-scroll", role="region", aria_label="Timeline", tabindex="0"),
        fold("Table of phases, with schedules and BatchNorm", _table(columns, rows)),
    ]
    return PageSection("phases", "Phases and learning rates", joined(parts))


def columns_of(run: RunRecord) -> tuple[Column, ...]:
    """Columns of all phases of the plan."""
    ended = {row.name: row for row in run.phases}
    return tuple(_column(phase, ended.get(phase.name), run) for phase in run.plan.phases)


def _column(phase: Phase, row: PhaseDone | None, run: RunRecord) -> Column:
    ran = sum(epoch.row.phase == phase.name and epoch.number > 0 for epoch in run.epochs)
    if isinstance(phase, ProbePhase):
        return Column(
            name=phase.name,
            kind="probe",
            epochs=1,
            state="planned" if row is None else "ended",
            lr={},
            note="not fitted yet" if row is None else row.ended,
            batch_norm="pretrained_statistics",
            schedule=None,
        )
    state: Literal["ended", "planned", "skipped"] = "planned"
    if row is not None:
        state = "ended" if row.epochs_run else "skipped"
    return Column(
        name=phase.name,
        kind="train",
        epochs=(ran if state == "ended" else phase.epochs) or 1,
        state=state,
        lr=phase.lr_by_group,
        note=row.ended if row is not None else f"{ran} of {phase.epochs} epochs so far",
        batch_norm=phase.batch_norm,
        schedule=phase.schedule.name,
    )


def rows_of(run: RunRecord, columns: Sequence[Column]) -> tuple[TimelineRow, ...]:
    """Rows of layer groups, stem to head; many of them are joined where neighbours are treated alike."""
    single = [TimelineRow(name, 1, tuple(_cell(name, column) for column in columns)) for name in _groups(run, columns)]
    if len(single) <= _MOST_ROWS:
        return tuple(single)
    found = []
    for cells, same in groupby(single, key=lambda row: row.cells):
        names = [row.name for row in same]
        found.append(TimelineRow(names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}", len(names), cells))
    return tuple(found)


def _groups(run: RunRecord, columns: Sequence[Column]) -> list[str]:
    named = max((list(column.lr) for column in columns), key=len, default=[])
    known = list(run.layer_groups)
    if set(named) <= set(known):
        return known
    whole = any(phase.kind == "train" and phase.unfreeze == "all" for phase in run.plan.phases)
    return named if whole else [EARLIER, *named]


def _cell(group: str, column: Column) -> tuple[GroupTreatment, float | None]:
    if column.kind == "probe":
        return ("fitted", None) if group == "head" else ("frozen", None)
    rate = column.lr.get(group)
    return ("frozen", None) if rate is None else ("trained", rate)


def _intro(run: RunRecord, columns: Sequence[Column]) -> str:
    if all(column.kind == "probe" for column in columns):
        return (
            "No layer is trained by gradient descent: the head is fitted on the frozen features, as the unique "
            "solution of a convex problem."
        )
    planned = [column.name for column in columns if column.state != "ended"]
    more = f" Pale columns have not run: {wording.listed(planned)}." if planned else ""
    return (
        "Rows are layer groups, from the stem to the head; columns are phases in order of time. A coloured cell is "
        "trained, with its peak learning rate in it. Frozen cells do not change, BatchNorm statistics included." + more
    )


def _legend(columns: Sequence[Column]) -> Html:
    rates = sorted({rate for column in columns for rate in column.lr.values()})
    if not rates:
        return joined([])
    low, high = rates[0], rates[-1]
    shown = rates if len(rates) <= 5 else [low * (high / low) ** (step / 4) for step in range(5)]
    items = [
        tag("span", tag("i", style=f"background:{colour(rate, low, high)}"), wording.learning_rate(rate))
        for rate in shown
    ]
    return tag("div", tag("span", tag("b", "peak learning rate (logarithmic)")), *items, class_="hs-key")


def colour(rate: float, low: float, high: float) -> str:
    """Colour of a learning rate: the larger, the deeper the blue; equal factors are equal steps of colour."""
    share = 0.6 if high <= low else math.log(rate / low) / math.log(high / low)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(_PALE, _DEEP, strict=True))


def _is_deep(filled: str) -> bool:
    """Whether white text reads better on it than dark text (relative luminance below 0.179)."""
    linear = [(int(filled[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    luminance: float = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return luminance < 0.179


def _drawing(columns: Sequence[Column], rows: Sequence[TimelineRow]) -> Html:
    whole = sum(_width(column) for column in columns)
    rates = [rate for column in columns for rate in column.lr.values()]
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
    margin = round(14 + _LETTER_PIXELS * max((len(_short(row.name)) for row in rows), default=0))
    least = margin + _LEAST_COLUMN_PIXELS * len(columns)
    style = f"height:{height}px;margin-left:{margin}px;width:calc(100% - {margin}px);"
    says = "; ".join(f"{column.name}: {_trained_text(column)}" for column in columns)
    return tag(
        "div",
        tag(
            "svg",
            tag("desc", says),
            *parts,
            class_="timeline",
            role="img",
            aria_label=f"Trained layer groups of each phase. {says}",
            style=style,
        ),
        style=f"min-width:{least}px",
    )


def _width(column: Column) -> float:
    """Epochs, but no phase becomes too narrow for its name."""
    return max(1.0, min(float(column.epochs), 12.0)) + (0.0 if column.kind == "train" else 0.2)


def _heading(column: Column, left: float) -> list[Html]:
    second = "fitted" if column.kind == "probe" else count_text(column.epochs, "epoch")
    if column.state == "skipped":
        second = "skipped"
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
        style = f"trained {'bright' if _is_deep(filled) else 'dark'}"
    return [
        tag("rect", class_=f"cell {what}{faded}", fill=filled, **box),
        tag("text", said, x=middle, y=down + 17, text_anchor="middle", class_=style),
    ]


def _trained_text(column: Column) -> str:
    if column.kind == "probe":
        return "the head is fitted as a linear probe, everything else is frozen"
    said = []
    for rate, same in groupby(column.lr.items(), key=lambda item: item[1]):
        names = [name for name, _ in same]
        said.append(f"{names[0]}{f' to {names[-1]}' if len(names) > 1 else ''} at {wording.learning_rate(rate)}")
    return ", ".join(said) or "nothing is trained"


def _table(columns: Sequence[Column], rows: Sequence[TimelineRow]) -> Html:
    body: list[list[str | None]] = [
        [row.name, *(wording.learning_rate(rate) if rate is not None else what for what, rate in row.cells)]
        for row in rows
    ]
    body.append(["schedule", *(column.schedule or "\u2013" for column in columns)])
    body.append(["BatchNorm", *(column.batch_norm.replace("_", " ") for column in columns)])
    body.append(["end of the phase", *(column.note for column in columns)])
    return table(
        ["layer group", *(column.name for column in columns)], body, says="Peak learning rates by layer group and phase"
    )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}\u2026"
