"""Verdicts on pairs of variants: better or tied, on the images and seeds that both have.

Tests of a pair, two-sided:

- One seed, accuracy: McNemar's exact test; another metric, or images in groups: random signs over images or groups.
  Both hold for these two trained networks. They do not hold for other seeds, and the sentence says so.
- Folds: each is a row with images of its own, and differences are formed fold by fold. A row stands for one training,
  as with seeds, so the verdict is about the two recipes too.
- Several seeds: images and seeds are both random (see `seed_variance`), so the verdict is about the two recipes. Two
  or three seeds find only differences that are large compared with those between seeds.

Validation metrics that were obtained in different ways (out of fold, held out) are not paired.

All pairs of one call are a family, corrected by Holm: 5 % is the chance of any wrong verdict among them. The interval
of a pair is that of the pair alone, so it may leave out 0 where many pairs make the verdict a tie.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from headstart.arrays import Doubles
from headstart.comparison.grid import Metric
from headstart.comparison.outcomes import BETTER, Outcomes, Repeats, groups_of, strata_of, values_by_seed
from headstart.measures import paired
from headstart.measures.paired import Crossed, Ints
from headstart.measures.seed_variance import (
    ENOUGH_SEEDS,
    MOST_TIMES_THE_IMAGES,
    SIGNIFICANCE_LEVEL,
    Spread,
    crossed_p_value,
    further_images,
    half_width,
    is_wide_by_seeds,
    seeds_prevent_a_verdict,
)

Verdict = Literal["a", "b", "tie"]
Role = Literal["validation", "test"]

_UNSEEN_OF_PAIR = 1.0  # images, see `resampling.spread_of`
_UNIT: dict[Metric, str] = {
    "accuracy": "points",
    "balanced_accuracy": "points of balanced accuracy",
    "log_loss": "nats of log loss",
}


@dataclass(frozen=True, slots=True)
class PairDifference:
    """Difference of two variants on their common images and seeds, not corrected for other pairs."""

    a: str
    b: str
    metric: Metric
    table: Crossed
    """Values of a minus those of b."""
    spread: Spread
    p_value: float
    repeats: Repeats = "seeds"
    """What the rows of the table are."""

    @property
    def images(self) -> int:
        """Number of images that both have in at least one seed."""
        return len(self.table.strata)

    @property
    def seeds(self) -> int:
        """Number of common seeds."""
        return len(self.table.values)

    @property
    def gain(self) -> float:
        """Gain of a over b: > 0 if a is better, < 0 if worse, for every metric."""
        return self.table.mean * BETTER[self.metric]


@dataclass(frozen=True, slots=True)
class Pair:
    """Verdict on two variants; fields as in `pairs` of comparison.json."""

    a: str
    b: str
    on: Role
    difference: float
    """Metric of a minus that of b: shares -1..1, or nats (where less is better)."""
    interval: tuple[float, float]
    """95 % interval, of this pair alone."""
    images: int
    seeds: int
    p_value: float
    p_corrected: float
    verdict: Verdict
    further_images: int | None
    """Number of further images that would decide a tie; None where there is none, or where images cannot decide it."""
    sentence: str
    by_seed: tuple[float, ...] = ()
    """The difference in each seed, in the order of the seeds' numbers."""
    seeds_needed: int | None = None
    """Number of seeds to use where too few make the interval too wide; None where they are enough."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "interval": list(self.interval), "by_seed": list(self.by_seed)}


def differences(pairs: Sequence[tuple[Outcomes, Outcomes]]) -> list[PairDifference | None]:
    """Differences of the pairs with uncorrected p-values; None where they share no image in any seed.

    Raises:
        ValueError: metrics differ, or the classes of an image do.
    """
    everyone = list({id(side): side for pair in pairs for side in pair}.values())
    images = sorted(set().union(*(side.images for side in everyone)))
    rows = {id(side): values_by_seed(side, images) for side in everyone}
    strata, groups = strata_of(everyone, images), groups_of(everyone, images)
    shared = [_shared(rows[id(a)], rows[id(b)]) for a, b in pairs]
    tables = [None if both is None else _tables(both, strata, groups) for both in shared]
    by_signs = _sign_p_values([pair[0].metric for pair in pairs], tables, shared, len(images))
    return [
        None if sides is None else _difference(pair, sides, by_signs.get(place))
        for place, (pair, sides) in enumerate(zip(pairs, tables, strict=True))
    ]


_Shared = tuple[Doubles, Doubles]
_Sides = tuple[Crossed, Crossed]


def _shared(rows_a: dict[int, Doubles], rows_b: dict[int, Doubles]) -> _Shared | None:
    """(S, N) values of both, NaN unless both have one; without seeds that have none."""
    seeds = [s for s in rows_a if s in rows_b and bool(np.isfinite(rows_a[s] + rows_b[s]).any())]
    if not seeds:
        return None
    a, b = (np.stack([rows[seed] for seed in seeds]) for rows in (rows_a, rows_b))
    return np.where(np.isnan(b), np.nan, a), np.where(np.isnan(a), np.nan, b)


def _tables(both: _Shared, strata: Ints, groups: Ints | None) -> _Sides:
    common = np.isfinite(both[0]).any(axis=0)
    dense = np.unique(strata[common], return_inverse=True)[1].astype(np.int64)
    together = None if groups is None else groups[common]
    a, b = (paired.crossed(side[:, common], dense, together) for side in both)
    return a, b


def _sign_p_values(
    metrics: Sequence[Metric], tables: Sequence[_Sides | None], shared: Sequence[_Shared | None], images: int
) -> dict[int, float]:
    """Index of each pair tested by random signs -> its p-value; all pairs share the signs. A group has one sign."""
    places, contributions = [], []
    for place, (sides, both) in enumerate(zip(tables, shared, strict=True)):
        if not sides or not both or len(sides[0].values) > 1:
            continue
        groups = sides[0].groups
        if metrics[place] != "accuracy" or groups is not None:
            values = (sides[0].values - sides[1].values) * sides[0].weights
            row = np.zeros(images)
            if groups is None:
                row[np.isfinite(both[0][0])] = values[0]
            else:
                summed = paired.by_group(values, groups)[0]
                row[: len(summed)] = summed
            places.append(place)
            contributions.append(row)
    if not places:
        return {}
    return dict(zip(places, paired.sign_flip_p_values(np.stack(contributions)).tolist(), strict=True))


def _difference(pair: tuple[Outcomes, Outcomes], sides: _Sides, by_signs: float | None) -> PairDifference:
    a, b = sides
    metric = pair[0].metric
    table = Crossed(a.values - b.values, a.weights, a.strata, a.groups)
    spread = paired.spread_of_difference(a, b, 0.0 if metric == "log_loss" else _UNSEEN_OF_PAIR)
    if by_signs is not None:
        p_value = by_signs
    elif len(a.values) == 1:
        p_value = paired.mcnemar_p_value(int((table.values > 0).sum()), int((table.values < 0).sum()))
    else:
        p_value = crossed_p_value(table.mean, spread)
    return PairDifference(pair[0].variant, pair[1].variant, metric, table, spread, p_value, pair[0].repeats)


def compare_pairs(variants: Sequence[Outcomes], on: Role) -> list[Pair]:
    """Verdicts on all pairs, in the order given.

    Pairs without a common image in a common seed, and pairs validated in different ways, are left out.

    Args:
        variants: With unique names and one metric.
        on: Role of the images.

    Raises:
        ValueError: a name occurs twice, metrics differ, or the classes of an image do.
    """
    names = [variant.variant for variant in variants]
    if len(set(names)) < len(names):
        raise ValueError(f"variants {names}; every name is expected once")
    alike = [(a, b) for a, b in itertools.combinations(variants, 2) if a.method == b.method]
    found = [each for each in differences(alike) if each is not None] if alike else []
    corrected, levels = paired.holm([each.p_value for each in found])
    samples = paired.pigeonhole([each.table for each in found])
    return [
        _pair(each, on, _interval(each, drawn), float(p), float(level), len(found))
        for each, drawn, p, level in zip(found, samples, corrected, levels, strict=True)
    ]


def _interval(of: PairDifference, samples: Doubles) -> tuple[float, float]:
    """95 % interval of a difference; with several seeds the one whose test gave the p-value, so that both agree."""
    if len(of.table.values) == 1:
        return paired.interval(of.table.mean, samples, of.spread)
    half = half_width(of.spread)
    return of.table.mean - half, of.table.mean + half


def _pair(
    of: PairDifference, on: Role, interval: tuple[float, float], p_corrected: float, level: float, family: int
) -> Pair:
    mean = of.table.mean
    if of.metric != "log_loss":
        interval = max(interval[0], -1.0), min(interval[1], 1.0)
    is_tie = p_corrected >= SIGNIFICANCE_LEVEL or of.gain == 0
    few = is_wide_by_seeds(of.spread) or (is_tie and _seeds_decide(of, level) and of.seeds < ENOUGH_SEEDS)
    needed = ENOUGH_SEEDS if few else None
    can_tell = is_tie and mean and not needed
    further = further_images(mean, of.spread, of.images, level) if can_tell else None
    return Pair(
        a=of.a,
        b=of.b,
        on=on,
        difference=mean,
        interval=interval,
        images=of.images,
        seeds=of.seeds,
        p_value=of.p_value,
        p_corrected=p_corrected,
        verdict="tie" if is_tie else "a" if of.gain > 0 else "b",
        further_images=further,
        sentence=_tie_sentence(of, interval, further, level, family, needed)
        if is_tie
        else _better_sentence(of, interval, needed),
        by_seed=tuple(map(float, of.table.seed_means)),
        seeds_needed=needed,
    )


def _in_words(of: PairDifference, interval: tuple[float, float]) -> tuple[str, str, str, str]:
    """(better variant, other variant, difference, its interval) as text; > 0 means that the first is better."""
    scale, digits = (1.0, 3) if of.metric == "log_loss" else (100.0, 1)
    first, second = (of.a, of.b) if of.gain >= 0 else (of.b, of.a)
    turned = BETTER[of.metric] * (1 if of.gain >= 0 else -1)
    low, high = sorted(turned * end * scale + 0.0 for end in interval)
    span = f"({low:+.{digits}f} to {high:+.{digits}f})"
    return first, second, f"{abs(of.gain) * scale:.{digits}f} {_UNIT[of.metric]}", span


def _seeds_decide(of: PairDifference, level: float) -> bool:
    """Whether only more seeds could decide: the estimated seed effect is larger than the difference."""
    return bool(of.table.values.any() and of.table.mean) and seeds_prevent_a_verdict(of.table.mean, of.spread, level)


def _better_sentence(of: PairDifference, interval: tuple[float, float], needed: int | None) -> str:
    first, second, far, span = _in_words(of, interval)
    doubt = "; one seed each: another seed may give another result" if of.seeds == 1 else ""
    if needed is not None:
        doubt = f"; too few {of.repeats} to say by how much: use {needed}"
    return f"{first} is better than {second} by {far} {span}{doubt}"


def _tie_sentence(
    of: PairDifference,
    interval: tuple[float, float],
    further: int | None,
    level: float,
    family: int,
    needed: int | None,
) -> str:
    first, second, far, span = _in_words(of, interval)
    many = f" once {family} pairs are corrected for" if of.p_value < SIGNIFICANCE_LEVEL else ""
    if not of.table.values.any():
        way_out = f"they are equal on all {of.images:,} images"
    elif needed is not None:
        way_out = f"too few {of.repeats}: use {needed}"
    elif further is not None:
        way_out = f"about {_rounded(further):,} further images would decide"
    elif _seeds_decide(of, level):
        way_out = f"more images alone cannot decide, because results differ too much between {of.repeats}: "
        way_out += "train more seeds"
    else:
        way_out = f"even {MOST_TIMES_THE_IMAGES} times as many images would not decide"
    return f"{first} and {second} are tied{many}: {far} apart {span}; {way_out}"


def _rounded(count: int) -> int:
    """Count rounded to two digits: the estimate is no more precise."""
    unit: int = 10 ** max(len(str(count)) - 2, 0)
    return round(count / unit) * unit
