"""Rounds of few and many images: the networks of each round, their scores, and which of them stay."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from headstart.advice.shortlist.halving import (
    FIRST_OF_A_CLASS,
    NetworkScores,
    classes_in_one_group,
    difference,
    last_round_size,
    nested_order,
    ranked,
    remaining_networks,
    round_sizes,
    score_features,
    stratified_folds,
)
from headstart.data.sources.reading import ImageRecord
from headstart.measures.intervals import wilson_interval


def clouds(count: int, width: int, num_classes: int, *, spread: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """(N, F) features that tell classes apart the better the smaller the spread, and the classes."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(count) % num_classes)
    inner = rng.normal(0, 1, (num_classes, 8))[labels] + rng.normal(0, spread, (count, 8))
    return (inner @ rng.normal(0, 1, (8, width)) + rng.normal(0, 0.5, (count, width))).astype(np.float32), labels


def folds_of(count: int) -> np.ndarray:
    return np.random.default_rng(1).permutation(np.arange(count) % 5)


def records(**counts: int) -> list[ImageRecord]:
    return [ImageRecord(f"{label}/{n:03d}.jpg", label, "all") for label, count in counts.items() for n in range(count)]


def scores(
    model: str, losses: np.ndarray, correct: np.ndarray | None = None, together: np.ndarray | None = None
) -> NetworkScores:
    right = np.ones(len(losses), bool) if correct is None else correct
    return NetworkScores(model, np.asarray(losses, np.float64), right, (0.0, 1.0), 1.0, 0.0, 0.0, 0.0, together)


@given(counts=st.lists(st.integers(2, 60), min_size=2, max_size=6), seed=st.integers(0, 9), share=st.floats(0.1, 1))
def test_every_beginning_is_stratified(counts: list[int], seed: int, share: float):
    images = records(**{f"c{n}": count for n, count in enumerate(counts)})
    order = nested_order(images, seed=seed)
    assert sorted(one.id for one in order) == sorted(one.id for one in images)
    taken = order[: max(1, round(share * len(order)))]
    held, total = Counter(one.label for one in taken), Counter(one.label for one in images)
    if len(taken) >= FIRST_OF_A_CLASS * len(counts):
        assert all(held[label] >= min(FIRST_OF_A_CLASS, total[label]) for label in total)
    furthest = max(((held[c] - 1) / total[c] for c in total if held[c] > FIRST_OF_A_CLASS), default=0)
    assert all(held[c] / total[c] >= furthest for c in total)  # no class is ahead by more than one image


def test_the_order_hangs_on_the_seed_and_the_names_alone():
    images = records(a=20, b=10)
    order = nested_order(images, seed=3)
    assert order == nested_order(images[::-1], seed=3)
    assert order != nested_order(images, seed=4)


@given(images=st.integers(8, 20_000), classes=st.integers(2, 300))
def test_rounds_at_least_grow_by_half_and_end_with_everything(images: int, classes: int):
    sizes = round_sizes(images, classes)
    assert sizes[-1] == images
    assert all(small * 1.5 <= large for small, large in pairwise(sizes))
    assert all(size >= FIRST_OF_A_CLASS * classes for size in sizes[:-1])


def test_sizes_as_the_guide_says_them():
    assert round_sizes(512, 2) == (64, 128, 256, 512)
    assert round_sizes(195, 2) == (64, 128, 195)
    assert round_sizes(90, 2) == (90,)
    assert round_sizes(1000, 100) == (400, 1000)
    assert last_round_size(5000, 10, requested=None) == 512
    assert last_round_size(5000, 100, requested=None) == 800
    assert last_round_size(300, 10, requested=None) == 300
    assert last_round_size(5000, 10, requested=200) == 200


def test_folds_keep_groups_together():
    images = records(a=12, b=12)
    groups = {one.id: str(n // 3) for n, one in enumerate(images)}
    folds = stratified_folds(images, groups, seed=0)
    assert len(set(folds)) == 5
    assert all(len({f for f, one in zip(folds, images, strict=True) if groups[one.id] == g}) == 1 for g in "0123")
    assert set(stratified_folds(images, {one.id: one.label for one in images}, seed=0)) == {0, 1}


def test_classes_that_no_fold_can_train_and_evaluate_are_found():
    images = records(a=4, b=4, c=1)
    groups = {one.id: "one patient" if one.label == "b" else one.id for one in images}
    assert classes_in_one_group(images, groups) == ("b", "c")
    assert classes_in_one_group(images[:4], groups) == ()


def test_two_groups_of_a_class_each_are_evaluated_without_an_error():
    """Each fold is asked about a class that it has not learned: wrong everywhere, and a number all the same."""
    features, labels = clouds(40, 6, 2)
    found = score_features("net", features, labels, labels, labels, num_classes=2)
    assert found.accuracy == found.knn_accuracy == 0
    assert np.isfinite([*found.losses_N, *found.accuracy_interval, found.log_me, found.h_score]).all()


def test_the_probe_is_a_cross_validated_ridge_regression():
    features, labels = clouds(90, 12, 3)
    folds = folds_of(90)
    found = score_features("net", features, labels, folds, np.arange(90), num_classes=3)
    scores, scaled = np.empty((90, 3)), StandardScaler().fit_transform(features)
    for fold in np.unique(folds):
        fit = folds != fold
        alpha = found.l2_penalty * fit.sum()
        model = Ridge(alpha).fit(scaled[fit], np.eye(3)[labels[fit]])
        scores[~fit] = model.predict(scaled[~fit])
    assert (found.correct_N == (scores.argmax(axis=1) == labels)).mean() > 0.97
    assert found.accuracy_interval == pytest.approx(wilson_interval(int(found.correct_N.sum()), 90))
    # No temperature makes a lower loss of these scores than the one that was found.
    rows = np.arange(90)
    losses = []
    for sharpness in np.linspace(0.5, 20, 200):
        logits = scores * sharpness
        losses.append(float((np.log(np.exp(logits).sum(axis=1)) - logits[rows, labels]).mean()))
    assert found.log_loss == pytest.approx(min(losses), abs=5e-3)
    assert 0.5 < found.knn_accuracy <= 1
    assert found.to_dict()["accuracy"] == found.accuracy


def test_better_features_score_better_in_all_four_rankings():
    order = []
    for spread in (0.5, 6.0):
        features, labels = clouds(120, 24, 3, spread=spread)
        one = score_features("net", features, labels, folds_of(120), np.arange(120), num_classes=3)
        order.append((-one.log_loss, one.accuracy, one.log_me, one.h_score, one.knn_accuracy))
    assert all(better > worse for better, worse in zip(*order, strict=True))


def test_the_worse_half_leaves_but_for_who_ties_with_the_last_that_stays():
    rng = np.random.default_rng(0)
    base = rng.exponential(0.5, 64)
    requested = [scores(name, base + shift) for name, shift in (("d", 0.6), ("a", 0.0), ("c", 0.4), ("b", 0.2))]
    assert remaining_networks(requested, keep=1) == ("a", "b")
    assert remaining_networks(requested, keep=3) == ("a", "b", "c")
    assert remaining_networks(requested, keep=9) == ("a", "b", "c", "d")
    tied = scores("e", base + 0.2 + rng.normal(0.05, 1, 64))
    assert "e" in remaining_networks([*requested, tied], keep=1)
    assert [one.model for one in ranked(requested)] == ["a", "b", "c", "d"]


def test_the_difference_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(1)
    first, second = rng.exponential(0.4, 80), rng.exponential(0.6, 80)
    right, wrong = rng.random(80) < 0.9, rng.random(80) < 0.8
    found = difference(scores("a", first, right), scores("b", second, wrong))
    expected = ttest_rel(second, first).confidence_interval()
    assert found.log_loss_interval == pytest.approx((expected.low, expected.high))
    assert found.log_loss == pytest.approx(second.mean() - first.mean())
    assert found.accuracy == pytest.approx(right.mean() - wrong.mean())
    assert found.accuracy_interval[0] < found.accuracy < found.accuracy_interval[1]
    assert found.is_tie == (expected.low <= 0 <= expected.high)


def alike(rng: np.random.Generator, spread: float) -> tuple[NetworkScores, NetworkScores, np.ndarray]:
    """Two networks on 20 patients with ten images each, whose losses differ by patient alone; the second is as good."""
    patients = np.repeat(np.arange(20), 10)
    gaps = np.repeat(rng.normal(0, spread, 20), 10) + rng.normal(0, 0.05, 200)
    right = np.repeat(rng.random((2, 20)) < 0.7, 10, axis=1)
    base = rng.exponential(0.5, 200)
    return scores("a", base, right[0], patients), scores("b", base + gaps, right[1], patients), patients


def test_images_of_one_patient_decide_nothing_together():
    rng = np.random.default_rng(0)
    ties = {"by patient": 0, "by image": 0}
    for _ in range(200):
        first, second, _ = alike(rng, 0.5)
        ties["by patient"] += difference(first, second).is_tie
        ties["by image"] += difference(replace(first, together_N=None), replace(second, together_N=None)).is_tie
    assert ties["by patient"] / 200 == pytest.approx(0.95, abs=0.05)
    assert ties["by image"] / 200 < 0.5, "as if each image were a patient: chance wins most of the time"


def test_intervals_of_a_difference_are_wider_by_patient():
    first, second, patients = alike(np.random.default_rng(1), 0.5)
    found = difference(first, second)
    alone = difference(replace(first, together_N=np.arange(200)), second)
    assert alone == difference(replace(first, together_N=None), second)
    for ours, theirs in (
        (found.log_loss_interval, alone.log_loss_interval),
        (found.accuracy_interval, alone.accuracy_interval),
    ):
        assert ours[0] < theirs[0] < theirs[1] < ours[1]
    sums = np.bincount(patients, second.losses_N - first.losses_N)
    expected = ttest_rel(sums, np.zeros(20)).confidence_interval()  # all patients have ten images
    assert found.log_loss_interval == pytest.approx((expected.low / 10, expected.high / 10))


def test_few_patients_put_no_network_out():
    first, second, _ = alike(np.random.default_rng(0), 0.5)
    worse = replace(second, losses_N=second.losses_N - (second.losses_N - first.losses_N).mean() + 0.1)
    assert remaining_networks([first, worse], keep=1) == ("a", "b")
    assert remaining_networks([replace(first, together_N=None), replace(worse, together_N=None)], keep=1) == ("a",)


def test_verdicts():
    base = np.linspace(0.1, 1, 32)
    same = difference(scores("a", base), scores("b", base))
    assert same.to_dict()["verdict"] == "tie"
    assert difference(scores("a", base), scores("b", base + 1)).to_dict()["verdict"] == "a is better"
    assert difference(scores("a", base + 1), scores("b", base)).to_dict()["verdict"] == "b is better"
    with pytest.raises(ValueError, match="32 and 8 images"):
        difference(scores("a", base), scores("b", base[:8]))
