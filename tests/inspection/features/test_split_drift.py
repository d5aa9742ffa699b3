from __future__ import annotations

import numpy as np
import pytest

from headstart.inspection.features.held_out import grouped_folds
from headstart.inspection.features.split_drift import split_drift


def test_the_area_is_scikit_learns_within_each_fold():
    from sklearn.metrics import roc_auc_score

    features, _, is_second, _ = grouped(np.random.default_rng(0), shift=2.0)
    alone, one = np.arange(240), np.zeros(240, np.int64)
    drift = split_drift(features, one, is_second, alone)
    folds = grouped_folds(one, alone)
    areas, weights = [], []
    for fold in range(5):
        rows = folds == fold
        second = is_second[rows].sum()
        areas.append(roc_auc_score(is_second[rows], drift.scores_N[rows]))
        weights.append(second * (rows.sum() - second) / (rows.sum() + 1))
    assert drift.overall.auroc == pytest.approx(np.average(areas, weights=weights))
    assert drift.overall.interval[0] < drift.overall.auroc < drift.overall.interval[1]


def grouped(rng: np.random.Generator, *, shift: float = 0.0, spread: float = 1.0):
    """60 groups of 4 images, alike in their features, half of them in the second split."""
    groups = np.repeat(np.arange(60), 4)
    is_second = rng.permutation(np.repeat([False, True], 30))[groups]
    labels = rng.integers(0, 2, 240)
    features = rng.normal(size=(240, 8)) + spread * rng.normal(size=(60, 8))[groups]
    features[:, 0] += shift * is_second
    return features.astype(np.float32), labels, is_second, groups


def test_random_divisions_of_groups_are_the_same_about_as_often_as_promised():
    rng = np.random.default_rng(0)
    chances = [split_drift(*grouped(rng)).overall.chance for _ in range(120)]
    assert np.mean(np.array(chances) < 0.05) <= 0.1


def test_a_shift_is_found_and_measured():
    drift = split_drift(*grouped(np.random.default_rng(1), shift=3.0))
    assert drift.overall.chance < 0.001
    assert drift.overall.auroc > 0.8
    assert set(drift.by_class) == {0, 1}


def test_other_class_shares_alone_are_no_drift():
    rng = np.random.default_rng(2)
    is_second = np.arange(600) % 2 == 1
    labels = (rng.random(600) < np.where(is_second, 0.8, 0.3)).astype(np.int64)
    features = rng.normal(size=(600, 6)) + 4 * labels[:, None]
    drift = split_drift(features, labels, is_second, np.arange(600))
    assert drift.overall.auroc == pytest.approx(0.5, abs=0.06)
    assert drift.overall.chance > 0.01


def test_the_class_that_drifts_is_told_from_the_one_that_does_not():
    rng = np.random.default_rng(3)
    is_second, labels = np.arange(800) % 2 == 1, np.arange(800) // 2 % 2
    features = rng.normal(size=(800, 6))
    # Along the class's own direction, because the head is linear: only in class 1 does it tell the split.
    features[:, 0] += 3 * labels * is_second
    drift = split_drift(features, labels, is_second, np.arange(800))
    assert drift.by_class[1].auroc > 0.9
    assert drift.by_class[0].auroc < 0.6


def test_few_groups_say_nothing():
    features, labels, is_second, groups = grouped(np.random.default_rng(0))
    few = np.where(is_second, 0, groups + 1)
    assert split_drift(features, labels, is_second, few) is None
