"""Reading a learning-rate range test: from losses under a rising factor to the factor of the planned learning rates.

Pure rules, without a network. The range test itself (Smith 2017, "Cyclical Learning Rates for Training Neural
Networks", section 3.3) raises the learning rate from step to step until the loss gets worse. Its usual reading, a tenth
of the learning rate of the lowest loss, or the one of the steepest fall, expects a loss that falls. Behind a fitted
linear probe it may not fall at all: it stays the same over decades of learning rates and then rises steeply, so that
neither place means anything.

So each loss is compared with a baseline: the same batch and views, with the tested groups frozen. That removes the
differences between batches, which are far larger than the effect of a few steps. From the differences:

- the level is the lowest smoothed difference, or none (0), if nothing falls by more than noise;
- what there is to lose is the distance from the level to the loss of a guess, the log of the number of classes;
- the edge is the last factor at which less than half of that is lost: beyond it the network forgets faster than it
  learns. It must stay lost, so that a single bad batch at a small learning rate decides nothing;
- the suggestion is a tenth of the edge for a head, a third for a backbone.

The largest learning rate that does no significant harm was tried first as the edge and is too strict: from a fitted
probe almost any step does harm at first, and ten epochs later the learning rates that did some are the better ones
(short-horizon bias: Wu et al. 2018). Smith takes nearly all of the edge, and a tenth is the usual caution. A fitted
head is at its optimum already and has only to follow the features, so it gets the tenth; the backbone has something to
gain, and gets a third, between the two.
`docs/guide/find-lr.md` has the figures that decided it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

LOWEST_FACTOR = 0.01
"""Of the planned learning rates: the first factor of a test."""
HIGHEST_FACTOR = 100.0
"""The last factor, unless the loss diverges before. An edge outside is looked for once more, in the next factors."""
TestedGroups = Literal["head", "backbone", "all"]
"""Groups whose learning rate rises in a test."""
SAFETY: dict[TestedGroups, float] = {"head": 10.0, "backbone": 3.0, "all": 10.0}
"""The suggestion is the edge divided by this."""

_BEYOND_NOISE = 3.0
"""A smoothed difference of more standard errors is no accident, though about fifty are compared."""
_MATERIAL_SHARE = 0.05
"""Of the baseline: a smaller difference does not matter, however significant it is."""
_LOST_SHARE = 0.5
"""Of the distance from the best level to a guess."""

Shape = Literal["falls", "holds", "no_reaction", "worse_at_once"]
"""falls: the loss gets lower somewhere. holds: it stays and then gets worse. no_reaction: neither. worse_at_once: what
there is to lose is lost from the first factors on."""


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a range test."""

    factor: float
    """Of the planned learning rates, in the step before this loss was measured."""
    loss: float
    """Mean over the batch, in nats; may be infinite or NaN."""
    baseline: float
    """On the same batch with the tested groups frozen."""
    noise: float
    """Standard error of loss - baseline over the images of the batch."""


@dataclass(frozen=True)
class Suggestion:
    """The factor that a curve suggests, and why."""

    factor: float | None
    """Of the planned learning rates; None: nothing useful was found, so they stay."""
    shape: Shape
    edge: float | None
    """The largest factor at which less than half is lost; None where there is none."""
    edge_lies: Literal["inside", "above", "below"]
    """Of the factors that were tried. Above or below: a test of higher or lower ones would say more."""
    why: str
    """One sentence."""
    smoothed: tuple[float, ...]
    """Smoothed loss - baseline at each point that is a number, in nats."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rounded = [round(value, 6) for value in self.smoothed]
        return {**asdict(self), "smoothed": rounded}


def factors_for(points: int, *, around: float = 1.0) -> tuple[float, ...]:
    """Factors from `LOWEST_FACTOR` to `HIGHEST_FACTOR`, each the same multiple of the one before.

    Args:
        points: At least 2.
        around: Middle of the factors.
    """
    return tuple(float(around * factor) for factor in np.geomspace(LOWEST_FACTOR, HIGHEST_FACTOR, points))


def has_diverged(points: Sequence[Point], *, guess: float) -> bool:
    """Whether going on would say nothing more: the last loss is no number, or the network is worse than a guess.

    Worse than a guess: the least of the last three losses is above `guess` and above twice its baseline.

    Args:
        points: So far, at least one.
        guess: Loss of equal probabilities for all classes: the log of their number.
    """
    if not math.isfinite(points[-1].loss):
        return True
    last = points[-3:]
    return len(last) == 3 and all(point.loss > max(guess, 2 * point.baseline) for point in last)


def suggest(points: Sequence[Point], *, guess: float, tested: TestedGroups) -> Suggestion:
    """The suggestion of a curve; the rule is in the docstring of this module.

    Args:
        points: With rising factors; the last ones may be no numbers.
        guess: Loss of equal probabilities for all classes, in nats: the log of their number.
        tested: Decides how much of the edge is taken.
    """
    shown = [point for point in points if math.isfinite(point.loss) and math.isfinite(point.noise)]
    if len(shown) < 3:
        why = f"the loss is no number already at {points[0].factor:.2g} times the planned learning rate"
        return Suggestion(None, "worse_at_once", None, "below", why, ())
    factors = [point.factor for point in shown]
    differences, noise = _smoothed(shown)
    baseline = float(np.mean([point.baseline for point in shown]))
    material = _MATERIAL_SHARE * baseline
    tolerance = np.maximum(_BEYOND_NOISE * noise, material)
    lowest = int(np.argmin(differences))
    falls = bool(differences[lowest] < -tolerance[lowest])
    level = float(differences[lowest]) if falls else 0.0
    after = tuple(float(value) for value in differences)
    lost = differences - level > max(_LOST_SHARE * (guess - baseline - level), material)
    complete = len(shown) == len(points)
    if complete and not (falls or lost.any() or (differences > tolerance).any()):
        why = f"the loss does not react to any learning rate up to {factors[-1]:.2g} times the planned one"
        return Suggestion(None, "no_reaction", None, "above", why, after)
    harmless = np.flatnonzero(~lost)
    if len(harmless) == 0 or harmless[-1] == 0:
        why = f"the loss gets much worse already at {factors[0]:.2g} times the planned learning rate"
        return Suggestion(None, "worse_at_once", None, "below", why, after)
    edge, open_end = factors[harmless[-1]], harmless[-1] == len(points) - 1
    which = "the highest that was tried" if open_end else "the last at which less than half of what it knew was lost"
    if falls:
        which += f" (the loss was lowest at {factors[lowest]:.2g} times)"
    safety = SAFETY[tested]
    shape: Shape = "falls" if falls else "holds"
    why = f"1/{safety:g} of {edge:.2g} times the planned learning rate, {which}"
    return Suggestion(_two_digits(edge / safety), shape, edge, "above" if open_end else "inside", why, after)


def _smoothed(points: Sequence[Point]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Differences to the baseline as medians over neighbours, and their standard errors.

    Three neighbours of few points, five of many: half a decade of factors; at the ends there are fewer. A median,
    because a single batch may jump, and because a mean would smear the leap at the end over the points before it.
    """
    reach = 1 if len(points) < 30 else 2
    raw = np.array([point.loss - point.baseline for point in points])
    squares = np.array([point.noise**2 for point in points])
    windows = [slice(max(0, i - reach), i + reach + 1) for i in range(len(points))]
    medians = np.array([np.median(raw[window]) for window in windows])
    errors = [_OF_A_MEDIAN * math.sqrt(squares[window].sum()) / len(squares[window]) for window in windows]
    return medians, np.array(errors)


_OF_A_MEDIAN = math.sqrt(math.pi / 2)
"""Standard error of a median of normal values, in those of their mean."""


def _two_digits(value: float) -> float:
    return float(f"{value:.1e}")
