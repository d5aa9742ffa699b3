"""Class means, macro F1 and their intervals: scikit-learn, a bootstrap, and simulations as references."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.utils.class_weight import compute_sample_weight

from headstart.measures.class_means import (
    class_mean,
    class_weights,
    macro_f1,
    macro_f1_by_image,
    macro_f1_interval,
    stratified_p_value,
)

SHARES = (0.6, 0.3, 0.1)


def drawn(count: int, *, error: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes of unequal size, and predictions of which a share is drawn anew."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count, p=SHARES)
    anew = rng.random(count) < error
    return labels, np.where(anew, rng.choice(3, count, p=SHARES), labels)


@pytest.mark.parametrize("seed", range(5))
def test_means_over_classes_are_those_of_scikit_learn(seed: int) -> None:
    labels, predicted = drawn(90, error=0.4, seed=seed)
    assert class_weights(labels) == pytest.approx(compute_sample_weight("balanced", labels))
    assert class_mean(labels == predicted, labels) == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert macro_f1(labels, predicted) == pytest.approx(f1_score(labels, predicted, average="macro"))


def test_classes_without_images_do_not_count() -> None:
    labels, predicted = np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2])
    assert macro_f1(labels, predicted) == pytest.approx((2 / 3 + 1) / 2)
    assert class_mean(labels == predicted, labels) == 0.75


def test_what_images_add_to_macro_f1_is_its_derivative_by_their_weights() -> None:
    labels, predicted = drawn(40, error=0.5, seed=3)
    _, parts = macro_f1_by_image(labels, predicted)
    assert parts.sum() == pytest.approx(0, abs=1e-12)
    for at in range(5):
        step = np.ones(40)
        step[at] += 1e-6
        moved = f1_score(labels, predicted, average="macro", sample_weight=step)
        assert (moved - macro_f1(labels, predicted)) / 1e-6 == pytest.approx(parts[at], abs=1e-6)


def test_the_spread_of_macro_f1_and_of_a_difference_is_that_of_a_bootstrap() -> None:
    labels, first = drawn(400, error=0.3, seed=1)
    second = np.where(np.random.default_rng(9).random(400) < 0.2, 0, labels)
    one, other = (macro_f1_by_image(labels, predicted)[1] for predicted in (first, second))
    rng, found = np.random.default_rng(0), []
    for _ in range(600):
        some = rng.integers(0, 400, 400)
        found.append([macro_f1(labels[some], predicted[some]) for predicted in (first, second)])
    alone, apart = np.array(found).T[0].std(), np.diff(np.array(found)).std()
    assert np.sqrt((one**2).sum()) == pytest.approx(alone, rel=0.1)
    assert np.sqrt(((one - other) ** 2).sum()) == pytest.approx(apart, rel=0.1)


@pytest.mark.parametrize(("count", "error"), [(150, 0.3), (60, 0.3), (150, 0.05)])
def test_intervals_of_macro_f1_hold_the_truth_as_often_as_they_say(count: int, error: float) -> None:
    truth = macro_f1(*drawn(400_000, error=error, seed=77))
    hits = []
    for seed in range(300):
        labels, predicted = drawn(count, error=error, seed=seed)
        low, high = macro_f1_interval(labels, predicted, np.arange(count))
        hits.append(low <= truth <= high)
    assert np.mean(hits) >= 0.92  # 0.95 less two and a half standard deviations of 300 draws


def test_the_interval_of_groups_is_wider_and_that_of_no_error_reaches_one() -> None:
    labels, predicted = drawn(60, error=0.3, seed=5)
    low, high = macro_f1_interval(labels, predicted, np.arange(60))
    copies = (np.repeat(one, 4) for one in (labels, predicted, np.arange(60)))
    assert macro_f1_interval(*copies) == pytest.approx((low, high), abs=0.03)
    low, high = macro_f1_interval(labels, labels, np.arange(60))
    assert high == 1.0
    assert 0.5 < low < 0.97  # six of the smallest class: far fewer than 60 images


def test_with_one_class_the_stratified_test_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(2)
    before, after = rng.gamma(1, 1, 50), rng.gamma(1, 0.9, 50)
    expected = ttest_rel(before, after, alternative="greater").pvalue
    assert stratified_p_value(before, after, np.zeros(50, np.int64)) == pytest.approx(expected)


def test_a_small_class_decides_as_much_as_a_large_one() -> None:
    labels = np.repeat([0, 1], [190, 10])
    rng = np.random.default_rng(4)
    before, noise = np.ones(200), rng.normal(0, 0.1, 200)
    gains = np.where(labels == 1, 0.6, -0.03) + noise
    assert stratified_p_value(before, before - gains, labels) < 1e-3
    assert ttest_rel(before, before - gains, alternative="greater").pvalue > 0.1


def test_equal_candidates_are_called_better_as_often_as_the_level_says() -> None:
    labels = np.repeat([0, 1, 2], [100, 30, 8])
    found = []
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        found.append(stratified_p_value(rng.gamma(1, 1, 138), rng.gamma(1, 1, 138), labels))
    assert 0.03 <= np.mean(np.array(found) < 0.05) <= 0.07


def test_no_difference_and_a_constant_one_have_a_p_value() -> None:
    labels = np.array([0, 0, 1])
    assert stratified_p_value(np.ones(3), np.ones(3), labels) == 1.0
    assert stratified_p_value(np.ones(3), np.zeros(3), labels) == 0.0
