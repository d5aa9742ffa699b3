"""Causes of a gap between validation and test accuracy, by what features show, the strongest evidence first."""

from __future__ import annotations

import numpy as np

from headstart.arrays import Floats, Labels
from headstart.inspection.features.drift import FALSE_DRIFT_SHARE, auroc_text
from headstart.inspection.features.leak import measure_inflation
from headstart.inspection.features.split_drift import Sides, split_drift
from headstart.measures.near_neighbours import MOST_COMPARED, compare_neighbours, nearest_cosines, nearest_others

_LARGE_DRIFT = 0.4
"""Gap in accuracy that complete drift (AUROC 1) is taken to explain, only to rank the causes."""


def gap_causes(features_NF: Floats, labels_N: Labels, is_test_N: Sides, groups_N: Labels) -> list[str]:  # noqa: N803
    """Causes with their figures, the likeliest first; empty where features show none.

    Args:
        features_NF: N images x F features, of the training and the test set.
        labels_N: Class of each.
        is_test_N: Whether each is a test image.
        groups_N: Group of each; none on both sides.
    """
    causes = [
        *_drift(features_NF, labels_N, is_test_N, groups_N),
        *_leak(features_NF[~is_test_N], labels_N[~is_test_N], groups_N[~is_test_N]),
        *_near_duplicates(features_NF, is_test_N, groups_N),
    ]
    return [text for _, text in sorted(causes, reverse=True)]


def _drift(features: Floats, labels: Labels, is_test: Sides, groups: Labels) -> list[tuple[float, str]]:
    found = split_drift(features, labels, is_test, groups)
    if found is None or found.overall.chance >= FALSE_DRIFT_SHARE:
        return []
    text = f"drift: features tell test from train within a class with AUROC {auroc_text(found.overall)}"
    return [(_LARGE_DRIFT * 2 * (found.overall.auroc - 0.5), text)]


def _leak(features: Floats, labels: Labels, groups: Labels) -> list[tuple[float, str]]:
    numbers = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    if len(np.unique(groups)) in (1, len(groups)) or numbers.max() == 0 or np.bincount(numbers).min() < 2:
        return []
    found = measure_inflation(features, numbers, groups)
    if found.interval[0] <= 0:
        return []
    text = (
        f"groups in train: a linear probe gains {100 * found.value:.1f} points where they are divided, so folds by "
        "coarser groups than those known may give a lower validation accuracy still"
    )
    return [(found.value, text)]


def _near_duplicates(features: Floats, is_test: Sides, groups: Labels) -> list[tuple[float, str]]:
    train = np.flatnonzero(~is_test)[:MOST_COMPARED]
    if len(np.unique(groups[train])) < 2:
        return []
    inside, _ = nearest_others(features[train], groups[train])
    found = compare_neighbours(inside, nearest_cosines(features[is_test][:MOST_COMPARED], features[train]))
    if not found.is_remarkable:
        return []
    text = (
        f"near duplicates or unnamed groups in train: {100 * found.inside:.0f} % of its images have another of cosine "
        f"{found.cosine:.2f} or more there, {100 * found.across:.0f} % of the test images do"
    )
    return [(0.3 * (found.inside - found.across), text)]
