"""Tables of step_rule.py: what each step gained and cost, and what rules would have trained, gained and spent."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from measured import Row, where
from paired import Z95, difference
from step_sets import SETS

from headstart.training.checkpoint import Candidate
from headstart.training.steps.rounds import level_at
from headstart.training.steps.rule import fewest_errors

LEVEL = 0.05
Facts = dict[str, Any]
Futility = Literal["p above 0.5", "the trend"]
Deeper = Literal["never", "one trial", "always"]


@dataclass(frozen=True)
class StepRule:
    """A rule, as `headstart.training.steps.rule` could have it."""

    name: str
    deepest: int = 3
    """Steps at most."""
    after_refusal: Deeper = "never"
    """Whether a step follows one that was not selected: at most one, which ends after a fold that shows nothing."""
    first_step: Futility = "p above 0.5"
    """When the first step is given up before its last fold."""
    deeper_steps: Futility = "p above 0.5"
    fewest_images: int = 0
    """Of a set that is trained beyond `most_stages`."""


RULES = (
    StepRule("probe only", deepest=0),
    StepRule("last_stages only", deepest=1),
    StepRule("as before: on after a selected step only"),
    StepRule("the same; deeper steps given up by the trend", deeper_steps="the trend"),
    StepRule("one trial after a refusal", after_refusal="one trial"),
    StepRule(
        "one trial after a refusal; deeper steps by the trend", after_refusal="one trial", deeper_steps="the trend"
    ),
    StepRule(
        "the same, all steps by the trend", after_refusal="one trial", first_step="the trend", deeper_steps="the trend"
    ),
    StepRule("every step; deeper ones by the trend", after_refusal="always", deeper_steps="the trend"),
    StepRule("every step", after_refusal="always"),
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

    A step that it gives up sooner than headstart did may leave later steps with another start than was recorded; then
    it ends there.
    """
    best, passes, trained, refused = 0, 0.0, 0, 0
    for number in range(1, 1 + min(rule.deepest, len(row["steps"]) - 1)):
        step, before = row["steps"][number], _before(row, number)
        errors = len(before["correct"]) - sum(before["correct"])
        trials = {"never": 0, "one trial": 1, "always": 3}[rule.after_refusal]
        if errors < fewest_errors(LEVEL) or refused > trials:
            break
        if number == 3 and row["train"] < rule.fewest_images:
            break
        trained += 1
        futility = rule.first_step if number == 1 else rule.deeper_steps
        selected, rounds = _decided(_p_values(row, number), futility)
        passes += _passes(step, rounds=rounds, trained_on_all=selected)
        if selected != step["selected"]:
            break
        best, refused = (number, 0) if selected else (best, refused + 1)
    return Outcome(best, passes, trained)


def _decided(p_values: Sequence[float], futility: Futility) -> tuple[bool, int]:
    """(selected, rounds that it took)."""
    of = len(p_values)
    final = NormalDist().inv_cdf(1 - level_at(of, of=of, significance_level=LEVEL))
    for looks, p_value in enumerate(p_values, start=1):
        if p_value < level_at(looks, of=of, significance_level=LEVEL):
            return True, looks
        hopeless = 0.5
        if futility == "the trend":
            hopeless = 1 - NormalDist().cdf(final * (looks / of) ** 0.5)
        if p_value > hopeless:
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
