"""How well a part of an image tells one class from the others, against chance and against another part: numbers only.

Skill is recall less the share of the other classes that are predicted as this one (Youden's J): 0 by chance whatever
the shares of the classes, 1 without a mistake. Its errors count groups, because images of one group repeat each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Floats, Labels
from headstart.inspection.features.held_out import HeldOut


@dataclass(frozen=True, slots=True)
class Skill:
    """Skill of telling one class, -1..1, and how far it lies beyond chance."""

    value: float
    chance: float
    """Chance of so much skill or more where there is none, 0..1."""


def skill_of(predictions: HeldOut, label: int) -> Skill:
    """Skill of telling one class from the others.

    Args:
        predictions: Of all images.
        label: The class.
    """
    signs = _signs(predictions.labels_N, label)
    is_named = (predictions.predicted_N == label).astype(np.float64)
    value = float(signs @ is_named)
    # Without skill both shares are one, estimated by their mean: a score test does not take a lucky few for certain.
    shared = float(np.abs(signs) @ is_named) / 2
    return Skill(value, _tail(value, signs * (is_named - shared), predictions.groups_N, predictions.labels_N == label))


def skill_above(predictions: HeldOut, other: HeldOut, label: int) -> Skill:
    """Difference of two skills on the same images, and the chance of one so large if there is none.

    Args:
        predictions: Of one part.
        other: Of another part.
        label: The class.
    """
    signs = _signs(predictions.labels_N, label)
    wins = (predictions.predicted_N == label).astype(np.float64) - (other.predicted_N == label)
    value = float(signs @ wins)
    inside = predictions.labels_N == label
    centre = np.where(inside, float(signs[inside] @ wins[inside]), -float(signs[~inside] @ wins[~inside]))
    return Skill(value, _tail(value, signs * (wins - centre), predictions.groups_N, inside))


def mean_skill(predictions: HeldOut) -> float:
    """Skill of telling all classes: balanced accuracy, scaled so that chance is 0 and no mistake 1."""
    share = 1 / predictions.probabilities_NK.shape[1]
    return float((predictions.balanced_accuracy - share) / (1 - share))


def _signs(labels_N: Labels, label: int) -> Doubles:  # noqa: N803 - shapes
    """Weights (N,) whose product with a 0/1 prediction is its skill: the class adds to 1, the others, alike, to -1."""
    counts = np.bincount(labels_N)
    weights = 1 / counts[labels_N]
    return np.asarray(np.where(labels_N == label, weights, -weights / (np.count_nonzero(counts) - 1)))


def _tail(value: float, excess_N: Floats, groups_N: Labels, inside_N: npt.NDArray[np.bool_]) -> float:  # noqa: N803
    """One-sided chance of a sum of excesses, by Student's t over groups."""
    from scipy.special import stdtr

    sums = np.bincount(groups_N, weights=excess_N)
    error = math.sqrt(float((sums**2).sum()))
    if value <= 0 or error == 0:
        return 1.0 if value <= 0 else 0.0
    # The smaller side has fewer groups, and its variance is the less certain one.
    freedom = min(len(np.unique(groups_N[inside_N])), len(np.unique(groups_N[~inside_N]))) - 1
    return float(stdtr(freedom, -value / error)) if freedom > 0 else 1.0
