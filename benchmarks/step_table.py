"""Tables of step_rule.py: what each step gained and cost, and what rules would have trained, gained and spent."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from measured import Row, where
from paired import Z95, difference
from step_sets import SETS

from headstart.runs.training_events import StepDone
from headstart.training.checkpoint import Candidate
from headstart.training.steps.rounds import GiveUp, hopeless_above, level_at
from headstart.training.steps.rule import StepOutlook, why_not_worth_it

LEVEL = 0.05
Facts = dict[str, Any]
Begins = Literal["never", "for a trial", "always", "as its gain allows"]


@dataclass(frozen=True)
class StepRule:
    """A rule, as `headstart.training.steps.rule` could have it."""

    name: str
    deepest: int = 3
    """Steps at most."""
    after_selected: Begins = "always"
    after_refused: Begins = "never"
    """for a trial: only where it was the first step."""
    give_up: GiveUp = "no gain"
    """When deeper steps are given up."""
    unjudged: int = 0
    """Number of a step that is trained on all images in the end and taken whatever it gains; 0: none."""


CHOSEN = StepRule("headstart's", after_selected="as its gain allows", after_refused="for a trial", give_up="no trend")
RULES = (
    StepRule("probe only", deepest=0),
    StepRule("last_stages only", deepest=1),
    StepRule("on after each selected step"),
    StepRule("the same, deeper steps given up by their trend", give_up="no trend"),
    StepRule("the same, and a trial after the first if refused", after_refused="for a trial", give_up="no trend"),
    CHOSEN,
    StepRule("each step, whatever the one before gained", after_refused="always"),
    StepRule("last_stages only, then all layers without validation", deepest=1, unjudged=3),
)


@dataclass(frozen=True)
class Outcome:
    """What a rule did on one set and seed."""

    selected: int
    """Number of the step whose network it ends with; 0: the probe."""
    passes: float
    trained: int
    """Steps that began."""


def section(rows: Sequence[Row]) -> str:
    """Markdown: the steps, the rules, and where all was measured."""
    said = (
        "Written by `python benchmarks/step_rule.py --write`. EfficientNet-Lite0, whose steps train 37 %, 59 % and all "
        "of the MACs; small sets at 64 or 96 px. Every step was trained to its end whatever it gained, and its "
        "network, trained on all images, was evaluated on up to 500 test images, which decide nothing. It starts from "
        "the best candidate that was selected before it, and all differences are to that. p after one, two and three "
        "folds is that of the lead in log loss; a step is selected below 0.002, 0.018, 0.044. Passes: the cost of the "
        "step with all its folds and the training on all images, in forward passes of the whole network through the "
        "training images."
    )
    parts = ["## When a step of progressive tuning pays", "", *textwrap.wrap(said, 120), "", *step_lines(rows)]
    for part in ("set on", "checked on"):
        chosen = [row for row in rows if SETS[row["set"]].part == part]
        if chosen:
            parts += [
                "",
                f"Rules on the sets that the numbers were {part} ({len(chosen)} runs):",
                "",
                *rule_lines(chosen),
            ]
    return "\n".join([*parts, "", where()])


def step_lines(rows: Sequence[Row]) -> list[str]:
    """A line a set, seed and step."""
    lines = [
        "| set, seed | images | errors before | step | validation: log loss, points | p after 1, 2, 3 folds | selected "
        "| test: log loss, points | passes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for number in range(1, len(row["steps"])):
            step, before = row["steps"][number], _before(row, number)
            errors = len(before["correct"]) - sum(before["correct"])
            p_values = ", ".join(f"{p:.2g}" for p in _p_values(row, number))
            cells = [f"{row['set']}, {row['seed']}", str(row["train"]), str(errors), step["name"]]
            cells += [_gain(step, before), p_values, "yes" if step["selected"] else "no"]
            cells += [_gain(step["test"], before["test"]), f"{_passes(step, rounds=None):.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def rule_lines(rows: Sequence[Row]) -> list[str]:
    """A line a rule: what it ends with on the test images, and what it spends."""
    lines = [
        "| rule | steps trained | selected | test points over the probe | test log loss over the probe | passes |",
        "|---|---|---|---|---|---|",
    ]
    for rule in RULES:
        outcomes = [replayed(row, rule) for row in rows]
        ends = [row["steps"][outcome.selected]["test"] for row, outcome in zip(rows, outcomes, strict=True)]
        probes = [row["steps"][0]["test"] for row in rows]
        points = difference(
            *(np.concatenate([one["correct"] for one in side]).astype(float) for side in (ends, probes))
        )
        drop = np.concatenate([np.subtract(e["losses"], p["losses"]) for e, p in zip(ends, probes, strict=True)])
        half = Z95 * drop.std() / np.sqrt(len(drop))
        cells = [rule.name, str(sum(o.trained for o in outcomes)), str(sum(o.selected > 0 for o in outcomes))]
        cells += [f"{100 * points.mean:+.1f} ({100 * points.low:+.1f}..{100 * points.high:+.1f})"]
        cells += [f"{drop.mean():+.3f} ± {half:.3f}", f"{np.mean([o.passes for o in outcomes]):.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def replayed(row: Row, rule: StepRule) -> Outcome:
    """What the rule would have done.

    Where it selects otherwise than the run that was recorded, the steps behind would have started from other networks:
    there it ends.
    """
    best, passes, done, folds = 0, 0.0, list[StepDone](), None
    for number in range(1, 1 + min(rule.deepest, len(row["steps"]) - 1)):
        step, before = row["steps"][number], _before(row, number)
        if not _begins(rule, before, done, row["train"] if folds is None else _seen(row, number, folds)):
            break
        p_values = _p_values(row, number)[:folds]
        selected, rounds = _decided(p_values, rule.give_up if number > 1 else "no gain")
        passes += _passes(step, rounds=rounds, trained_on_all=selected)
        done.append(
            StepDone(
                step["name"],
                step["name"],
                before["name"],
                float(np.mean(step["losses"])),
                float(np.mean(before["losses"])),
                accuracy=0.0,
                accuracy_before=0.0,
                p_value=p_values[rounds - 1],
                selected=selected,
                images=_seen(row, number, rounds),
            )
        )
        if selected:
            best, folds = number, rounds
        if selected != step["selected"]:
            break
    if rule.unjudged and row["steps"][rule.unjudged]["before"] == row["steps"][best]["name"]:
        passes += _passes(row["steps"][rule.unjudged], rounds=0)
        return Outcome(rule.unjudged, passes, len(done) + 1)
    return Outcome(best, passes, len(done))


def _begins(rule: StepRule, before: Facts, done: Sequence[StepDone], images: int) -> bool:
    """Whether the rule begins another step."""
    errors = round((1 - np.mean(before["correct"])) * images)
    outlook = StepOutlook(errors, images, LEVEL)
    begins: Begins = "always"
    if done:
        begins = rule.after_selected if done[-1].selected else rule.after_refused
    if begins == "as its gain allows":
        outlook = replace(outlook, steps=done)
    elif begins == "for a trial" and len(done) > 1:
        begins = "never"
    return begins != "never" and not why_not_worth_it(outlook)


def _seen(row: Row, number: int, folds: int) -> int:
    """Images that the first folds of a step validate."""
    return sum(len(rows) for rows in row["steps"][number]["rounds"][:folds])


def _decided(p_values: Sequence[float], give_up: GiveUp) -> tuple[bool, int]:
    """(selected, rounds that it took)."""
    of = len(p_values)
    for looks, p_value in enumerate(p_values, start=1):
        if p_value < level_at(looks, of=of, significance_level=LEVEL):
            return True, looks
        trend = hopeless_above(looks, of=of, significance_level=LEVEL)
        if p_value > (trend if give_up == "no trend" else 0.5):
            return False, looks
    return False, of


def _before(row: Row, number: int) -> Facts:
    """What a step started from."""
    name = row["steps"][number]["before"]
    found: Facts = next(step for step in row["steps"] if step["name"] == name)
    return found


def _p_values(row: Row, number: int) -> list[float]:
    """P-values of a step after each of its folds."""
    step, before, seen, found = row["steps"][number], _before(row, number), [], []
    for rows in step["rounds"]:
        seen += rows
        ours, theirs = (
            Candidate("x", np.array(one["correct"], bool)[seen], np.array(one["losses"])[seen], {})
            for one in (step, before)
        )
        found.append(ours.loss_p_value_against(theirs))
    return found


def _gain(ours: Facts, theirs: Facts) -> str:
    """`-0.120, +2.3`: log loss and points."""
    points = 100 * (np.mean(ours["correct"]) - np.mean(theirs["correct"]))
    return f"{np.mean(ours['losses']) - np.mean(theirs['losses']):+.3f}, {points:+.1f}"


def _passes(step: Facts, *, rounds: int | None, trained_on_all: bool = True) -> float:
    """Cost of a step in forward passes of the whole network through the training images; a backward pass counts two.

    Args:
        step: As recorded.
        rounds: Folds that were trained; None: all.
        trained_on_all: Whether the training on all images followed.
    """
    folds = len(step["rounds"])
    trainings = (folds if rounds is None else rounds) * (1 - 1 / folds) + trained_on_all
    cached = (step["views"] + 1) * (1 - step["share"]) if step["views"] else 0.0
    return cached + float(3 * step["share"] * step["epochs"] * trainings)
