"""Figures of merit against scikit-learn, scipy and torchmetrics."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.evaluate.metrics import (
    accuracy,
    balanced_accuracy,
    beats,
    confusion_matrix,
    is_beatable,
    judge,
    log_loss,
    per_class,
    sign_test,
    wilson_interval,
)

FAST = settings(max_examples=50, deadline=None)
Case = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64], int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """(labels, predicted, probabilities, K); a class may have no image, and one may never be predicted."""
    num_classes = draw(st.integers(2, 6))
    count = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(0, draw(st.integers(1, num_classes)), count)
    probabilities = rng.dirichlet(np.full(num_classes, 0.5), count) * (1 - 1e-6) + 1e-6 / num_classes
    return labels, probabilities.argmax(axis=1), probabilities, num_classes


@FAST
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_equals_scipy(counts: tuple[int, int]) -> None:
    from scipy.stats import binomtest

    reference = binomtest(*counts).proportion_ci(0.95, method="wilson")
    assert wilson_interval(*counts) == pytest.approx((reference.low, reference.high), abs=1e-12)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 3), (4, 3)])
def test_what_is_no_share_is_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match=f"{successes} successes of {trials} trials is no share"):
        wilson_interval(successes, trials)


@FAST
@given(cases())
def test_confusion_matrix_equals_torchmetrics(case: Case) -> None:
    import torch
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    labels, predicted, _, num_classes = case
    reference = multiclass_confusion_matrix(torch.tensor(predicted), torch.tensor(labels), num_classes)
    assert np.array_equal(confusion_matrix(labels, predicted, num_classes), reference.numpy())


def test_rows_are_the_truth() -> None:
    confusion = confusion_matrix(np.array([0, 0, 1]), np.array([1, 1, 1]), 2)
    assert confusion.tolist() == [[0, 2], [0, 1]]


@FAST
@given(cases())
def test_accuracies_equal_sklearn(case: Case) -> None:
    from sklearn import metrics

    labels, predicted, _, num_classes = case
    confusion = confusion_matrix(labels, predicted, num_classes)
    assert accuracy(confusion) == pytest.approx(metrics.accuracy_score(labels, predicted))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sklearn warns of classes that are only predicted, and of a single class
        reference = metrics.balanced_accuracy_score(labels, predicted)
    assert balanced_accuracy(confusion) == pytest.approx(reference)


@FAST
@given(cases())
def test_figures_per_class_equal_sklearn(case: Case) -> None:
    from sklearn.metrics import precision_recall_fscore_support

    labels, predicted, _, num_classes = case
    names = [f"class {index}" for index in range(num_classes)]
    found = per_class(confusion_matrix(labels, predicted, num_classes), names)
    reference = precision_recall_fscore_support(labels, predicted, labels=range(num_classes), zero_division=0)
    assert list(found) == names
    for key, values in zip(("precision", "recall", "f1", "images"), reference, strict=True):
        assert [found[name][key] for name in names] == pytest.approx(list(values)), key
    for index, name in enumerate(names):
        images = int((labels == index).sum())
        hits = int(((labels == index) & (predicted == index)).sum())
        assert found[name]["recall_interval"] == (list(wilson_interval(hits, images)) if images else None)


@FAST
@given(cases())
def test_log_loss_equals_sklearn(case: Case) -> None:
    from sklearn import metrics

    labels, _, probabilities, num_classes = case
    reference = metrics.log_loss(labels, probabilities, labels=range(num_classes))
    assert log_loss(probabilities, labels) == pytest.approx(reference, rel=1e-6)


def test_log_loss_of_a_sure_mistake_is_finite_and_of_certainty_zero() -> None:
    assert log_loss(np.array([[0.0, 1.0]]), np.array([0])) == pytest.approx(-math.log(1e-12))
    assert log_loss(np.array([[1.0, 0.0]], np.float32), np.array([0])) == 0


@FAST
@given(wins=st.integers(0, 1000), losses=st.integers(0, 1000))
def test_sign_test_equals_the_binomial_test(wins: int, losses: int) -> None:
    from scipy.stats import binomtest

    found = sign_test(wins, losses)
    assert 0 <= found <= 1
    if wins + losses == 0:
        assert found == 1
    else:
        reference = binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue
        assert found == pytest.approx(reference, rel=1e-9, abs=1e-300)


def right(*flags: int) -> npt.NDArray[np.bool_]:
    return np.array(flags, bool)


@pytest.mark.parametrize(
    ("wins", "losses", "noise_level", "expected"),
    [(5, 0, 0.05, True), (4, 0, 0.05, False), (0, 5, 0.05, False), (8, 1, 0.05, True), (7, 1, 0.02, False)],
)
def test_beats_counts_only_images_that_one_of_them_has_right(
    wins: int, losses: int, noise_level: float, expected: bool
) -> None:
    """(4, 0) has chance 1/16, (5, 0) 1/32, (8, 1) 10/512, (7, 1) 9/256."""
    incumbent = right(*[0] * wins, *[1] * losses, *[1] * 50, *[0] * 20)
    challenger = right(*[1] * wins, *[0] * losses, *[1] * 50, *[0] * 20)
    assert beats(incumbent, challenger, noise_level=noise_level) is expected


@pytest.mark.parametrize(("mistakes", "expected"), [(0, False), (4, False), (5, True), (30, True)])
def test_too_few_mistakes_cannot_be_beaten(mistakes: int, expected: bool) -> None:
    assert is_beatable(right(*[0] * mistakes, *[1] * 40), noise_level=0.05) is expected


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(is_plain(key) and is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or type(value) in (str, int, float, bool)


@FAST
@given(cases())
def test_judge_gathers_the_figures_as_plain_values(case: Case) -> None:
    labels, predicted, probabilities, num_classes = case
    answer = judge(probabilities, labels, [str(index) for index in range(num_classes)])
    confusion = confusion_matrix(labels, predicted, num_classes)
    hits = int((labels == predicted).sum())
    assert is_plain(answer)
    assert answer["images"] == len(labels)
    assert answer["accuracy"] == hits / len(labels)
    assert answer["accuracy_interval"] == list(wilson_interval(hits, len(labels)))
    assert answer["balanced_accuracy"] == balanced_accuracy(confusion)
    assert answer["log_loss"] == log_loss(probabilities, labels)
    assert answer["confusion"] == confusion.tolist()
    assert sum(figures["images"] for figures in answer["per_class"].values()) == len(labels)
