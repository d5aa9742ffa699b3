"""Which trials there are: all of them at once, or round by round where successive halving drops the weaker half."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headstart.comparison.grid import GridPlan, Trial, Variant, rung_sizes, trials_of

ValuesOf = Callable[[Sequence[Trial]], Mapping[str, float | None]]
"""Variant -> how good it was in one round on the images that choose, larger is better; None if it failed.

Of all trials of the round at once: what one variant answered says little beside the answers of another to other images.
"""


@dataclass(frozen=True)
class Schedule:
    """The trials that are known so far, in the order of running."""

    trials: tuple[Trial, ...]
    dropped: dict[str, float]
    """Variants that left the race -> share of the training images that they had learned from."""
    to_come: int
    """Trials of later rounds, which are not known yet."""


def schedule(plan: GridPlan, *, has_ended: Callable[[Trial], bool], values_of: ValuesOf) -> Schedule:
    """The trials of a comparison; of successive halving those of the rounds whose variants are settled.

    A round of few images runs with the first seed only; the last, on all images, with all seeds. What failed is dropped
    first. The answer depends only on how the trials before ended, so a resume finds the same.

    Args:
        plan: What is compared.
        has_ended: Whether a trial has ended.
        values_of: Of the trials of a round, which have all ended.
    """
    variants = plan.variants()
    if plan.halving == "none":
        return Schedule(tuple(trials_of(variants, plan.seeds)), {}, 0)
    known: list[Trial] = []
    last_round: list[Trial] = []
    dropped: dict[str, float] = {}
    rungs = rung_sizes(len(variants))
    for index, (share, places) in enumerate(rungs):
        variants, lost = _best(variants, places, last_round, values_of)
        dropped |= {variant.name: rungs[index - 1][0] for variant in lost}
        seeds = plan.seeds if share == 1.0 else plan.seeds[:1]
        last_round = [
            Trial(len(known) + number, variant, seed, share)
            for number, (seed, variant) in enumerate(
                ((seed, variant) for seed in seeds for variant in variants), start=1
            )
        ]
        known += last_round
        if not all(map(has_ended, last_round)):
            left = [(places, plan.seeds if later == 1.0 else plan.seeds[:1]) for later, places in rungs[index + 1 :]]
            return Schedule(tuple(known), dropped, sum(count * len(seeds) for count, seeds in left))
    return Schedule(tuple(known), dropped, 0)


def limit_of_share(share: float, *, limit: str | None, images: int, most_of_a_class: int) -> str:
    """`--limit-train` for a share of the training images.

    Args:
        share: Of the training images, above 0 and at most 1.
        limit: The limit of the whole comparison, such as 100/class.
        images: Training images that there are.
        most_of_a_class: Of the largest class.
    """
    per_class = limit is not None and limit.endswith("/class")
    count = max(1, round((most_of_a_class if per_class else images) * share))
    return f"{count}/class" if per_class else str(count)


def _best(
    variants: Sequence[Variant], places: int, last_round: Sequence[Trial], values_of: ValuesOf
) -> tuple[list[Variant], list[Variant]]:
    """(those that go on, those that do not), judged by the last round; in the order of the plan."""
    if not last_round:
        return list(variants), []
    values = values_of(last_round)
    ranked = sorted(variants, key=lambda variant: (values[variant.name] is None, -(values[variant.name] or 0.0)))
    chosen = {variant.name for variant in ranked[:places]}
    return [v for v in variants if v.name in chosen], [v for v in variants if v.name not in chosen]
