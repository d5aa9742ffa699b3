"""Rounds of a step: one network a fold, each trained without the images that validate it, then one on all images.

On a small set a held-out fifth is too few images to see a gain on and too many to miss in training. So each round
trains a network on all but one fold and validates it there, until the images so far decide; a step that is selected is
trained once more, on all of them. Looking several times at a growing sample finds a gain by chance more often than one
look does, so earlier looks need smaller p-values (O'Brien & Fleming 1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np

from headstart.arrays import Positions
from headstart.data.splits import deal_folds
from headstart.engine.store.training_images import TrainingImages
from headstart.plan.plan import TrainPhase
from headstart.training.checkpoint import Candidate

Verdict = Literal["better", "not better", "open"]

GiveUp = Literal["no gain", "no trend"]
"""When a step is given up before its last fold. no gain: its log loss is higher than before on the images so far. no
trend: its lead, if it went on like this, would not be significant on all folds either."""


@dataclass(frozen=True)
class Round:
    """Images of one round."""

    training_rows: Positions
    """Positions of the training images that are trained on."""
    validation_rows: Positions | None
    """Positions among the images that validate; None: trained on all, for the bundle."""


def rounds_of(phase: TrainPhase, images: TrainingImages, *, seed: int, folds: int | None = None) -> list[Round]:
    """The rounds of a step, in order; the one on all images is last where validation images were not held out.

    Args:
        phase: Says how many folds.
        images: Training images, and validation images where they were held out.
        seed: Of the folds.
        folds: Take only the first folds; None: all.
    """
    everyone = np.arange(len(images.roles.train))
    if images.roles.validation or phase.folds < 2:
        return [Round(everyone, np.arange(len(images.roles.validation)))]
    # Folds as the linear probe deals them, by another draw than that of the roles.
    fold_of = np.asarray(deal_folds(images.roles.train, dict(images.groups), most=phase.folds, seed=seed + 2))
    each = range(int(fold_of.max()) + 1)[:folds]
    held_out = [Round(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in each]
    return [*held_out, Round(everyone, None)]


def verdict(
    candidate: Candidate,
    before: Candidate,
    *,
    looks: int,
    of: int,
    significance_level: float,
    give_up: GiveUp = "no gain",
) -> Verdict:
    """Whether a step is better than what it started from, on the images that both were validated on so far.

    Args:
        candidate: The step, on these images.
        before: What it started from, on the same images.
        looks: Rounds so far, this one included, >= 1.
        of: Rounds that there are.
        significance_level: Of all rounds together.
        give_up: When the next rounds are left out.
    """
    p_value = candidate.loss_p_value_against(before)
    if p_value < level_at(looks, of=of, significance_level=significance_level):
        return "better"
    hopeless = hopeless_above(looks, of=of, significance_level=significance_level) if give_up == "no trend" else 0.5
    return "not better" if looks == of or p_value > hopeless else "open"


def hopeless_above(looks: int, *, of: int, significance_level: float) -> float:
    """P-value above which a lead that goes on as on the images so far is not significant on all of them either.

    A lead that is the same on every image has a normal deviate that grows with the square root of their number.

    Args:
        looks: Looks so far, this one included.
        of: Looks that there may be.
        significance_level: Of all together.
    """
    return 1 - NormalDist().cdf(_last_bound(of, significance_level) * math.sqrt(looks / of))


def level_at(looks: int, *, of: int, significance_level: float) -> float:
    """P-value below which a look decides, so that all rounds together find a gain by chance at the given level at most.

    The bound on the normal deviate falls with the square root of the share of the images that have been seen; its
    constant is 4 % above that of a single look with three looks, and 2 % with two (O'Brien & Fleming 1979, table 1).

    Args:
        looks: Looks so far, this one included.
        of: Looks that there may be.
        significance_level: Of all together.
    """
    return 1 - NormalDist().cdf(_last_bound(of, significance_level) * math.sqrt(of / looks))


def _last_bound(of: int, significance_level: float) -> float:
    """The bound on the normal deviate at the last look."""
    return NormalDist().inv_cdf(1 - significance_level) * (1 + 0.02 * (of - 1))


def at_rows(candidate: Candidate, rows: Positions) -> Candidate:
    """A candidate on some of the images that it was validated on; without weights.

    Args:
        candidate: One that was validated on all of them.
        rows: Positions among the images that validate.
    """
    at = rows if candidate.rows is None else np.searchsorted(candidate.rows, rows)
    return replace(candidate.at(at), rows=rows)


def on_same_images(candidate: Candidate, other: Candidate) -> tuple[Candidate, Candidate]:
    """Both on the images that validated both; without weights, where that are not all of its images.

    Args:
        candidate: A step, on the images of its rounds so far.
        other: What it must be better than, which may have been validated on a sample of all images.
    """
    assert candidate.rows is not None
    if other.rows is None or len(missing := np.setdiff1d(candidate.rows, other.rows)) == 0:
        return candidate, at_rows(other, candidate.rows)
    shared = np.setdiff1d(candidate.rows, missing)
    return at_rows(candidate, shared), at_rows(other, shared)


def rows_so_far(rounds: Sequence[Round], done: int) -> Positions:
    """Positions of the images that the first rounds have validated, in rising order."""
    found = [one.validation_rows for one in rounds[:done] if one.validation_rows is not None]
    return np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)
