"""How well features tell the images of one split from those of another, class by class, against chance: numbers only.

A classifier that tells the splits apart beyond chance shows that they differ (Rabanser et al. 2019, "Failing loudly").
Images are compared within their class, so that other class shares are no drift. Chance is what the same classifier
reaches on random divisions of the groups: a permutation test, exact whatever the features are. All divisions are solved
at once, because ridge regression is linear in its targets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Floats, Labels, Singles
from headstart.inspection.features.held_out import FOLD_COUNT, grouped_folds
from headstart.inspection.features.left_out import standardised
from headstart.measures.figures import Interval

PERMUTATIONS = 199
_L2_PENALTY = 0.3
"""On standardised features, per image. It is fixed, because one chosen by the true division would favour it."""
Sides: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SplitAuroc:
    """Area under the ROC curve of telling two splits apart, 0.5 by chance, and how far it lies beyond chance."""

    auroc: float
    interval: Interval
    """95 %."""
    chance: float
    """Chance of so much or more where the splits are alike, 0..1."""


@dataclass(frozen=True, slots=True)
class SplitDrift:
    """Drift between two splits, of all images and of each class."""

    overall: SplitAuroc
    by_class: dict[int, SplitAuroc]
    """Class -> the same of its images; classes with too few groups on a side are left out."""
    scores_N: Doubles  # noqa: N815 - shapes
    """Of each image from heads that never saw its group; high where it looks like the second split."""


def split_drift(
    features_NF: Floats,  # noqa: N803
    labels_N: Labels,  # noqa: N803
    is_second_N: Sides,  # noqa: N803
    groups_N: Labels,  # noqa: N803
    *,
    permutations: int = PERMUTATIONS,
) -> SplitDrift | None:
    """Drift between two splits; None where a side has fewer groups than there are folds.

    Args:
        features_NF: N images x F features.
        labels_N: Class of each.
        is_second_N: Whether each image is of the second split; a group lies in one split.
        groups_N: Group of each.
        permutations: Random divisions that say what is chance.
    """
    if min(len(np.unique(groups_N[side])) for side in (~is_second_N, is_second_N)) < FOLD_COUNT:
        return None
    folds = grouped_folds(labels_N, groups_N)
    sides_NP = _divisions(labels_N, is_second_N, groups_N, permutations)  # noqa: N806
    scores_NP = _held_out_scores(features_NF, labels_N, sides_NP, folds)  # noqa: N806
    of_class = {
        int(label): _cell_areas(rows, folds[rows], sides_NP, scores_NP)
        for label in np.unique(labels_N)
        if len(rows := np.flatnonzero(labels_N == label))
    }
    overall = _auroc(list(of_class.values()), groups_N)
    if overall is None:
        return None
    by_class = {label: found for label, cells in of_class.items() if (found := _auroc([cells], groups_N)) is not None}
    return SplitDrift(overall, by_class, scores_NP[:, 0].astype(np.float64))


def _divisions(labels_N: Labels, is_second_N: Sides, groups_N: Labels, count: int) -> Sides:  # noqa: N803
    """(N, 1 + P) the true division, and random ones of the groups, among groups of one main class."""
    number = np.unique(groups_N, return_inverse=True)[1]
    of_group = np.zeros((int(number.max()) + 1, int(labels_N.max()) + 1), np.int64)
    np.add.at(of_group, (number, labels_N), 1)
    main = of_group.argmax(axis=1)
    side = np.zeros(len(of_group), bool)
    side[number] = is_second_N
    rng = np.random.default_rng(0)
    columns = [side]
    for _ in range(count):
        drawn = side.copy()
        for label in np.unique(main):
            members = np.flatnonzero(main == label)
            drawn[members] = side[rng.permutation(members)]
        columns.append(drawn)
    return np.stack(columns, axis=1)[number]


def _held_out_scores(features_NF: Floats, labels_N: Labels, sides_NP: Sides, folds_N: Labels) -> Singles:  # noqa: N803
    """Scores (N, P) by ridge regression onto each division, fitted on the other folds."""
    from scipy.linalg import cho_factor, cho_solve

    rows = standardised(_within(np.asarray(features_NF, np.float32), labels_N))
    targets = _within(sides_NP.astype(np.float32), labels_N)
    scores = np.empty(sides_NP.shape, np.float32)
    products = [rows[folds_N == fold].T @ rows[folds_N == fold] for fold in range(FOLD_COUNT)]
    whole = np.sum(products, axis=0)
    diagonal = np.arange(rows.shape[1])
    for fold in range(FOLD_COUNT):
        train = folds_N != fold
        covariance = (whole - products[fold]).astype(np.float64) / train.sum()
        covariance[diagonal, diagonal] += _L2_PENALTY
        weights = cho_solve(cho_factor(covariance), (rows[train].T @ targets[train]) / train.sum())
        scores[~train] = rows[~train] @ weights.astype(np.float32)
    return scores


def _within(values: Singles, labels_N: Labels) -> Singles:  # noqa: N803
    """Values less the mean of their class, so that the class tells nothing of the split."""
    sums = np.zeros((int(labels_N.max()) + 1, values.shape[1]))
    np.add.at(sums, labels_N, values)
    return np.asarray(values - (sums / np.maximum(1, np.bincount(labels_N))[:, None])[labels_N], np.float32)


@dataclass(frozen=True, slots=True)
class _Areas:
    """Weighted areas of some cells (a class in a fold), each weighted as by van Elteren (1960)."""

    sums_P: Doubles  # noqa: N815 - shapes
    weights_P: Doubles  # noqa: N815
    excess: Doubles
    """(N,) what each image adds to the area of the true division above its mean; 0 outside."""


def _cell_areas(rows: Labels, folds_R: Labels, sides_NP: Sides, scores_NP: Singles) -> _Areas:  # noqa: N803
    """Areas of one class in every fold."""
    sums, weights = np.zeros(sides_NP.shape[1]), np.zeros(sides_NP.shape[1])
    excess = np.zeros(len(sides_NP))
    for fold in np.unique(folds_R):
        cell = rows[folds_R == fold]
        sides, scores = sides_NP[cell], scores_NP[cell]
        second = sides.sum(axis=0)
        first = len(cell) - second
        ranks = scores.argsort(axis=0).argsort(axis=0) + 1
        both = np.maximum(1, second * first)
        area = ((ranks * sides).sum(axis=0) - second * (second + 1) / 2) / both
        weight = np.where((second > 0) & (first > 0), second * first / (len(cell) + 1), 0)
        sums += weight * area
        weights += weight
        if weight[0]:
            ours, theirs = cell[sides[:, 0]], cell[~sides[:, 0]]
            placed = _placements(scores[sides[:, 0], 0], scores[~sides[:, 0], 0])
            for members, shares in zip((ours, theirs), placed, strict=True):
                excess[members] = weight[0] * (shares - area[0]) / len(members)
    return _Areas(sums, weights, excess)


def _auroc(cells: list[_Areas], groups_N: Labels) -> SplitAuroc | None:  # noqa: N803
    """Area over some classes; None where no fold has images of both splits."""
    from scipy.special import ndtr

    weights = np.sum([each.weights_P for each in cells], axis=0)
    if weights[0] == 0:
        return None
    areas = np.sum([each.sums_P for each in cells], axis=0) / np.maximum(weights, 1e-12)
    area, drawn = float(areas[0]), areas[1:][weights[1:] > 0]
    # Errors count groups (Obuchowski 1997): images of one group lie on one side together.
    reach = 1.96 * _clustered(np.sum([each.excess for each in cells], axis=0) / weights[0], groups_N)
    reached = int((drawn >= area).sum())
    chance = (1 + reached) / (1 + len(drawn))
    # Where no division reaches it the tail of a normal distribution says how far beyond all of them it lies.
    if not reached and len(drawn) > 1 and drawn.std() > 0:
        chance = min(chance, float(ndtr((drawn.mean() - area) / drawn.std(ddof=1))))
    return SplitAuroc(area, (max(0.0, area - reach), min(1.0, area + reach)), chance)


def _placements(second: Singles, first: Singles) -> tuple[Doubles, Doubles]:
    """(share of `first` below each of `second`, share of `second` above each of `first`); equal scores count half."""
    shares = []
    for ours, theirs, sign in ((second, first, 1), (first, second, -1)):
        ordered = np.sort(sign * theirs)
        low, high = (np.searchsorted(ordered, sign * ours, side=side) for side in ("left", "right"))
        shares.append((low + high) / (2 * len(theirs)))
    return shares[0], shares[1]


def _clustered(excess_N: Doubles, groups_N: Labels) -> float:  # noqa: N803
    """Standard error of a sum whose parts belong to groups."""
    return math.sqrt(float((np.bincount(groups_N, weights=excess_N) ** 2).sum()))
