"""Schedule of trials: all of them at once, or round by round with successive halving."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headstart.comparison.grid import GridPlan, Trial, Variant, repeats_of, rung_sizes, trials_of

ValuesOf = Callable[[Sequence[Trial]], Mapping[str, float | None]]
"""Variant -> validation metric in one round, larger is better; None if it failed.

Called with all trials of the round, because only metrics on the same images can be compared.
"""


@dataclass(frozen=True)
class TrialSchedule:
    """The trials that are known so far, in the order of running."""

    trials: tuple[Trial, ...]
    dropped: dict[str, float]
    """Dropped variants -> share of the training images on which they were trained."""
    to_come: int
    """Number of trials of later rounds, whose variants are not known yet."""


def schedule(plan: GridPlan, *, has_ended: Callable[[Trial], bool], values_of: ValuesOf) -> TrialSchedule:
    """Trials of a comparison; with successive halving, those of the rounds whose variants are known.

    A round of few images runs with the first seed (and fold) only; the last, on all images, with all of them. Failed
    variants are dropped first. The schedule depends only on the results of earlier trials, so a resume finds the same.

    Args:
        plan: What is compared.
        has_ended: Whether a trial has ended.
        values_of: Validation metrics of the trials of a round, which have all ended.
    """
    variants = plan.variants()
    if plan.halving == "none":
        return TrialSchedule(tuple(trials_of(variants, plan.seeds, plan.folds)), {}, 0)
    known: list[Trial] = []
    last_round: list[Trial] = []
    dropped: dict[str, float] = {}
    rungs, repeats = rung_sizes(len(variants)), repeats_of(plan.seeds, plan.folds)
    for index, (share, places) in enumerate(rungs):
        variants, lost = _best(variants, places, last_round, values_of)
        dropped |= {variant.name: rungs[index - 1][0] for variant in lost}
        last_round = [
            Trial(len(known) + number, variant, seed, share, fold)
            for number, ((seed, fold), variant) in enumerate(
                itertools.product(repeats if share == 1.0 else repeats[:1], variants), start=1
            )
        ]
        known += last_round
        if not all(map(has_ended, last_round)):
            left = [places * (len(repeats) if later == 1.0 else 1) for later, places in rungs[index + 1 :]]
            return TrialSchedule(tuple(known), dropped, sum(left))
    return TrialSchedule(tuple(known), dropped, 0)


def limit_of_share(share: float, *, limit: str | None, images: int, most_of_a_class: int) -> str:
    """Value of `--limit-train` for a share of the training images.

    Args:
        share: Of the training images, above 0 and at most 1.
        limit: The limit of the whole comparison, such as 100/class.
        images: Number of training images.
        most_of_a_class: Number of images of the largest class.
    """
    per_class = limit is not None and limit.endswith("/class")
    count = max(1, round((most_of_a_class if per_class else images) * share))
    return f"{count}/class" if per_class else str(count)


def _best(
    variants: Sequence[Variant], places: int, last_round: Sequence[Trial], values_of: ValuesOf
) -> tuple[list[Variant], list[Variant]]:
    """(variants that continue, dropped variants) by the last round, in the order of the plan."""
    if not last_round:
        return list(variants), []
    values = values_of(last_round)
    ranked = sorted(variants, key=lambda variant: (values[variant.name] is None, -(values[variant.name] or 0.0)))
    remaining = {variant.name for variant in ranked[:places]}
    return [v for v in variants if v.name in remaining], [v for v in variants if v.name not in remaining]
