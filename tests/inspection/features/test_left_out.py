"""Left-out scores against heads that are really fitted again, and votes against a search one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from headstart.arrays import Positions
from headstart.inspection.features.left_out import (
    LEAST_VOTES,
    left_out_scores,
    neighbour_votes,
    standardised,
    without_large_groups,
)


def made(count: int, width: int, seed: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    features = rng.normal(size=(count, width)) + rng.normal(size=(classes, width))[labels]
    return standardised(features), labels


def fitted_again(rows: np.ndarray, labels: np.ndarray, groups: Positions, l2_penalty: float) -> np.ndarray:
    """Scores of each group by scikit-learn's ridge regression on all other images."""
    targets, scores = np.eye(labels.max() + 1)[labels], np.empty((len(rows), labels.max() + 1))
    for group in np.unique(groups):
        out = groups == group
        head = Ridge(alpha=l2_penalty * len(rows)).fit(rows[~out].astype(float), targets[~out])
        scores[out] = head.predict(rows[out].astype(float))
    return scores


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([(40, 6), (24, 50)]), st.integers(0, 100), st.sampled_from([1, 2, 5]))
def test_left_out_scores_equal_those_of_heads_fitted_again(shape, seed, size):
    rows, labels = made(*shape, seed)
    groups = np.random.default_rng(seed).permutation(len(rows)) // size
    found = left_out_scores(rows, labels, groups)
    expected = fitted_again(rows, labels, groups, found.l2_penalty)
    assert found.scores == pytest.approx(expected, abs=2e-3)
    assert found.error == pytest.approx(float(((np.eye(3)[labels] - expected) ** 2).mean()), rel=0.02)


def test_noise_asks_for_a_stronger_penalty_than_clear_classes():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    noise = standardised(rng.normal(size=(60, 40)))
    clear = standardised(rng.normal(size=(60, 40)) + 2 * labels[:, None])
    alone = np.arange(60)
    assert left_out_scores(noise, labels, alone).l2_penalty > left_out_scores(clear, labels, alone).l2_penalty


def test_a_copy_does_not_vouch_for_the_label_of_its_group():
    rows, labels = made(60, 200, 3)
    rows, labels = np.concatenate([rows, rows[:1]]), np.append(labels, labels[0])
    labels[[0, -1]] = 2  # both copies carry the same wrong label
    apart = np.arange(61)
    together = np.append(np.arange(60), 0)
    assert (
        left_out_scores(rows, labels, apart).scores[0, 2] > left_out_scores(rows, labels, together).scores[0, 2] + 0.2
    )


def test_votes_are_those_of_the_nearest_images_of_other_groups():
    rows, labels = made(45, 8, 1)
    groups = np.arange(45) // 2
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = neighbour_votes(rows, labels, groups)
    for at in range(45):
        others = [n for n in range(45) if groups[n] != groups[at]]
        nearest = sorted(others, key=lambda n: -unit[at] @ unit[n])[:LEAST_VOTES]
        votes = np.bincount(labels[nearest], minlength=3)
        assert found[at] == pytest.approx(np.log((votes + 0.5) / (LEAST_VOTES + 1.5)), abs=1e-5)


def test_a_group_that_holds_a_class_is_divided():
    labels = np.array([0] * 10 + [1] * 10)
    groups = np.array([7] * 6 + [1, 1, 2, 3] + [4, 4] + [5] * 8)
    found = without_large_groups(groups, labels)
    assert len(np.unique(found[:6])) == 6
    assert len(np.unique(found[12:])) == 8
    assert found[6] == found[7]
    assert found[10] == found[11]
    assert len(np.unique(without_large_groups(np.zeros(4, int), np.array([0, 1, 0, 1])))) == 4


def test_constant_features_say_nothing():
    rows = standardised(np.column_stack([np.full(5, 3.0), np.arange(5.0)]))
    assert rows[:, 0].tolist() == [0] * 5
    assert rows[:, 1].std() == pytest.approx(1)
