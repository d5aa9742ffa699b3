"""Recommended variant, by validation images: the best one, or the cheapest where several tie with the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from headstart.comparison.grid import Metric
from headstart.comparison.identical import Entry
from headstart.comparison.outcomes import BETTER, Estimate, Outcomes, VariantMetrics, estimate_of, mean_of
from headstart.comparison.verdicts import Pair

_AS_QUICK = 1.1
"""Training times that differ by less than this factor count as equal: parameters decide."""
_MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class VariantCost:
    """Cost of a variant; None if unknown."""

    seconds: float | None = None
    """Training time of its quickest trial: the first one of a network also computes features that others reuse."""
    parameters: int | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Recommended variant; fields as in `chosen` of comparison.json."""

    variant: str
    on: Literal["validation"]
    why: str
    tied_with: tuple[str, ...]
    headline: str
    """Result in a sentence: which variant is better, or that no difference is significant."""
    best: str
    """Variant with the best validation metric, which may be chance."""
    not_ranked: tuple[str, ...] = ()
    """Variants that were validated in another way, so that they are not compared with the others."""
    test: VariantMetrics | None = None
    """Its metrics on the test images, which had no part in the choice; None where there are none."""


def recommend(
    variants: Sequence[Outcomes],
    pairs: Sequence[Pair],
    costs: Mapping[str, VariantCost] | None = None,
    entries: Sequence[Entry] = (),
) -> Recommendation:
    """Recommended variant: the cheapest among those not significantly worse than the best.

    Variants that were validated in another way than most are not ranked.

    Args:
        variants: As given to `compare_pairs`; at least one.
        pairs: Verdicts of `compare_pairs`; those on test images are ignored.
        costs: Variant -> its cost; without costs the best metric decides ties.
        entries: Variants by model, for the headline where there is only one model.

    Raises:
        ValueError: there is no variant.
    """
    if not variants:
        raise ValueError("no variant was measured; at least one is needed to choose")
    methods = [of.method for of in variants]
    usual = max(dict.fromkeys(methods), key=methods.count)
    ranked = [of for of in variants if of.method == usual]
    metric = variants[0].metric
    best = max(ranked, key=lambda of: BETTER[metric] * mean_of(of))
    standing = _standing(best.variant, [pair for pair in pairs if pair.on == "validation"])
    tied = [of for of in ranked if of is best or standing.get(of.variant) == "tie"]
    chosen = best if len(tied) == 1 else cheapest(tied, costs or {}, otherwise=best)
    not_ranked = tuple(of.variant for of in variants if of.method != usual)
    return Recommendation(
        variant=chosen.variant,
        on="validation",
        why=_why(chosen, best, ranked, standing),
        tied_with=tuple(of.variant for of in tied if of is not chosen),
        headline=_same_model(entries)
        or _headline(chosen.variant, [of.variant for of in tied], [of.variant for of in ranked], costs, standing)
        + _unranked(not_ranked, variants, usual),
        best=best.variant,
        not_ranked=not_ranked,
    )


def cheapest(tied: Sequence[Outcomes], costs: Mapping[str, VariantCost], *, otherwise: Outcomes) -> Outcomes:
    """Tied variant that trains fastest; among about equally fast ones the one with the fewest parameters.

    Args:
        tied: Variants to pick from.
        costs: Variant -> its cost.
        otherwise: Returned where no training time is known.
    """
    seconds = {of.variant: s for of in tied if (s := costs.get(of.variant, VariantCost()).seconds) is not None}
    if not seconds:
        return otherwise
    quick = [of for of in tied if seconds.get(of.variant, float("inf")) <= _AS_QUICK * min(seconds.values())]

    def size(of: Outcomes) -> tuple[float, float]:
        parameters = costs[of.variant].parameters
        return (float("inf") if parameters is None else parameters, seconds[of.variant])

    return min(quick, key=size)


def _headline(
    chosen: str,
    tied: Sequence[str],
    ranked: Sequence[str],
    costs: Mapping[str, VariantCost] | None,
    standing: Mapping[str, str],
) -> str:
    cheap = f"the {'cheapest' if costs else 'best on these images'} is {chosen}"
    if len(tied) == len(ranked) > 1:
        return f"no variant is significantly better than the others: {_listed(tied)} tie; {cheap}"
    worse = [name for name in ranked if standing.get(name) == "better"]  # the best is better than these
    if len(tied) > 1:
        rest = f"; {_listed(worse)} {'is' if len(worse) == 1 else 'are'} worse than the best of them" if worse else ""
        return f"{_listed(tied)} are tied; {cheap}{rest}"
    if worse:
        return f"{chosen} is better than {_listed(worse)}"
    if len(ranked) > 1:
        return f"{chosen} was compared with no other"
    return f"{chosen} is the only model with a figure"


def _same_model(entries: Sequence[Entry]) -> str:
    """Headline where all variants are one model; otherwise empty."""
    if len(entries) != 1 or len(entries[0].variants) < 2:
        return ""
    entry = entries[0]
    return f"all variants are one model: {_listed(entry.variants)} ({entry.why}); the cheapest is {entry.variant}"


def _unranked(names: Sequence[str], variants: Sequence[Outcomes], usual: str) -> str:
    if not names:
        return ""
    other = next(of.method for of in variants if of.variant == names[0])
    return (
        f"; {_listed(names)} cannot be ranked against the others: validated {other}, the others {usual}; "
        "a new comparison validates all variants in one way"
    )


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:_MOST_NAMES])
    more = [f"{len(names) - len(shown)} more"] if len(names) > len(shown) else []
    return ", ".join(shown + more) if len(shown + more) != 2 else " and ".join(shown + more)


def _why(chosen: Outcomes, best: Outcomes, ranked: Sequence[Outcomes], standing: Mapping[str, str]) -> str:
    """Reason for the recommendation, with figures."""
    metric = best.metric
    others = [of.variant for of in ranked if of is not best]
    tied, better, worse, unpaired = (
        [name for name in others if standing.get(name) == verdict] for verdict in ("tie", "better", "worse", None)
    )
    beaten = f"all {len(others)} others" if len(better) == len(others) > 1 else ", ".join(better)
    estimate = estimate_of(best)
    clauses = [
        f"{best.variant} has the best {metric.replace('_', ' ')} on the {len(best.images):,} validation images, "
        f"{_level(estimate, metric)}, over {_seeds(best)}",
        f"too few {best.repeats}: use {estimate.seeds_needed}" if estimate.seeds_needed else "",
        f"significantly better than {beaten}" if beaten else "",
        f"tied with {', '.join(tied)}" if tied else "",
        f"{chosen.variant}, {_level(estimate_of(chosen), metric)}, is the cheapest of them"
        if chosen is not best
        else "",
        f"worse than {', '.join(worse)} on their common images" if worse else "",
        f"no image in common with {', '.join(unpaired)}" if unpaired else "",
    ]
    return "; ".join(filter(None, clauses))


def _standing(best: str, pairs: Sequence[Pair]) -> dict[str, Literal["better", "worse", "tie"]]:
    """Other variant -> verdict on `best` against it."""
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
    return f"1 {of.repeats[:-1]}" if len(of.by_seed) == 1 else f"{len(of.by_seed)} {of.repeats}"
