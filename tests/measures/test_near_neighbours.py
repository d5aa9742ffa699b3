"""How near the nearest images are, against scikit-learn, and when it is remarkable."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from headstart.measures import near_neighbours
from headstart.measures.near_neighbours import compare_neighbours, nearest_cosines, nearest_others, succession


def features(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 16))


def bursts(scenes: int, size: int, seed: int = 0) -> np.ndarray:
    """Images of a scene one after the other, much nearer to each other than to others."""
    return np.repeat(features(scenes, seed), size, axis=0) + 0.2 * features(scenes * size, seed + 1)


@pytest.mark.parametrize("block", [2**22, 50])
def test_nearest_cosines_are_those_of_scikit_learn(block: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(near_neighbours, "_BLOCK_VALUES", block)
    known, wanted, groups = features(40), features(9, 1), np.arange(40) // 2
    assert np.allclose(nearest_cosines(wanted, known), cosine_similarity(wanted, known).max(axis=1), atol=1e-5)
    alike = cosine_similarity(known)
    alike[groups[:, None] == groups] = -2
    cosines, which = nearest_others(known, groups)
    assert np.allclose(cosines, alike.max(axis=1), atol=1e-5)
    assert (which == alike.argmax(axis=1)).all()


def test_bursts_in_training_are_remarkable_next_to_test_images_of_other_scenes():
    train, test = bursts(40, 5), features(80, 9)
    inside, _ = nearest_others(train, np.arange(len(train)))
    found = compare_neighbours(inside, nearest_cosines(test, train))
    assert found.is_remarkable
    assert found.across == pytest.approx(0.1, abs=0.01)
    assert found.inside > 0.9
    assert found.inside == np.mean(inside > found.cosine)


@pytest.mark.parametrize("seed", range(5))
def test_images_of_one_distribution_are_not_remarkable(seed: int):
    train, test = features(200, seed), features(80, seed + 50)
    inside, which = nearest_others(train, np.arange(200))
    assert not compare_neighbours(inside, nearest_cosines(test, train)).is_remarkable
    assert not succession(which, np.arange(200) % 2).is_remarkable


def test_few_images_are_never_remarkable():
    train, test = bursts(5, 5), features(20, 9)
    inside, which = nearest_others(train, np.arange(25))
    assert not compare_neighbours(inside, nearest_cosines(test, train)).is_remarkable
    assert not succession(which, np.zeros(25, np.int64)).is_remarkable


def test_files_that_follow_each_other_are_counted_inside_their_class():
    train, labels = bursts(40, 5), np.arange(200) // 5 % 2
    _, which = nearest_others(train, np.arange(200))
    found = succession(which, labels)
    assert found.is_remarkable
    assert found.chance == pytest.approx(4 / 99)
    place = np.empty(200, np.int64)
    for label in (0, 1):
        place[labels == label] = np.arange(100)
    beside = [labels[i] == labels[j] and abs(place[i] - place[j]) <= 2 for i, j in enumerate(which)]
    assert found.share == np.mean(beside) > 0.5
    mixed = np.random.default_rng(0).permutation(200)
    _, which = nearest_others(train[mixed], np.arange(200))
    assert not succession(which, labels[mixed]).is_remarkable, "the same images in an order that says nothing"
