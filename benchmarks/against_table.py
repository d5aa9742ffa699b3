"""The measurements of against.py as a section of docs/benchmarks.md."""

from __future__ import annotations

import datetime
import math
import os
import statistics
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from measured import Row, spread, where
from paired import MARGIN, Difference, difference, share_right
from sets import SETS
from sides import ACCURACY_EPOCHS, SIDES, Side

from headstart.measures.intervals import wilson_interval

Epoch = Literal["last", "best"]

OURS = {"head": "headstart", "all": "headstart-default"}
"""What a peer is compared with, by what it trains."""
PACKAGES = ("torch", "torchvision", "timm", "onnxruntime", "scikit-learn", "fastai", "lightning", "vyntri")


@dataclass(frozen=True, slots=True)
class Goal:
    """A row of the issue's table."""

    number: str
    theirs: str
    at_least: float
    """Times our seconds."""
    accuracy: Literal["non-inferior on four sets", "mean on ants and bees"]


GOALS = (
    Goal("1", "tutorial-fixed", 20, "non-inferior on four sets"),
    Goal("2", "fastai", 12, "mean on ants and bees"),
    Goal("3", "strong-frozen", 12, "non-inferior on four sets"),
    Goal("12, cold", "expert", 1.6, "non-inferior on four sets"),
)


class Measured:
    """Rows by task, set and side."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for row in rows:
            self._rows[row["task"], row["set"], row["side"]].append(row)

    def of(self, task: str, name: str, side: str) -> list[Row]:
        """Rows of one side, a round each; [] where nothing was measured."""
        return self._rows.get((task, name, side), [])

    def answers(self, name: str, side: str) -> list[Row]:
        """The rows whose answers count: of the whole recipe on ants and bees, at 128 px elsewhere."""
        return self.of("full" if name == "hymenoptera" else "accuracy", name, side)

    def seconds(self, task: str, name: str, side: str) -> float | None:
        """Median over rounds of the whole recipe's seconds."""
        rows = self.of(task, name, side)
        return statistics.median(row["whole_seconds"] for row in rows) if rows else None

    def ratio(self, task: str, name: str, side: str, ours: str) -> float | None:
        """Their median seconds by ours."""
        mine, other = self.seconds(task, name, ours), self.seconds(task, name, side)
        return other / mine if mine and other else None

    def gap(self, names: Sequence[str], side: str, ours: str, epoch: Epoch = "last") -> Difference | None:
        """Ours minus theirs over the images of some sets; None unless both sides answered in each of them."""
        mine, other = [], []
        for name in names:
            own, rows = self.answers(name, ours), self.answers(name, side)
            if not own or not rows:
                return None
            mine.append(share_right([row["predicted"]["last"] for row in own], own[0]["truth"]))
            other.append(share_right([row["predicted"][epoch] for row in rows], rows[0]["truth"]))
        return difference(np.concatenate(mine), np.concatenate(other)) if mine else None


def section(rows: Sequence[Row], *, epochs: int, limit: int) -> str:
    """The whole section as Markdown.

    Args:
        rows: Lines of build/against.jsonl with one number of epochs and one limit.
        epochs: Of the whole recipe on ants and bees.
        limit: Of the training images of rsscn7 and chest_xray.
    """
    measured = Measured(rows)
    parts = [
        _head(rows, epochs),
        _goals(measured),
        _ants_and_bees(measured, epochs),
        _pace(measured, epochs, limit),
        _accuracies(measured, limit),
        _pooled(measured),
        _sides(epochs),
        _notes(epochs),
    ]
    return "\n\n".join(part for part in parts if part)


def _prose(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 118, break_on_hyphens=False, break_long_words=False)


def _bullet(text: str) -> str:
    return textwrap.indent(_prose(text), "  ").replace("  ", "- ", 1)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(header), ["---"] * len(header), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _head(rows: Sequence[Row], epochs: int) -> str:
    days = sorted({datetime.datetime.fromtimestamp(row["time"], datetime.UTC).date().isoformat() for row in rows})
    threads = os.environ.get("OMP_NUM_THREADS")
    told = _prose(
        f"""Written by `python benchmarks/against.py`. EfficientNet-Lite0 with the same weights on every side, sides in
        turns, each measurement a fresh process whose seconds count from its start to its end, imports included;
        headstart with an empty `$HEADSTART_HOME`. {epochs} epochs unless said otherwise. Measured
        {" to ".join(dict.fromkeys((days[0], days[-1])))}."""
    )
    machine = _prose(
        f"""Machine: {os.cpu_count()} cores, OMP_NUM_THREADS {"= " + threads if threads else "unset"}; load before a
        measurement up to {max(row["load_before"] for row in rows):.1f}; {where(PACKAGES)}."""
    )
    return f"## Whole trainings compared with peers\n\n{told}\n\n{machine}"


def _goals(measured: Measured) -> str:
    rows = []
    for goal in GOALS:
        ratio = measured.ratio("full", "hymenoptera", goal.theirs, OURS["head"])
        reached = "not measured" if ratio is None else "reached" if ratio >= goal.at_least else "missed"
        shown = "" if ratio is None else f"{ratio:.2f}x"
        rows.append(
            (goal.number, goal.theirs, f"{goal.at_least:g}x", shown, reached, _accuracy_verdict(measured, goal))
        )
    return "### Goals\n\nAnts and bees, `headstart train FOLDER --strategy feature_extraction` against:\n\n" + _table(
        ("row", "against", "at least", "measured", "", "accuracy"), rows
    )


def _accuracy_verdict(measured: Measured, goal: Goal) -> str:
    if goal.accuracy == "non-inferior on four sets":
        gap = measured.gap(SETS, goal.theirs, OURS["head"])
        if gap is None:
            return "not measured on all four sets"
        return f"{_points(gap)}: {'non-inferior' if gap.is_non_inferior else 'not shown to be non-inferior'}"
    gap = measured.gap(("hymenoptera",), goal.theirs, OURS["head"])
    if gap is None:
        return "not measured"
    verdict = "at least equal on the mean" if gap.mean >= 0 else "below on the mean"
    return f"{_points(gap)} on ants and bees: {verdict}"


def _points(gap: Difference) -> str:
    """In points: hundredths of a share."""
    return f"{100 * gap.mean:+.1f} ({100 * gap.low:+.1f}..{100 * gap.high:+.1f})"


def _points_or_nothing(gap: Difference | None) -> str:
    return _points(gap) if gap else ""


def _accuracy(rows: Sequence[Row], key: str) -> str:
    mean, images = statistics.fmean(row[key] for row in rows), len(rows[0]["truth"])
    low, high = wilson_interval(math.floor(mean * images + 0.5), images)
    return f"{mean:.3f} ({low:.3f}..{high:.3f})"


def _ants_and_bees(measured: Measured, epochs: int) -> str:
    rows = []
    for side in SIDES:
        found = measured.of("full", "hymenoptera", side.name)
        if not found:
            continue
        seconds = [row["whole_seconds"] for row in found]
        ratio = measured.ratio("full", "hymenoptera", side.name, OURS["head"])
        gap, best_gap = (
            None if side.name == OURS["head"] else measured.gap(("hymenoptera",), side.name, OURS["head"], epoch)
            for epoch in ("last", "best")
        )
        in_epochs = bool(side.recipe("full", epochs))
        rows.append(
            (
                side.name,
                spread(seconds),
                f"{ratio:.1f}" if ratio else "",
                _accuracy(found, "accuracy"),
                _points_or_nothing(gap),
                _accuracy(found, "best_accuracy") if in_epochs else "",
                _points_or_nothing(best_gap) if in_epochs else "",
            )
        )
    if not rows:
        return ""
    images = len(next(iter(measured.of("full", "hymenoptera", rows[0][0])))["truth"])
    title = f"### Ants and bees, 244 training images, {images} test images, 224 px"
    header = (
        "side",
        "seconds: median (min..max, n)",
        "times headstart's",
        "accuracy of the last epoch",
        "headstart minus it, points",
        "accuracy of its best epoch",
        "headstart minus that",
    )
    return f"{title}\n\n{_table(header, rows)}"


def _by_set(measured: Measured, cell: Callable[[str, Side], str], *, task: str) -> list[tuple[str, ...]]:
    names = [name for name in SETS if name != "hymenoptera"]
    return [
        (side.name, *(cell(name, side) for name in names))
        for side in SIDES
        if any(measured.of(task, name, side.name) for name in names)
    ]


def _sizes(measured: Measured, task: str) -> str:
    """How many images report, by set."""
    found = {
        name: next((len(rows[0]["truth"]) for side in SIDES if (rows := measured.of(task, name, side.name))), None)
        for name in SETS
    }
    return ", ".join(f"{name} {count}" for name, count in found.items() if count)


def _pace(measured: Measured, epochs: int, limit: int) -> str:
    def cell(name: str, side: Side) -> str:
        seconds = measured.seconds("pace", name, side.name)
        if seconds is None:
            return ""
        ratio = measured.ratio("pace", name, side.name, OURS[side.learns])
        return f"{seconds:.0f}" + (f" ({ratio:.1f}x)" if ratio and side.name != OURS[side.learns] else "")

    rows = _by_set(measured, cell, task="pace")
    if not rows:
        return ""
    told = _prose(
        f"""headstart and the sides without epochs ran whole. In brackets: times ours, which is `headstart` where only a
        head learns and `headstart-default` where everything does. CIFAR-10 with 1,000 labels; at most {limit} training
        images of rsscn7 and chest_xray (split by patient). Test images: {_sizes(measured, "pace")}. One
        round."""
    )
    title = f"### Other sets at 224 px: seconds of {epochs} epochs, extrapolated from two"
    return f"{title}\n\n{told}\n\n{_table(('side', *SETS[1:]), rows)}"


def _accuracies(measured: Measured, limit: int) -> str:
    def cell(name: str, side: Side) -> str:
        found = measured.of("accuracy", name, side.name)
        return _accuracy(found, "accuracy") if found else ""

    rows = _by_set(measured, cell, task="accuracy")
    if not rows:
        return ""
    told = _prose(
        f"""Last epoch, seed 1, at most {limit} training images of rsscn7 and chest_xray. fastai: `fine_tune(5)`;
        headstart sets its own epochs. Test images: {_sizes(measured, "accuracy")}."""
    )
    title = f"### Other sets: accuracy of one run of {ACCURACY_EPOCHS} epochs at 128 px"
    return f"{title}\n\n{told}\n\n{_table(('side', *SETS[1:]), rows)}"


def _pooled(measured: Measured) -> str:
    rows = []
    for side in SIDES:
        ours = OURS[side.learns]
        if side.script is None or side.sizes == (224,):
            continue
        names = [name for name in SETS if measured.gap((name,), side.name, ours)]
        gap = measured.gap(names, side.name, ours) if names else None
        if gap:
            verdict = "yes" if gap.is_non_inferior else "not shown"
            where = "all four" if len(names) == len(SETS) else ", ".join(names)
            each = [_points_or_nothing(measured.gap((name,), side.name, ours)) for name in SETS]
            rows.append((f"{ours} minus {side.name}", where, str(gap.images), _points(gap), verdict, *each))
    if not rows:
        return ""
    header = ("", "sets", "images", "pooled, points", f"above -{100 * MARGIN:g}", *SETS)
    return f"### Accuracy differences, paired by image\n\n{_table(header, rows)}"


def _sides(epochs: int) -> str:
    listed = [
        _bullet(f"**{side.name}**: {side.says}" + (f" (`peers/{side.script}`)" if side.script else ""))
        for side in SIDES
    ]
    frozen = next(side for side in SIDES if side.epochs == "lightning").recipe("full", epochs).count("frozen")
    more = _prose(
        f"""Lightning releases the backbone after {frozen} of {epochs} epochs, as its documentation does, and after the
        same share of fewer. fastai's epochs are one of its own head and five of everything. vyntri's public interface
        takes none but its five torchvision networks with their own weights; ours are given to it by a private function
        of its, and its fixed preprocessing leaves it out at 128 px. All loaders but headstart's have two processes."""
    )
    return "\n".join(["### Sides", "", *listed, "", more])


def _notes(epochs: int) -> str:
    listed = [
        """Accuracies stand with Wilson's 95 % interval, several seeds averaged first. Differences take the last epoch
        unless said. The best epoch is selected on the test images themselves, as the tutorial does, which flatters.""",
        """Differences are paired: per image, the share of seeds that classified it correctly, ours minus theirs; 95 %
        interval over the images of all sets together, m ± 1.96 s / √n after adding half an image each at +1 and -1 and
        one at 0 (Agresti & Min, Statistics in Medicine 2005). It says nothing of other seeds where one was run.""",
        f"Non-inferior: the interval stays above -{100 * MARGIN:g} points.",
        f"""Extrapolated seconds: the process of two epochs, its epochs taken to {epochs} at the mean of the two. Where
        a recipe has frozen and released epochs, one of each was run and each kind counts for its own.""",
        "Files were read once before every measurement, so nobody waited for the disk.",
    ]
    return "\n".join(["### How to read it", "", *map(_bullet, listed)])
