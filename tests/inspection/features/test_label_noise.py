"""The model of wrong labels, on labels drawn from it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from headstart.inspection.features.label_noise import _loss, _packed, fit_label_noise


def drawn(count: int, classes: int, share: float, *, sharpness: float, seed: int = 0):
    """Scores, labels drawn from their softmax and then made wrong, and which are wrong."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(count, classes)).astype(np.float32)
    true = (sharpness * scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    wrong = rng.random(count) < share
    labels = np.where(wrong, (true + rng.integers(1, classes, count)) % classes, true)
    return scores, labels, wrong


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_share_of_wrong_labels_is_estimated(share):
    scores, labels, wrong = drawn(4000, 4, share, sharpness=8)
    found = fit_label_noise([scores], labels)
    assert found.share == pytest.approx(wrong.mean(), abs=0.02)
    assert found.wrong.sum() == pytest.approx(found.share * 4000, rel=0.05)


def test_probabilities_of_wrong_labels_are_calibrated():
    scores, labels, wrong = drawn(6000, 4, 0.1, sharpness=8, seed=1)
    found = fit_label_noise([scores], labels)
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.0)):
        here = (found.wrong >= low) & (found.wrong <= high)
        assert found.wrong[here].mean() == pytest.approx(wrong[here].mean(), abs=0.06)


@pytest.mark.parametrize("sharpness", [0.5, 2, 8])
def test_classes_that_are_hard_to_tell_apart_are_no_errors(sharpness):
    scores, labels, _ = drawn(3000, 3, 0, sharpness=sharpness, seed=2)
    found = fit_label_noise([scores], labels)
    assert found.share < 0.02
    assert (found.wrong > 0.5).mean() < 0.004


def test_a_useless_second_score_changes_little():
    scores, labels, _ = drawn(3000, 3, 0.1, sharpness=8, seed=3)
    noise = np.random.default_rng(4).normal(size=scores.shape).astype(np.float32)
    alone, both = fit_label_noise([scores], labels), fit_label_noise([scores, noise], labels)
    assert np.corrcoef(alone.wrong, both.wrong)[0, 1] > 0.99


def test_few_images_share_one_weight_for_all_classes():
    scores, labels, wrong = drawn(100, 3, 0.1, sharpness=30, seed=5)
    found = fit_label_noise([scores, scores], labels)
    # One weight for each kind of score: probabilities keep the order of the scores.
    assert (found.probabilities.argmax(axis=1) == scores.argmax(axis=1)).all()
    assert found.wrong[wrong].mean() > 0.7
    assert found.wrong[~wrong].mean() < 0.1


@pytest.mark.parametrize("kind", ["of_scores", "of_classes"])
def test_gradient_is_that_of_the_loss(kind):
    scores, labels, _ = drawn(40, 3, 0.1, sharpness=3)
    rows = np.concatenate([scores, scores[::-1]], axis=1).astype(float)
    begin = _packed(np.concatenate([5 * np.eye(3), 0.5 * np.eye(3)]), np.zeros(3), kind)
    at = np.append(begin + np.random.default_rng(0).normal(size=begin.shape) / 5, -2.0)
    error = check_grad(
        lambda values: _loss(values, rows, labels, begin, kind)[0],
        lambda values: _loss(values, rows, labels, begin, kind)[1],
        at,
    )
    assert error < 1e-5
