"""Who is better and who is tied: variants in pairs, on the images and seeds that both answered.

Tests of a pair, two-sided:

- One seed, accuracy: McNemar's exact test; another metric: random signs over images. Both speak of these two trained
  networks. Of how another seed would have come out nothing is known, and the sentence says so.
- Several seeds: images and seeds are both chance (see `resampling`), so the verdict is about the two recipes. Two or
  three seeds find only differences that are large beside what seeds differ by.

All pairs of one call are a family, corrected by Holm: 5 % is the chance of any wrong verdict among them. The interval
of a pair is that of the pair alone, so it may leave out 0 where many pairs make the verdict a tie.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from headstart.experiments import resampling
from headstart.experiments.outcomes import BETTER, Estimate, Metric, Outcomes, estimate_of, mean_of, rows_of, strata_of
from headstart.experiments.resampling import LEVEL, Crossed, Floats, Ints, Spread

Verdict = Literal["a", "b", "tie"]
Role = Literal["select", "report"]

_UNSEEN_OF_PAIR = 1.0  # images, see `resampling.spread_of`
_UNIT: dict[Metric, str] = {
    "accuracy": "points",
    "balanced_accuracy": "points of balanced accuracy",
    "log_loss": "nats of log loss",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Two variants on what both answered, before anything is known of other pairs."""

    a: str
    b: str
    metric: Metric
    table: Crossed
    """Values of a minus those of b."""
    spread: Spread
    p_value: float

    @property
    def images(self) -> int:
        """Images that both answered in at least one seed."""
        return len(self.table.strata)

    @property
    def seeds(self) -> int:
        """Seeds in which they did."""
        return len(self.table.values)

    @property
    def gain(self) -> float:
        """How much better a is than b: > 0 better, < 0 worse, whatever the metric."""
        return self.table.mean * BETTER[self.metric]


@dataclass(frozen=True, slots=True)
class Pair:
    """The verdict on two variants; fields as in `pairs` of comparison.json."""

    a: str
    b: str
    on: Role
    difference: float
    """Metric of a minus that of b: shares -1..1, or nats (where less is better)."""
    interval: tuple[float, float]
    """95 %, of this pair alone."""
    images: int
    seeds: int
    p_value: float
    p_corrected: float
    verdict: Verdict
    further_images: int | None
    """How many more images would decide a tie; None where it is decided, or where images cannot decide it."""
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "interval": list(self.interval)}


@dataclass(frozen=True, slots=True)
class Choice:
    """The best variant on the images that choose; fields as in `chosen` of comparison.json."""

    variant: str
    on: Role
    why: str
    tied_with: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "tied_with": list(self.tied_with)}


def differences(pairs: Sequence[tuple[Outcomes, Outcomes]]) -> list[Difference | None]:
    """Each pair's difference with its own p-value, not corrected; None where no seed has an image of both.

    Raises:
        ValueError: metrics differ, or the classes of an image do.
    """
    everyone = list({id(side): side for pair in pairs for side in pair}.values())
    images = sorted(set().union(*(side.images for side in everyone)))
    rows = {id(side): rows_of(side, images) for side in everyone}
    strata = strata_of(everyone, images)
    shared = [_shared(rows[id(a)], rows[id(b)]) for a, b in pairs]
    tables = [None if both is None else _tables(both, strata) for both in shared]
    by_signs = _sign_p_values([pair[0].metric for pair in pairs], tables, shared, len(images))
    return [
        None if sides is None else _difference(pair, sides, by_signs.get(place))
        for place, (pair, sides) in enumerate(zip(pairs, tables, strict=True))
    ]


_Shared = tuple[Floats, Floats]
_Sides = tuple[Crossed, Crossed]


def _shared(rows_a: dict[int, Floats], rows_b: dict[int, Floats]) -> _Shared | None:
    """(S, N) values of both, NaN unless both answered; without seeds that have none."""
    seeds = [s for s in rows_a if s in rows_b and bool(np.isfinite(rows_a[s] + rows_b[s]).any())]
    if not seeds:
        return None
    a, b = (np.stack([rows[seed] for seed in seeds]) for rows in (rows_a, rows_b))
    return np.where(np.isnan(b), np.nan, a), np.where(np.isnan(a), np.nan, b)


def _tables(both: _Shared, strata: Ints) -> _Sides:
    kept = np.isfinite(both[0]).any(axis=0)
    dense = np.unique(strata[kept], return_inverse=True)[1].astype(np.int64)
    return resampling.crossed(both[0][:, kept], dense), resampling.crossed(both[1][:, kept], dense)


def _sign_p_values(
    metrics: Sequence[Metric], tables: Sequence[_Sides | None], shared: Sequence[_Shared | None], images: int
) -> dict[int, float]:
    """Place of each pair that is tested by signs -> its p-value; all of them share the flips."""
    places, contributions = [], []
    for place, (sides, both) in enumerate(zip(tables, shared, strict=True)):
        if sides and both and len(sides[0].values) == 1 and metrics[place] != "accuracy":
            row = np.zeros(images)
            row[np.isfinite(both[0][0])] = ((sides[0].values - sides[1].values) * sides[0].weights)[0]
            places.append(place)
            contributions.append(row)
    if not places:
        return {}
    return dict(zip(places, resampling.sign_flip_p_values(np.stack(contributions)).tolist(), strict=True))


def _difference(pair: tuple[Outcomes, Outcomes], sides: _Sides, by_signs: float | None) -> Difference:
    a, b = sides
    metric = pair[0].metric
    table = Crossed(a.values - b.values, a.weights, a.strata)
    spread = resampling.spread_of_difference(a, b, 0.0 if metric == "log_loss" else _UNSEEN_OF_PAIR)
    if by_signs is not None:
        p_value = by_signs
    elif len(a.values) == 1:
        p_value = resampling.mcnemar_p_value(int((table.values > 0).sum()), int((table.values < 0).sum()))
    else:
        p_value = resampling.crossed_p_value(table.mean, spread)
    return Difference(pair[0].variant, pair[1].variant, metric, table, spread, p_value)


def compare(variants: Sequence[Outcomes], on: Role) -> list[Pair]:
    """Every pair's verdict, in the order given; pairs without a common image in a common seed are left out.

    Args:
        variants: With unique names and one metric.
        on: The role of the images they answered.

    Raises:
        ValueError: a name occurs twice, metrics differ, or the classes of an image do.
    """
    names = [variant.variant for variant in variants]
    if len(set(names)) < len(names):
        raise ValueError(f"variants {names}; every name is expected once")
    found = [each for each in differences(list(itertools.combinations(variants, 2))) if each is not None]
    corrected, levels = resampling.holm([each.p_value for each in found])
    samples = resampling.pigeonhole([each.table for each in found])
    return [
        _pair(each, on, _interval(each, drawn), float(p), float(level), len(found))
        for each, drawn, p, level in zip(found, samples, corrected, levels, strict=True)
    ]


def _interval(of: Difference, samples: Floats) -> tuple[float, float]:
    """95 % interval of a difference; with several seeds the one whose test gave the p-value, so that both agree."""
    if len(of.table.values) == 1:
        return resampling.interval(of.table.mean, samples, of.spread)
    half = resampling.half_width(of.spread)
    return of.table.mean - half, of.table.mean + half


def _pair(
    of: Difference, on: Role, interval: tuple[float, float], p_corrected: float, level: float, family: int
) -> Pair:
    mean = of.table.mean
    if of.metric != "log_loss":
        interval = max(interval[0], -1.0), min(interval[1], 1.0)
    is_tie = p_corrected >= LEVEL or of.gain == 0
    further = resampling.further_images(mean, of.spread, of.images, level) if is_tie and mean else None
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
        sentence=_tie_sentence(of, interval, further, level, family) if is_tie else _better_sentence(of, interval),
    )


def _in_words(of: Difference, interval: tuple[float, float]) -> tuple[str, str, str, str]:
    """(the one ahead, the other, how far, the interval of how far), where > 0 means that the first is better."""
    scale, digits = (1.0, 3) if of.metric == "log_loss" else (100.0, 1)
    first, second = (of.a, of.b) if of.gain >= 0 else (of.b, of.a)
    turned = BETTER[of.metric] * (1 if of.gain >= 0 else -1)
    low, high = sorted(turned * end * scale + 0.0 for end in interval)
    span = f"({low:+.{digits}f} to {high:+.{digits}f})"
    return first, second, f"{abs(of.gain) * scale:.{digits}f} {_UNIT[of.metric]}", span


def _better_sentence(of: Difference, interval: tuple[float, float]) -> str:
    first, second, far, span = _in_words(of, interval)
    one_seed = "; with one seed each, so another seed may come out differently" if of.seeds == 1 else ""
    return f"{first} is better than {second} by {far} {span}{one_seed}"


def _tie_sentence(of: Difference, interval: tuple[float, float], further: int | None, level: float, family: int) -> str:
    first, second, far, span = _in_words(of, interval)
    many = f" once {family} pairs are corrected for" if of.p_value < LEVEL else ""
    if further is not None:
        way_out = f"about {_rounded(further):,} further images would tell them apart"
    elif of.table.mean and resampling.seeds_stand_in_the_way(of.table.mean, of.spread, level):
        way_out = "more images alone cannot tell them apart, because seeds differ too much: train more seeds"
    else:
        way_out = "no difference that a million further images would show"
    return f"{first} and {second} are tied{many}: {far} apart {span}; {way_out}"


def _rounded(count: int) -> int:
    """Two leading digits: more would promise what a forecast cannot keep."""
    unit: int = 10 ** max(len(str(count)) - 2, 0)
    return round(count / unit) * unit


def choose(variants: Sequence[Outcomes], pairs: Sequence[Pair], on: Literal["select"] = "select") -> Choice:
    """The variant with the best mean on the images that choose, and which others cannot be told from it.

    Of equal means the one named first.

    Args:
        variants: As given to `compare`; at least one.
        pairs: What `compare` said; those of images that report are passed over.
        on: The role of the images: those that report may not choose.

    Raises:
        ValueError: there is no variant.
    """
    if not variants:
        raise ValueError("no variant was measured; at least one is needed to choose")
    metric = variants[0].metric
    best = max(variants, key=lambda of: BETTER[metric] * mean_of(of))
    standing = _standing(best.variant, [pair for pair in pairs if pair.on == on])
    others = [of.variant for of in variants if of.variant != best.variant]
    named = {how: [name for name in others if standing.get(name) == how] for how in ("tie", "better", "worse", None)}
    beaten = f"all {len(others)} others" if len(named["better"]) == len(others) > 1 else ", ".join(named["better"])
    clauses = [
        f"{best.variant} has the best {metric.replace('_', ' ')} on the {len(best.images):,} images that choose, "
        f"{_level(estimate_of(best), metric)}, over {_seeds(best)}",
        f"beyond chance better than {beaten}" if beaten else "",
        f"it cannot be told from {', '.join(named['tie'])}" if named["tie"] else "",
        f"worse than {', '.join(named['worse'])} on what both answered" if named["worse"] else "",
        f"no image in common with {', '.join(named[None])}" if named[None] else "",
    ]
    return Choice(best.variant, on, "; ".join(filter(None, clauses)), tuple(named["tie"]))


def _standing(best: str, pairs: Sequence[Pair]) -> dict[str, Literal["better", "worse", "tie"]]:
    """Other variant -> how `best` stands to it."""
    found: dict[str, Literal["better", "worse", "tie"]] = {}
    for pair in pairs:
        if best in (pair.a, pair.b):
            other = pair.b if pair.a == best else pair.a
            winner = {"a": pair.a, "b": pair.b}.get(pair.verdict)
            found[other] = "tie" if winner is None else "better" if winner == best else "worse"
    return found


def _level(estimate: Estimate, metric: Metric) -> str:
    value, (low, high) = estimate.value, estimate.interval
    if metric == "log_loss":
        return f"{value:.3f} nats ({low:.3f} to {high:.3f})"
    return f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)"


def _seeds(of: Outcomes) -> str:
    return "1 seed" if len(of.by_seed) == 1 else f"{len(of.by_seed)} seeds"
