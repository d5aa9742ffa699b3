"""The tables of tuning_recipe.py: recipes and depths against the linear probe, and ways to decide between them."""

from __future__ import annotations

import itertools
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from measured import Row, where
from paired import Z95, difference

from headstart.measures.metrics import paired_p_value

PROBE, BASE, DECISION = "probe", "base", "decision"
TITLES = {
    "end": "end",
    "average": "mean of 3 epochs",
    "half": "half-way to the end",
    "average half": "half-way to the mean",
}
SIGNIFICANT = 0.05

SHOWN = ("end", "average")
"""Points of all recipes but the base, and those that decisions are shown for."""

Values = npt.NDArray[np.float64]
Rule = Literal["errors and log loss", "log loss"]
"""Fewer errors and a lower log loss with p < 0.05, or the latter alone."""
CellKey = tuple[str, int]
"""Set and seed."""


@dataclass(frozen=True)
class Answers:
    """What one point of a training answered for the same images as the others of its set and seed."""

    correct: Values
    losses: Values

    @classmethod
    def of(cls, found: Mapping[str, Sequence[float]], truth: Sequence[int]) -> Answers:
        """From a row."""
        correct = (np.asarray(found["predicted"]) == np.asarray(truth)).astype(np.float64)
        return cls(correct, np.asarray(found["losses"], np.float64))

    def accepted_over(self, probe: Answers, rule: Rule) -> bool:
        """Whether the rule lets it replace the probe."""
        fewer = self.correct.sum() > probe.correct.sum()
        significant = paired_p_value(probe.losses, self.losses) < SIGNIFICANT
        return bool(significant and (fewer or rule == "log loss"))


Table = dict[tuple[str, str], dict[CellKey, Answers]]
"""(variant, point) -> answers of each set and seed on the test images."""


def section(rows: Sequence[Row], size: int) -> str:
    """Markdown: recipes, depths, decisions, the recipes at other sizes, and where all was measured."""
    of_size = [row for row in rows if row["size"] == size]
    table, seconds = _tables(of_size)
    said = (
        f"Written by `python benchmarks/tuning_recipe.py --decisions --write`. EfficientNet-Lite0 at {size} "
        "px, the stages named, on cached activations from the linear probe; 60 training images a class of "
        "rsscn7 and chest_xray (by patient), 50 of cifar10, all 244 of hymenoptera, drawn anew by each seed; "
        "up to 600 test images, which choose nothing. Base: the last two stages and the head by AdamW at "
        "1e-3, a rise over two epochs and cosine, 8 epochs on 4 cached views, batches of 32, the head fitted "
        "on the plain and one augmented view first. Log loss: each at its best temperature. Seconds: CPU "
        "seconds of the steps, one thread. Intervals: 95 %, paired by image, over all sets and seeds. The "
        "base was chosen by this table: its lead over other recipes is optimistic, and recipes with one or "
        "two sets and seeds say little."
    )
    parts = ["## How a suffix is tuned", "", *textwrap.wrap(said, 120), "", *recipe_lines(table, seconds)]
    parts += ["", *depth_lines(table)]
    decided = [row for row in of_size if row["variant"] == DECISION]
    if decided:
        parts += ["", *decision_lines(decided, table)]
    for other in sorted({row["size"] for row in rows} - {size}):
        lines = recipe_lines(*_tables([row for row in rows if row["size"] == other]))
        parts += ["", f"Recipes at {other} px:", "", *lines]
    return "\n".join([*parts, "", where()])


def _tables(rows: Sequence[Row]) -> tuple[Table, dict[str, list[float]]]:
    """(answers, seconds of the steps by variant)."""
    table: Table = defaultdict(dict)
    seconds: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for point, found in row["points"].items():
            table[row["variant"], point][row["set"], row["seed"]] = Answers.of(found, row["truth"])
        seconds[row["variant"]].append(row["seconds"])
    return table, seconds


def _gain(ours: Mapping[CellKey, Answers], theirs: Mapping[CellKey, Answers]) -> tuple[str, str, int] | None:
    """(points, log loss, cells) of the sets and seeds that both have: mean with its interval."""
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        return None
    d = difference(*(np.concatenate([side[key].correct for key in shared]) for side in (ours, theirs)))
    drop = np.concatenate([ours[key].losses - theirs[key].losses for key in shared])
    half = Z95 * drop.std() / np.sqrt(len(drop))
    points = f"{100 * d.mean:+.1f} ({100 * d.low:+.1f}..{100 * d.high:+.1f})"
    return points, f"{drop.mean():+.3f} ± {half:.3f}", len(shared)


def recipe_lines(table: Table, seconds: Mapping[str, Sequence[float]]) -> list[str]:
    """A line a recipe and point: against the probe, and against the end of the base."""
    lines = [
        "| recipe | weights | sets and seeds | points over the probe | log loss over the probe "
        "| points over the base | log loss over the base | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (variant, point), found in table.items():
        over_probe, over_base = _gain(found, table[PROBE, "end"]), _gain(found, table[BASE, "end"])
        shown = TITLES if variant == BASE else SHOWN
        if variant == PROBE or point not in shown or over_probe is None:
            continue
        cells = [variant, TITLES[point], str(over_probe[2]), *over_probe[:2]]
        cells += list(over_base[:2]) if over_base and (variant, point) != (BASE, "end") else ["", ""]
        lines.append(f"| {' | '.join(cells)} | {np.mean(seconds[variant]):.0f} |")
    return lines


def depth_lines(table: Table) -> list[str]:
    """Test accuracy of each set by what is trained, at the end and half-way."""
    depths = [PROBE, "last stage only at 5e-4", "last stage only", BASE, "last three stages"]
    sets = sorted({name for name, _ in table[PROBE, "end"]})
    lines = ["| set | " + " | ".join(depths) + " |", "|---|" + "---|" * len(depths)]
    for name in sets:
        cells = []
        for variant in depths:
            shown = []
            for point in ("end", "half"):
                found = [a for key, a in table[variant, point].items() if key[0] == name]
                if found:
                    mean, loss = (np.mean([getattr(a, of).mean() for a in found]) for of in ("correct", "losses"))
                    shown.append(f"{mean:.3f} [{loss:.3f}]")
            cells.append(", half-way ".join(shown))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return ["Test accuracy [log loss], mean over seeds:", "", *lines]


@dataclass(frozen=True)
class Way:
    """A way to decide between the probe and the tuned suffix."""

    title: str
    decided: str | None
    """Validation answers of the suffix: `fifth POINT` or `folds POINT`; None: always tuned."""
    rule: Rule
    weights: tuple[str, str]
    """Variant and point that are taken where it is accepted."""

    def accepts(self, validated: Mapping[str, Answers]) -> bool:
        """Whether the suffix replaces the probe."""
        if self.decided is None:
            return True
        return validated[self.decided].accepted_over(validated[f"{self.decided.split()[0]} probe"], self.rule)


def ways() -> Iterator[Way]:
    """All that are compared."""
    for point in SHOWN:
        yield Way(f"always; trained on all, {TITLES[point]}", None, "log loss", (BASE, point))
    for rule, point in itertools.product(get_args(Rule), SHOWN):
        title, fifth, folds = TITLES[point], f"fifth {point}", f"folds {point}"
        yield Way(f"held-out fifth, {rule}; its model, {title}", fifth, rule, (DECISION, fifth))
        yield Way(f"held-out fifth, {rule}; trained again on all, {title}", fifth, rule, (BASE, point))
        yield Way(f"out of fold, {rule}; trained again on all, {title}", folds, rule, (BASE, point))
        yield Way(f"out of fold, {rule}; mean of the folds' weights, {title}", folds, rule, (DECISION, f"soup {point}"))


def decision_lines(decided: Sequence[Row], table: Table) -> list[str]:
    """What each way to decide would have given on the test images."""
    validated = {(row["set"], row["seed"]): _validated(row) for row in decided}
    lines = [
        "| decision; weights | accepted | right | points over the probe | log loss over the probe |",
        "|---|---|---|---|---|",
    ]
    probe = table[PROBE, "end"]
    for way in ways():
        ours = table[way.weights]
        keys = [
            key for key, found in validated.items() if key in ours and (way.decided is None or way.decided in found)
        ]
        if not keys:
            continue
        taken = {key: way.accepts(validated[key]) for key in keys}
        outcome = {key: ours[key] if taken[key] else probe[key] for key in keys}
        right = [taken[key] == (ours[key].losses.mean() < probe[key].losses.mean()) for key in keys]
        gain = _gain(outcome, probe)
        assert gain is not None
        counts = f"{sum(taken.values())} of {len(keys)} | {sum(right)} of {len(keys)}"
        lines.append(f"| {way.title} | {counts} | {gain[0]} | {gain[1]} |")
    return [
        "Right: accepted where its log loss on the test images is lower than the probe's, and only there.",
        "",
        *lines,
    ]


def _validated(row: Row) -> dict[str, Answers]:
    """Answers on the validation images of a decided row: those of the held-out fifth, or all training images."""
    labels = np.array(row["labels"])
    fifth = labels[np.array(row["fold"]) == 0]
    return {
        name: Answers.of(found, (fifth if name.startswith("fifth") else labels).tolist())
        for name, found in row["validated"].items()
    }
