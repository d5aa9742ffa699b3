from __future__ import annotations

import numpy as np
import pytest

from headstart.inspection.features.held_out import HeldOut
from headstart.inspection.features.part_skill import mean_skill, skill_above, skill_of


def predictions(labels, predicted, groups=None) -> HeldOut:
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    return HeldOut(labels, groups, np.eye(labels.max() + 1)[predicted])


def test_skill_is_recall_less_the_false_share_of_equally_weighted_other_classes():
    labels = [0] * 4 + [1] * 2 + [2] * 8
    named = [0, 0, 0, 1] + [0, 1] + [0] * 2 + [2] * 6
    # 3/4 of class 0; 1/2 of class 1 and 1/4 of class 2 are taken for it.
    assert skill_of(predictions(labels, named), 0).value == pytest.approx(3 / 4 - (1 / 2 + 1 / 4) / 2)


def test_mean_skill_is_scikit_learns_adjusted_balanced_accuracy():
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [50, 20, 7])
    named = np.where(rng.random(77) < 0.5, labels, rng.integers(0, 3, 77))
    assert mean_skill(predictions(labels, named)) == pytest.approx(
        balanced_accuracy_score(labels, named, adjusted=True)
    )


def test_chance_is_met_as_often_as_it_says():
    """Images of a group are of one class and are predicted alike, with no skill."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 4)
    chances = []
    for _ in range(400):
        labels, named = rng.integers(0, 2, 60)[groups], rng.integers(0, 2, 60)[groups]
        chances.append(skill_of(predictions(labels, named, groups), 0).chance)
    assert 0.02 < np.mean(np.array(chances) < 0.05) < 0.09


def test_images_of_one_group_count_as_one():
    labels, named = np.repeat([0, 1], 50), np.repeat([0, 1], 50)
    alone = skill_of(predictions(labels, named), 0)
    grouped = skill_of(predictions(labels, named, np.repeat(np.arange(4), 25)), 0)
    assert alone.chance < 1e-9 < 0.01 < grouped.chance


def test_a_part_is_above_another_only_beyond_chance():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 300)
    good, bad = predictions(labels, labels), predictions(labels, rng.integers(0, 2, 300))
    lead = skill_above(good, bad, 1)
    assert lead.value == pytest.approx(skill_of(good, 1).value - skill_of(bad, 1).value)
    assert lead.chance < 1e-9
    assert skill_above(good, good, 1).chance == 1
