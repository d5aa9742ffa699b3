from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.inspection.features.held_out import grouped_folds, held_out_predictions


@given(st.integers(0, 2**16), st.integers(10, 60))
def test_a_group_lies_in_one_fold_and_folds_are_alike(seed, count):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, count, 4 * count)
    labels = rng.integers(0, 3, 4 * count)
    folds = grouped_folds(labels, groups, seed=seed)
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups))
    sizes = np.bincount(folds, minlength=5)
    assert sizes.max() - sizes.min() <= 2 * np.bincount(groups).max() + 3


def test_classes_are_spread_over_the_folds():
    labels = np.repeat([0, 1], [90, 10])
    folds = grouped_folds(labels, np.arange(100))
    assert (np.bincount(folds[labels == 1], minlength=5) == 2).all()


def test_predictions_are_of_heads_that_never_saw_the_group():
    """Features that name the group tell its class perfectly, but not before one has seen it."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    labels = rng.permutation(np.repeat([0, 1], 20))[groups]
    rows = np.eye(40)[groups]
    blind = held_out_predictions(rows, labels, groups, grouped_folds(labels, groups))
    seeing = held_out_predictions(rows, labels, groups, grouped_folds(labels, np.arange(200)))
    assert blind.balanced_accuracy < 0.65
    assert seeing.balanced_accuracy > 0.95


def test_a_small_class_counts_as_much_as_a_large_one():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [380, 20])
    rows = rng.normal(size=(400, 2)) + 1.5 * labels[:, None]
    found = held_out_predictions(rows, labels, np.arange(400), grouped_folds(labels, np.arange(400)))
    low, high = found.balanced_accuracy_interval()
    assert found.recall(1) > 0.6
    assert found.balanced_accuracy == pytest.approx((found.recall(0) + found.recall(1)) / 2)
    assert low < found.balanced_accuracy < high
