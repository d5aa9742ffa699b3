"""Figures of merit against scikit-learn, scipy and torchmetrics."""

from __future__ import annotations

import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.measures.figures import EvaluationFigures
from headstart.measures.intervals import wilson_interval
from headstart.measures.metrics import (
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    evaluation_figures,
    log_loss,
    paired_p_value,
    per_class,
    sharpened_log_losses,
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
    found = per_class(labels, predicted, names)
    reference = precision_recall_fscore_support(labels, predicted, labels=range(num_classes), zero_division=np.nan)
    assert list(found) == names
    for index, name in enumerate(names):
        row, images, named = found[name], int((labels == index).sum()), int((predicted == index).sum())
        hits = int(((labels == index) & (predicted == index)).sum())
        assert (row.images, row.predicted) == (images, named)
        assert row.recall_interval == (pytest.approx(wilson_interval(hits, images)) if images else None)
        if not images:
            assert row.recall is row.precision is row.f1 is row.precision_interval is None
            continue
        assert row.recall == pytest.approx(reference[1][index])
        assert row.f1 == pytest.approx(reference[2][index])
        assert row.precision == (pytest.approx(reference[0][index]) if named else None)
        assert row.precision_interval == (pytest.approx(wilson_interval(hits, named)) if named else None)


def test_figures_of_groups_are_less_certain_in_every_interval() -> None:
    rng = np.random.default_rng(3)
    together = np.repeat(np.arange(30), 6)
    labels = rng.integers(0, 2, 30)[together]
    hit = np.where((rng.random(30) < 0.8)[together], labels, 1 - labels)  # a patient is right or wrong as a whole
    probabilities = np.eye(2)[hit] * 0.8 + 0.1
    alone, grouped = (
        evaluation_figures(probabilities, labels, "ab"),
        evaluation_figures(probabilities, labels, "ab", together=together, counted="groups"),
    )
    assert (grouped.images, grouped.groups, grouped.counted) == (180, 30, "groups")
    assert (alone.groups, alone.counted) == (None, "images")

    def widths(figures: EvaluationFigures) -> list[float]:
        found = [figures.accuracy_interval, figures.balanced_accuracy_interval, figures.log_loss_interval]
        for row in figures.per_class.values():
            found += [row.recall_interval, row.precision_interval]
        return [high - low for low, high in found]

    assert all(wide > 1.5 * narrow for wide, narrow in zip(widths(grouped), widths(alone), strict=True))


def test_a_balanced_accuracy_of_few_images_of_one_class_is_uncertain() -> None:
    """Of 97 images of one class and 3 of the other the mean recall is no surer than the three."""
    labels = np.repeat([0, 1], (97, 3))
    found = evaluation_figures(np.eye(2)[labels], labels, "ab")
    assert found.balanced_accuracy == 1.0
    assert found.balanced_accuracy_interval[0] < 0.8 < found.accuracy_interval[0]


def test_the_log_loss_of_a_single_group_has_no_interval() -> None:
    found = evaluation_figures(
        np.full((4, 2), 0.5), np.array([0, 1, 0, 1]), "ab", together=np.zeros(4, int), counted="groups"
    )
    assert found.log_loss_interval is None
    assert found.uniform_log_loss == pytest.approx(found.log_loss)


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


def test_a_drop_of_every_loss_is_beyond_noise_and_a_random_one_is_not() -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform(0.5, 1.5, 200)
    assert paired_p_value(before, before - rng.uniform(0, 0.2, 200)) < 1e-6
    assert paired_p_value(before, before + rng.normal(0, 0.3, 200)) > 0.01
    assert paired_p_value(before, before + 0.1) > 0.99


def test_without_variation_only_a_strict_drop_counts() -> None:
    same = np.ones(5)
    assert paired_p_value(same, same) == 1.0
    assert paired_p_value(same, same - 0.5) == 0.0
    assert paired_p_value(np.ones(1), np.zeros(1)) == 0.0


def test_equal_classifiers_are_called_different_at_the_stated_rate() -> None:
    """The reference is simulation: between equals a level of 5 % errs in about 5 % of the cases."""
    rng = np.random.default_rng(1)
    draws = [paired_p_value(*rng.exponential(1.0, (2, 60))) < 0.05 for _ in range(600)]
    assert 0.02 < np.mean(draws) < 0.08


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_confidence_alone_changes_no_sharpened_loss(temperature: float) -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 2, (300, 4))
    labels = np.array([rng.choice(4, p=p) for p in np.exp(logits) / np.exp(logits).sum(1, keepdims=True)])
    dulled = np.exp(logits / temperature)
    found = sharpened_log_losses(dulled / dulled.sum(1, keepdims=True), labels).mean()
    plain = np.exp(logits)
    reference = log_loss(plain / plain.sum(1, keepdims=True), labels)
    assert found == pytest.approx(reference, abs=0.01), "the labels were drawn at temperature 1"
