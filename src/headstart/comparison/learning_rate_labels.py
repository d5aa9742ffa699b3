"""Every learning rate named by rule: diverges, forgets, undertrains, sweet spot.

The rule, asked in this order; the first that holds gives the label, and the last holds always:

1. diverges: training stopped for a loss that is not finite, a training loss is not finite, or the last one is more than
   a quarter and 0.1 nats above the first.
2. forgets: training began from the pretrained network with its solved head (the start), and ends worse than it; or it
   fell on the way at least DEEP_FALL below the start and ends worse than the best rate.
3. worse than the best rate: forgets if the rate is larger than the best one, undertrains if it is smaller. Small steps
   do not arrive in the epochs given, large ones lose what was pretrained. The side of the best rate decides, because
   the curve cannot: with a random head it begins far below the frozen features either way, and a network that lost them
   has a high, falling training loss just like one that has hardly begun.
4. as good as the best rate, but worse than the frozen features, with a random head: no rate reached what was there for
   nothing. Undertrains if the training loss still fell by 2 % or more in the last epoch, forgets otherwise.
5. sweet spot: ends no worse than the best rate, and no worse than the start.

The best rate has the best mean at its last epoch among those that do not diverge, the smaller of equals. "Worse" is
always beyond noise: a test on the images that choose, over all seeds (`verdicts`), corrected by Holm over all pairs of
rates for the best, over all rates for the start, and over all epochs too for a fall. What cannot be told from the best
is a sweet spot: few images or seeds make it wide. Where training began from the start and none ends worse than it,
labels follow the rate: undertrains below the best, forgets above it, sweet spots on both sides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from headstart.comparison.outcomes import BETTER, Metric, Outcomes, mean_of
from headstart.comparison.verdicts import Difference, differences
from headstart.measures import paired
from headstart.measures.seed_variance import LEVEL

Label = Literal["diverges", "forgets", "undertrains", "sweet spot"]

DIVERGED_GROWTH = 1.25
"""Last training loss over the first from which training got nowhere, if it is DIVERGED_NATS above it as well."""
DIVERGED_NATS = 0.1
DEEP_FALL: dict[Metric, float] = {"accuracy": 0.05, "balanced_accuracy": 0.05, "log_loss": 0.25}
"""Below the start at any judged epoch: a share, or nats."""
STILL_FALLING = 0.02
"""Share by which the last epoch lowered the training loss, from which on training was not finished."""

TEXTBOOK: tuple[tuple[float, float, Label], ...] = (
    (1e-2, 1e-2, "forgets"),
    (1e-5, 1e-4, "sweet spot"),
    (1e-6, 1e-6, "undertrains"),
)
"""(from, to, label) that textbooks promise for fine-tuning; the rates between are left open."""


@dataclass(frozen=True, slots=True)
class RateCurve:
    """How training went at one learning rate."""

    rate: float
    train_losses: Sequence[float]
    """Mean training loss of every epoch, over seeds, in nats."""
    epochs: Sequence[Outcomes]
    """Answers to the images that choose after each judged epoch, the last one at least; may be empty if it diverged."""
    start: Outcomes | None = None
    """The same images answered by frozen features with a solved head, in the same seeds."""
    began: Literal["start", "random head"] = "start"
    """Whether training began from what gave `start`."""
    ending: Literal["finished", "diverged"] = "finished"

    def __post_init__(self) -> None:
        """A rate is positive, and one that finished was judged.

        Raises:
            ValueError: it is not.
        """
        if not self.rate > 0 or not math.isfinite(self.rate):
            raise ValueError(f"learning rate {self.rate}; a positive number is expected")
        if self.ending == "finished" and not (self.epochs and len(self.train_losses)):
            raise ValueError(f"rate {self.rate:g} has no judged epoch or no training loss; one that finished has both")


@dataclass(frozen=True, slots=True)
class RateLabel:
    """What a rate did; fields as in `rate` of comparison.json."""

    rate: float
    label: Label
    why: str
    figures: dict[str, float | int | None]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What textbooks say of a rate beside what was seen."""

    rate: float
    expected: Label | None
    """None where they say nothing."""
    found: Label
    sentence: str

    @property
    def holds(self) -> bool:
        """Whether the expectation, if there is one, was met."""
        return self.expected in (None, self.found)


@dataclass(frozen=True, slots=True)
class _Gap:
    """How much worse something is than something else; > 0 is worse."""

    size: float
    p_value: float
    """Corrected."""

    @property
    def is_worse(self) -> bool:
        """Beyond noise."""
        return self.size > 0 and self.p_value < LEVEL


@dataclass(frozen=True, slots=True)
class _Start:
    """A curve beside the frozen features."""

    value: float
    end: _Gap
    lowest: float
    lowest_epoch: int
    fall: _Gap
    """From the start to the lowest epoch."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of a curve that did not diverge."""

    curve: RateCurve
    metric: Metric
    ends: float
    best: RateCurve
    to_best: _Gap
    start: _Start | None


def label_rates(curves: Sequence[RateCurve]) -> list[RateLabel]:
    """The label of every curve, in the order given, which does not matter otherwise.

    Raises:
        ValueError: a rate occurs twice, or two curves, or a curve and its start, share no image in any seed.
    """
    if len({curve.rate for curve in curves}) < len(curves):
        raise ValueError(f"rates {[curve.rate for curve in curves]}; every rate is expected once")
    diverged = {curve.rate: why for curve in curves if (why := _divergence(curve))}
    seen = {each.curve.rate: each for each in _look([curve for curve in curves if curve.rate not in diverged])}
    found = []
    label: Label
    for curve in curves:
        label, why = ("diverges", diverged[curve.rate]) if curve.rate in diverged else _judge(seen[curve.rate])
        found.append(RateLabel(curve.rate, label, why, _figures(curve, seen.get(curve.rate))))
    return found


def _divergence(curve: RateCurve) -> str:
    """Why it diverges, or an empty string."""
    bad = next((epoch for epoch, loss in enumerate(curve.train_losses, 1) if not math.isfinite(loss)), None)
    if bad is not None:
        return f"the training loss is not finite in epoch {bad}"
    if curve.ending == "diverged":
        return "training stopped because its loss was no longer finite"
    first, last = curve.train_losses[0], curve.train_losses[-1]
    if last > DIVERGED_GROWTH * first and last > first + DIVERGED_NATS:
        return f"the training loss ends at {last:.2f}, above the {first:.2f} of the first epoch"
    return ""


def _look(curves: Sequence[RateCurve]) -> list[_Seen]:
    """Ends, gaps and falls of the curves that did not diverge."""
    if not curves:
        return []
    curves = sorted(curves, key=lambda curve: curve.rate)
    metric = curves[0].epochs[-1].metric
    ends = {curve.rate: mean_of(curve.epochs[-1]) for curve in curves}
    best = max(curves, key=lambda curve: BETTER[metric] * ends[curve.rate])
    to_best, starts = _gaps_to_best(curves, best), _starts(curves)
    return [
        _Seen(curve, metric, ends[curve.rate], best, to_best[curve.rate], starts.get(curve.rate)) for curve in curves
    ]


def _gaps_to_best(curves: Sequence[RateCurve], best: RateCurve) -> dict[float, _Gap]:
    """Rate -> how much worse it ends than the best; corrected over all pairs, since any could have been the best."""
    pairs = list(itertools.combinations(curves, 2))
    found = _tested([(a.epochs[-1], b.epochs[-1]) for a, b in pairs])
    corrected, _ = paired.holm([each.p_value for each in found])
    gaps = {best.rate: _Gap(0.0, 1.0)}
    for (a, b), each, p_value in zip(pairs, found, corrected, strict=True):
        if a is best:
            gaps[b.rate] = _Gap(each.gain, float(p_value))
        elif b is best:
            gaps[a.rate] = _Gap(-each.gain, float(p_value))
    return gaps


def _starts(curves: Sequence[RateCurve]) -> dict[float, _Start]:
    """Rate -> the curve beside its start, for those that have one; corrected over rates, the fall over epochs too."""
    started = [(curve, curve.start, _lowest_epoch(curve)) for curve in curves if curve.start is not None]
    ends = _tested([(start, curve.epochs[-1]) for curve, start, _ in started])
    falls = _tested([(start, curve.epochs[lowest]) for curve, start, lowest in started])
    p_ends, _ = paired.holm([each.p_value for each in ends])
    p_falls, _ = paired.holm(
        [min(1.0, each.p_value * len(curve.epochs)) for each, (curve, _, _) in zip(falls, started, strict=True)]
    )
    return {
        curve.rate: _Start(
            value=mean_of(start),
            end=_Gap(ends[place].gain, float(p_ends[place])),
            lowest=mean_of(curve.epochs[lowest]),
            lowest_epoch=lowest + 1,
            fall=_Gap(falls[place].gain, float(p_falls[place])),
        )
        for place, (curve, start, lowest) in enumerate(started)
    }


def _lowest_epoch(curve: RateCurve) -> int:
    """Place of the worst judged epoch, the first of equals."""
    return min(
        range(len(curve.epochs)), key=lambda place: BETTER[curve.epochs[place].metric] * mean_of(curve.epochs[place])
    )


def _tested(pairs: Sequence[tuple[Outcomes, Outcomes]]) -> list[Difference]:
    found = differences(pairs) if pairs else []
    whole = [each for each in found if each is not None]
    if len(whole) < len(pairs):
        lost = pairs[found.index(None)]
        raise ValueError(
            f"{lost[0].variant} and {lost[1].variant} share no image in any seed; "
            "rates and their start are labelled by the same images and seeds"
        )
    return whole


def _judge(seen: _Seen) -> tuple[Label, str]:
    """Rules 2 to 5 of the module."""
    curve, best, start = seen.curve, seen.best, seen.start
    behind = f"ends {_far(seen.to_best.size, seen.metric)} worse than the best rate, {best.rate:g}"
    if start and curve.began == "start":
        if start.end.is_worse:
            return "forgets", (
                f"ends {_far(start.end.size, seen.metric)} worse than the frozen features it began with "
                f"({_value(seen.ends, seen.metric)} after {_value(start.value, seen.metric)})"
            )
        if start.fall.is_worse and start.fall.size >= DEEP_FALL[seen.metric] and seen.to_best.is_worse:
            return "forgets", (
                f"fell to {_value(start.lowest, seen.metric)} in epoch {start.lowest_epoch}, from the "
                f"{_value(start.value, seen.metric)} of the frozen features it began with, and {behind}"
            )
    if seen.to_best.is_worse:
        if curve.rate > best.rate:
            return "forgets", f"{behind}, and is the larger one; {_losses(curve, best)}"
        return "undertrains", f"{behind}, and is the smaller one; {_losses(curve, best)}"
    if start and start.end.is_worse:
        label: Label = "undertrains" if _still_falling(curve) else "forgets"
        falling = "was still falling" if _still_falling(curve) else "no longer fell"
        return label, (
            f"as good as the best rate within noise, but {_far(start.end.size, seen.metric)} worse than the frozen "
            f"features; the training loss {falling}"
        )
    return "sweet spot", _sweet(seen)


def _sweet(seen: _Seen) -> str:
    if seen.curve is seen.best:
        said = f"ends best of all rates, at {_value(seen.ends, seen.metric)}"
    else:
        far = _far(max(seen.to_best.size, 0.0), seen.metric)
        said = f"ends at {_value(seen.ends, seen.metric)}, {far} from the best rate, {seen.best.rate:g}: within noise"
    if seen.start is None:
        return said
    return f"{said}; no worse than the frozen features, {_value(seen.start.value, seen.metric)}"


def _losses(curve: RateCurve, best: RateCurve) -> str:
    falling = ", still falling" if _still_falling(curve) else ""
    return f"training loss {curve.train_losses[-1]:.2f} against {best.train_losses[-1]:.2f}{falling}"


def _still_falling(curve: RateCurve) -> bool:
    losses = curve.train_losses
    return len(losses) > 1 and losses[-1] <= (1 - STILL_FALLING) * losses[-2]


def _far(size: float, metric: Metric) -> str:
    return f"{size:.3f} nats" if metric == "log_loss" else f"{100 * size:.1f} points"


def _value(value: float, metric: Metric) -> str:
    return f"{value:.3f} nats" if metric == "log_loss" else f"{100 * value:.1f} %"


def _figures(curve: RateCurve, seen: _Seen | None) -> dict[str, float | int | None]:
    """What the label rests on; `behind_` is > 0 where the curve is worse, p-values are corrected, None is not known."""
    start = seen.start if seen else None
    losses = [loss if math.isfinite(loss) else None for loss in curve.train_losses] or [None]
    return {
        "train_loss_first": losses[0],
        "train_loss_last": losses[-1],
        "ends": seen.ends if seen else None,
        "best_rate": seen.best.rate if seen else None,
        "behind_best": seen.to_best.size if seen else None,
        "p_best": seen.to_best.p_value if seen else None,
        "start": start.value if start else None,
        "behind_start": start.end.size if start else None,
        "p_start": start.end.p_value if start else None,
        "lowest": start.lowest if start else None,
        "lowest_epoch": start.lowest_epoch if start else None,
        "fall": start.fall.size if start else None,
        "p_fall": start.fall.p_value if start else None,
    }


def against_textbook(labels: Sequence[RateLabel]) -> list[Expectation]:
    """Every rate beside what textbooks promise, from the largest on.

    They say that 1e-2 forgets, 1e-4 to 1e-5 is best and 1e-6 undertrains. The promise knows neither
    optimizer nor epochs, so name both wherever this is shown.
    """
    found = []
    for label in sorted(labels, key=lambda each: -each.rate):
        expected = _expected(label.rate)
        if expected is None:
            sentence = f"{label.rate:g}: {label.label}; the textbook names no label for it"
        elif expected == label.label:
            sentence = f"{label.rate:g}: {label.label}, as the textbook says"
        else:
            sentence = f"{label.rate:g}: {label.label}, where the textbook says {expected}: {label.why}"
        found.append(Expectation(label.rate, expected, label.label, sentence))
    return found


def _expected(rate: float) -> Label | None:
    close = 1e-6  # relative: 1e-5 may have been written as 0.1 * 1e-4
    return next((label for low, high, label in TEXTBOOK if low * (1 - close) <= rate <= high * (1 + close)), None)
