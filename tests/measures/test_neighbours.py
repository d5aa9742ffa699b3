"""Nearest neighbours out of fold: scikit-learn's predictions where there is no tie, and what ties and folds do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart.measures import neighbours as module
from headstart.measures.neighbours import MOST_NEIGHBOURS, nearest_out_of_fold, neighbours_for


def clusters(count: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features around class centres on very different scales, labels, folds."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % classes)
    features = rng.normal(size=(classes, 6))[labels] + rng.normal(size=(count, 6))
    return features * 10.0 ** np.arange(-3, 3) + 5, labels, np.arange(count) % 4


def by_scikit_learn(features: np.ndarray, labels: np.ndarray, folds: np.ndarray, k: int):
    """(predictions, whether the vote is not tied) of each image."""
    answers, clear = np.empty_like(labels), np.empty(len(labels), bool)
    for fold in np.unique(folds):
        voter = KNeighborsClassifier(k, metric="cosine", algorithm="brute")
        model = make_pipeline(StandardScaler(), voter).fit(features[folds != fold], labels[folds != fold])
        shares = np.sort(model.predict_proba(features[folds == fold]), axis=1)
        answers[folds == fold] = model.predict(features[folds == fold])
        clear[folds == fold] = shares[:, -1] > shares[:, -2] + 1e-9
    return answers, clear


@pytest.mark.parametrize(("classes", "k", "least_clear"), [(2, 5, 1.0), (5, 4, 0.5), (3, 1, 1.0), (4, 200, 0.0)])
def test_where_the_vote_is_clear_it_is_scikit_learns(classes: int, k: int, least_clear: float):
    features, labels, folds = clusters(120, classes, seed=classes)
    expected, clear = by_scikit_learn(features, labels, folds, min(k, 90))
    found = nearest_out_of_fold(features, labels, folds, neighbours=k)
    assert clear.mean() >= least_clear
    assert np.array_equal(found[clear], expected[clear])
    assert found.dtype == np.int64


def test_of_a_tied_vote_the_nearer_class_is_predicted():
    angles = np.radians([0, 10, 60, 350, 300, 180, 181])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.array([0, 1, 0, 1, 0, 2, 2])
    folds = np.array([1, 0, 0, 0, 0, 0, 0])
    # The first image has two neighbours of class 1 at 10 degrees and two of class 0 at 60.
    assert nearest_out_of_fold(features, labels, folds, neighbours=4)[0] == 1


def test_copies_in_the_same_fold_do_not_vote_for_each_other():
    rng = np.random.default_rng(0)
    once = rng.normal(size=(20, 8))
    features, labels = np.repeat(once, 2, axis=0), np.repeat(np.arange(20) % 2, 2)
    apart, together = np.arange(40) % 2, np.repeat(np.arange(20) // 2 % 2, 2)
    assert (nearest_out_of_fold(features, labels, apart, neighbours=1) == labels).mean() == 1
    assert (nearest_out_of_fold(features, labels, together, neighbours=1) == labels).mean() < 0.9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_units_and_order_do_not_count(seed: int, k: int):
    rng = np.random.default_rng(seed)
    features, labels, folds = clusters(40, 3, seed)
    expected = nearest_out_of_fold(features, labels, folds, neighbours=k)
    scaled = features * rng.uniform(0.1, 10, 6) + rng.normal(size=6)
    order = rng.permutation(40)
    found = nearest_out_of_fold(scaled[order], labels[order], folds[order], neighbours=k)
    assert np.array_equal(found, expected[order])


def test_many_images_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch):
    features, labels, folds = clusters(90, 3, seed=1)
    expected = nearest_out_of_fold(features, labels, folds, neighbours=5)
    monkeypatch.setattr(module, "_BLOCK_VALUES", 200)
    assert np.array_equal(nearest_out_of_fold(features, labels, folds, neighbours=5), expected)


def test_features_that_say_nothing_are_no_error():
    labels, folds = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    assert set(nearest_out_of_fold(np.ones((4, 3)), labels, folds, neighbours=2)) <= {0, 1}


def test_no_more_vote_than_the_smallest_class_has():
    assert neighbours_for(np.array([0] * 50 + [1] * 3)) == 3
    assert neighbours_for(np.arange(100) % 2) == MOST_NEIGHBOURS


def test_one_fold_is_refused():
    with pytest.raises(ValueError, match="1 folds and 3 neighbours"):
        nearest_out_of_fold(np.ones((4, 2)), np.zeros(4, np.int64), np.zeros(4, np.int64), neighbours=3)
