"""Labels of learning rates by rule: diverges, forgets, undertrains, sweet spot.

The rules are checked in this order; the first that holds gives the label, and the last always holds:

1. diverges: training stopped for a loss that is not finite, a training loss is not finite, or the last one is more than
   a quarter and 0.1 nats above the first.
2. forgets: training began from the pretrained network with its linear probe (the start), and ends worse than it; or
   accuracy dropped at least DEEP_FALL below the start on the way and training ends worse than at the best rate.
3. worse than the best rate: forgets if the rate is larger than the best one, undertrains if it is smaller. Small steps
   do not converge in the given epochs, large ones overwrite the pretrained weights. The side of the best rate decides,
   because the curve cannot: with a random head it begins far below the frozen features either way, and a network that
   lost its features has a high, falling training loss just like one that has hardly begun.
4. as good as the best rate, but worse than the frozen features, with a random head: no rate reached the linear probe.
   Undertrains if the training loss still fell by 2 % or more in the last epoch, forgets otherwise.
5. sweet spot: ends no worse than the best rate, and no worse than the start.

The best rate has the best mean at its last epoch among those that do not diverge, the smaller of equals. "Worse" is
statistically significant: a test on validation images, over all seeds (`verdicts`), corrected by Holm over all pairs of
rates for the best, over all rates for the start, and over all epochs too for a drop. A rate that does not differ
significantly from the best is a sweet spot: few images or seeds make it wide. Where training began from the start and
none ends worse, labels follow the rate: undertrains below the best, forgets above it, sweet spots on both sides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from headstart.comparison.grid import Metric
from headstart.comparison.outcomes import BETTER, Outcomes, mean_of
from headstart.comparison.verdicts import PairDifference, differences
from headstart.measures import paired
from headstart.measures.seed_variance import SIGNIFICANCE_LEVEL

LearningRateEffect = Literal["diverges", "forgets", "undertrains", "sweet spot"]

DIVERGED_GROWTH = 1.25
"""Last training loss over the first that counts as diverged, if it is DIVERGED_NATS above it as well."""
DIVERGED_NATS = 0.1
DEEP_FALL: dict[Metric, float] = {"accuracy": 0.05, "balanced_accuracy": 0.05, "log_loss": 0.25}
"""Drop below the start at any evaluated epoch: a share, or nats."""
STILL_FALLING = 0.02
"""Share by which the last epoch lowered the training loss, from which on training was not finished."""

TEXTBOOK: tuple[tuple[float, float, LearningRateEffect], ...] = (
    (1e-2, 1e-2, "forgets"),
    (1e-5, 1e-4, "sweet spot"),
    (1e-6, 1e-6, "undertrains"),
)
"""(from, to, label) of learning rates for fine-tuning, by textbooks; they say nothing in between."""


@dataclass(frozen=True, slots=True)
class LearningRateCurve:
    """Losses and validation results of training at one learning rate."""

    learning_rate: float
    train_losses: Sequence[float]
    """Mean training loss of every epoch, over seeds, in nats."""
    epochs: Sequence[Outcomes]
    """Validation results after each evaluated epoch, at least the last one; may be empty if training diverged."""
    start: Outcomes | None = None
    """Results of a linear probe on frozen features, on the same images and seeds."""
    initialised_from: Literal["start", "random head"] = "start"
    """Head at the beginning of training: that of `start`, or random weights."""
    outcome: Literal["finished", "diverged"] = "finished"

    def __post_init__(self) -> None:
        """Check that the learning rate is positive, and that it was evaluated if training finished.

        Raises:
            ValueError: it is not.
        """
        if not self.learning_rate > 0 or not math.isfinite(self.learning_rate):
            raise ValueError(f"learning rate {self.learning_rate}; a positive number is expected")
        if self.outcome == "finished" and not (self.epochs and len(self.train_losses)):
            raise ValueError(
                f"learning rate {self.learning_rate:g} has no evaluated epoch or no training loss; "
                "one that finished has both"
            )


@dataclass(frozen=True, slots=True)
class LearningRateLabel:
    """Label of one learning rate; fields as in `learning_rate_label` of comparison.json."""

    learning_rate: float
    label: LearningRateEffect
    why: str
    figures: dict[str, float | int | None]


@dataclass(frozen=True, slots=True)
class TextbookComparison:
    """Expected and found label of one learning rate."""

    learning_rate: float
    expected: LearningRateEffect | None
    """None where textbooks say nothing."""
    found: LearningRateEffect
    sentence: str

    @property
    def holds(self) -> bool:
        """Whether the found label is the expected one, or none is expected."""
        return self.expected in (None, self.found)


@dataclass(frozen=True, slots=True)
class _Gap:
    """Difference of two results; > 0 is worse."""

    size: float
    p_value: float
    """Corrected for multiple comparisons."""

    @property
    def is_worse(self) -> bool:
        """Whether it is significantly worse."""
        return self.size > 0 and self.p_value < SIGNIFICANCE_LEVEL


@dataclass(frozen=True, slots=True)
class _Start:
    """A curve compared with the linear probe on frozen features."""

    value: float
    end: _Gap
    lowest: float
    lowest_epoch: int
    drop: _Gap
    """From the start to the lowest epoch."""


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """Results of a curve that did not diverge."""

    curve: LearningRateCurve
    metric: Metric
    final: float
    best: LearningRateCurve
    to_best: _Gap
    start: _Start | None


def label_learning_rates(curves: Sequence[LearningRateCurve]) -> list[LearningRateLabel]:
    """Labels of the curves, in the order given; the order changes no label.

    Raises:
        ValueError: a learning rate occurs twice, or two curves, or a curve and its start, share no image in any seed.
    """
    if len({curve.learning_rate for curve in curves}) < len(curves):
        raise ValueError(f"learning rates {[curve.learning_rate for curve in curves]}; each is expected once")
    diverged = {curve.learning_rate: why for curve in curves if (why := _divergence(curve))}
    evaluated = {
        each.curve.learning_rate: each
        for each in _evaluated([curve for curve in curves if curve.learning_rate not in diverged])
    }
    found = []
    label: LearningRateEffect
    for curve in curves:
        label, why = (
            ("diverges", diverged[curve.learning_rate])
            if curve.learning_rate in diverged
            else _effect_of(evaluated[curve.learning_rate])
        )
        found.append(
            LearningRateLabel(curve.learning_rate, label, why, _figures(curve, evaluated.get(curve.learning_rate)))
        )
    return found


def _divergence(curve: LearningRateCurve) -> str:
    """Reason why it counts as diverged; empty if it does not."""
    bad = next((epoch for epoch, loss in enumerate(curve.train_losses, 1) if not math.isfinite(loss)), None)
    if bad is not None:
        return f"the training loss is not finite in epoch {bad}"
    if curve.outcome == "diverged":
        return "training stopped because its loss was no longer finite"
    first, last = curve.train_losses[0], curve.train_losses[-1]
    if last > DIVERGED_GROWTH * first and last > first + DIVERGED_NATS:
        return f"the training loss ends at {last:.2f}, above the {first:.2f} of the first epoch"
    return ""


def _evaluated(curves: Sequence[LearningRateCurve]) -> list[_Evaluated]:
    """Final values, gaps and drops of the curves that did not diverge."""
    if not curves:
        return []
    curves = sorted(curves, key=lambda curve: curve.learning_rate)
    metric = curves[0].epochs[-1].metric
    final = {curve.learning_rate: mean_of(curve.epochs[-1]) for curve in curves}
    best = max(curves, key=lambda curve: BETTER[metric] * final[curve.learning_rate])
    to_best, starts = _gaps_to_best(curves, best), _starts(curves)
    return [
        _Evaluated(
            curve,
            metric,
            final[curve.learning_rate],
            best,
            to_best[curve.learning_rate],
            starts.get(curve.learning_rate),
        )
        for curve in curves
    ]


def _gaps_to_best(curves: Sequence[LearningRateCurve], best: LearningRateCurve) -> dict[float, _Gap]:
    """Learning rate -> gap to the best; corrected over all pairs, since any could have been the best."""
    pairs = list(itertools.combinations(curves, 2))
    found = _tested([(a.epochs[-1], b.epochs[-1]) for a, b in pairs])
    corrected, _ = paired.holm([each.p_value for each in found])
    gaps = {best.learning_rate: _Gap(0.0, 1.0)}
    for (a, b), each, p_value in zip(pairs, found, corrected, strict=True):
        if a is best:
            gaps[b.learning_rate] = _Gap(each.gain, float(p_value))
        elif b is best:
            gaps[a.learning_rate] = _Gap(-each.gain, float(p_value))
    return gaps


def _starts(curves: Sequence[LearningRateCurve]) -> dict[float, _Start]:
    """Learning rate -> gap to its start, if it has one; corrected over learning rates, the drop over epochs too."""
    started = [(curve, curve.start, _lowest_epoch(curve)) for curve in curves if curve.start is not None]
    final = _tested([(start, curve.epochs[-1]) for curve, start, _ in started])
    falls = _tested([(start, curve.epochs[lowest]) for curve, start, lowest in started])
    p_ends, _ = paired.holm([each.p_value for each in final])
    p_falls, _ = paired.holm(
        [min(1.0, each.p_value * len(curve.epochs)) for each, (curve, _, _) in zip(falls, started, strict=True)]
    )
    return {
        curve.learning_rate: _Start(
            value=mean_of(start),
            end=_Gap(final[place].gain, float(p_ends[place])),
            lowest=mean_of(curve.epochs[lowest]),
            lowest_epoch=lowest + 1,
            drop=_Gap(falls[place].gain, float(p_falls[place])),
        )
        for place, (curve, start, lowest) in enumerate(started)
    }


def _lowest_epoch(curve: LearningRateCurve) -> int:
    """Index of the worst evaluated epoch, the first of equals."""
    return min(
        range(len(curve.epochs)), key=lambda place: BETTER[curve.epochs[place].metric] * mean_of(curve.epochs[place])
    )


def _tested(pairs: Sequence[tuple[Outcomes, Outcomes]]) -> list[PairDifference]:
    found = differences(pairs) if pairs else []
    whole = [each for each in found if each is not None]
    if len(whole) < len(pairs):
        lost = pairs[found.index(None)]
        raise ValueError(
            f"{lost[0].variant} and {lost[1].variant} share no image in any seed; "
            "learning rates and their start are labelled on the same images and seeds"
        )
    return whole


def _effect_of(evaluated: _Evaluated) -> tuple[LearningRateEffect, str]:
    """(label, reason) by rules 2 to 5 of the module."""
    curve, best, start = evaluated.curve, evaluated.best, evaluated.start
    behind = f"ends {_far(evaluated.to_best.size, evaluated.metric)} worse than the best, {best.learning_rate:g}"
    if start and curve.initialised_from == "start":
        if start.end.is_worse:
            return "forgets", (
                f"ends {_far(start.end.size, evaluated.metric)} worse than the linear probe it started from "
                f"({_value(evaluated.final, evaluated.metric)} after {_value(start.value, evaluated.metric)})"
            )
        if start.drop.is_worse and start.drop.size >= DEEP_FALL[evaluated.metric] and evaluated.to_best.is_worse:
            return "forgets", (
                f"dropped to {_value(start.lowest, evaluated.metric)} in epoch {start.lowest_epoch}, from the "
                f"{_value(start.value, evaluated.metric)} of the linear probe it started from, and {behind}"
            )
    if evaluated.to_best.is_worse:
        if curve.learning_rate > best.learning_rate:
            return "forgets", f"{behind}, and is the larger one; {_training_losses(curve, best)}"
        return "undertrains", f"{behind}, and is the smaller one; {_training_losses(curve, best)}"
    if start and start.end.is_worse:
        label: LearningRateEffect = "undertrains" if _still_falling(curve) else "forgets"
        falling = "was still falling" if _still_falling(curve) else "no longer fell"
        return label, (
            f"not significantly different from the best, but {_far(start.end.size, evaluated.metric)} worse than the "
            f"linear probe; the training loss {falling}"
        )
    return "sweet spot", _sweet(evaluated)


def _sweet(evaluated: _Evaluated) -> str:
    if evaluated.curve is evaluated.best:
        said = f"ends best of all learning rates, at {_value(evaluated.final, evaluated.metric)}"
    else:
        far = _far(max(evaluated.to_best.size, 0.0), evaluated.metric)
        said = (
            f"ends at {_value(evaluated.final, evaluated.metric)}, {far} from the best learning rate, "
            f"{evaluated.best.learning_rate:g}: not significant"
        )
    if evaluated.start is None:
        return said
    return f"{said}; no worse than the linear probe, {_value(evaluated.start.value, evaluated.metric)}"


def _training_losses(curve: LearningRateCurve, best: LearningRateCurve) -> str:
    falling = ", still falling" if _still_falling(curve) else ""
    return f"training loss {curve.train_losses[-1]:.2f} against {best.train_losses[-1]:.2f}{falling}"


def _still_falling(curve: LearningRateCurve) -> bool:
    losses = curve.train_losses
    return len(losses) > 1 and losses[-1] <= (1 - STILL_FALLING) * losses[-2]


def _far(size: float, metric: Metric) -> str:
    return f"{size:.3f} nats" if metric == "log_loss" else f"{100 * size:.1f} points"


def _value(value: float, metric: Metric) -> str:
    return f"{value:.3f} nats" if metric == "log_loss" else f"{100 * value:.1f} %"


def _figures(curve: LearningRateCurve, evaluated: _Evaluated | None) -> dict[str, float | int | None]:
    """Figures behind the label: gaps are > 0 where the curve is worse, p-values are corrected, None is unknown."""
    start = evaluated.start if evaluated else None
    losses = [loss if math.isfinite(loss) else None for loss in curve.train_losses] or [None]
    return {
        "train_loss_first": losses[0],
        "train_loss_last": losses[-1],
        "final_value": evaluated.final if evaluated else None,
        "best_learning_rate": evaluated.best.learning_rate if evaluated else None,
        "gap_to_best": evaluated.to_best.size if evaluated else None,
        "p_gap_to_best": evaluated.to_best.p_value if evaluated else None,
        "probe_value": start.value if start else None,
        "gap_to_probe": start.end.size if start else None,
        "p_gap_to_probe": start.end.p_value if start else None,
        "lowest_value": start.lowest if start else None,
        "lowest_epoch": start.lowest_epoch if start else None,
        "drop": start.drop.size if start else None,
        "p_drop": start.drop.p_value if start else None,
    }


def compare_with_textbook(labels: Sequence[LearningRateLabel]) -> list[TextbookComparison]:
    """Expected and found label of each learning rate, from the largest on.

    Textbooks say that 1e-2 forgets, 1e-4 to 1e-5 is best and 1e-6 undertrains. They name neither
    optimizer nor epochs, so name both wherever this is shown.
    """
    found = []
    for label in sorted(labels, key=lambda each: -each.learning_rate):
        expected = _expected(label.learning_rate)
        if expected is None:
            sentence = f"{label.learning_rate:g}: {label.label}; the textbook says nothing of it"
        elif expected == label.label:
            sentence = f"{label.learning_rate:g}: {label.label}, as the textbook says"
        else:
            sentence = f"{label.learning_rate:g}: {label.label}, but the textbook says {expected}: {label.why}"
        found.append(TextbookComparison(label.learning_rate, expected, label.label, sentence))
    return found


def _expected(learning_rate: float) -> LearningRateEffect | None:
    close = 1e-6  # relative: 1e-5 may have been written as 0.1 * 1e-4
    return next(
        (label for low, high, label in TEXTBOOK if low * (1 - close) <= learning_rate <= high * (1 + close)), None
    )
