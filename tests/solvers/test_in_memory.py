"""The linear probe against scikit-learn, and a cross-validation in which every prediction is out of fold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.solvers.linear_head import softmax
from headstart.solvers.logistic import L2_PENALTIES
from matrix_heads import choose_l2_penalty, solve_logistic

Data = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]


def blobs(count: int = 90, width: int = 6, num_classes: int = 3, *, spread: float = 1.0, seed: int = 0) -> Data:
    """Overlapping clouds in features of very different scale and offset."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % num_classes
    centres = rng.normal(0, 1, (num_classes, width))
    features = centres[labels] + rng.normal(0, spread, (count, width))
    return features * 10.0 ** rng.integers(-3, 4, width) + rng.normal(0, 50, width), labels


def folds_of(count: int, parts: int = 5) -> npt.NDArray[np.int64]:
    return np.random.default_rng(1).permutation(np.arange(count) % parts)


@pytest.mark.parametrize("l2_penalty", [1e-3, 1e-1, 1.0])
@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_the_head_equals_sklearns(l2_penalty: float, num_classes: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, labels = blobs(num_classes=num_classes)
    # With two classes sklearn solves for one logit; w = w1 - w0 there has half the penalty of two rows.
    scale = 2 if num_classes == 2 else 1
    model = LogisticRegression(C=scale / (len(labels) * l2_penalty), tol=1e-9, max_iter=5000)
    reference = make_pipeline(StandardScaler(), model).fit(features, labels)
    head = solve_logistic(features, labels, num_classes, l2_penalty=l2_penalty)
    assert head.weight_KF.shape == (num_classes, features.shape[1])
    assert head.l2_penalty == l2_penalty
    assert np.abs(head.probabilities(features) - reference.predict_proba(features)).max() < 2e-4
    if num_classes > 2:
        raw = model.coef_ / reference[0].scale_
        assert np.abs((head.weight_KF - raw) * reference[0].scale_).max() < 1e-3


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), l2_penalty=st.sampled_from(L2_PENALTIES))
def test_the_solution_has_no_slope_left(seed: int, l2_penalty: float) -> None:
    """First-order optimality: (P - Y)' Z / N + l2_penalty W = 0 in standardised features, and the bias is free."""
    features, labels = blobs(60, 4, seed=seed)
    head = solve_logistic(features, labels, 3, l2_penalty=l2_penalty)
    standardised = (features - features.mean(0)) / features.std(0)
    residual = head.probabilities(features) - np.eye(3)[labels]
    slope = residual.T @ standardised / 60 + l2_penalty * head.weight_KF * features.std(0)
    assert np.abs(slope).max() < 1e-3
    assert np.abs(residual.mean(axis=0)).max() < 1e-3


def test_a_weak_penalty_on_more_features_than_images_ends_where_scipy_ends() -> None:
    from scipy.optimize import minimize

    features, labels = blobs(60, 80, num_classes=4, spread=2.0)
    head = solve_logistic(features, labels, 4, l2_penalty=1e-4)
    z = (features - features.mean(0)) / features.std(0)

    def objective(flat: npt.NDArray[np.float64]) -> float:
        weight, bias = flat[:320].reshape(4, 80), flat[320:]
        losses = -np.log(softmax(z @ weight.T + bias)[np.arange(60), labels])
        return float(losses.mean() + 0.5e-4 * (weight**2).sum())

    own = np.concatenate([(head.weight_KF * features.std(0)).ravel(), head.bias_K + head.weight_KF @ features.mean(0)])
    further = minimize(objective, own, method="L-BFGS-B", options={"maxiter": 20, "ftol": 1e-15})
    assert objective(own) < further.fun + 1e-7


def test_the_head_does_not_depend_on_the_units_of_a_feature() -> None:
    features, labels = blobs()
    moved = features * np.array([1e3, 1, 1e-4, 5, 1, 1]) + np.array([0, 1e3, 0, 0, -7, 0])
    ours = solve_logistic(features, labels, 3, l2_penalty=0.01).probabilities(features)
    theirs = solve_logistic(moved, labels, 3, l2_penalty=0.01).probabilities(moved)
    assert np.abs(ours - theirs).max() < 1e-3


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e6, 1e9])
def test_constant_features_change_nothing(constant: float) -> None:
    features, labels = blobs()
    padded = np.column_stack([np.full(len(labels), constant), features, np.full(len(labels), constant)])
    plain = solve_logistic(features, labels, 3, l2_penalty=0.01)
    head = solve_logistic(padded, labels, 3, l2_penalty=0.01)
    assert np.all(np.isfinite(head.weight_KF))
    assert np.abs(head.probabilities(padded) - plain.probabilities(features)).max() < 1e-3


def test_features_that_are_all_constant_give_the_shares_of_the_classes() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [2])
    head = solve_logistic(np.ones((10, 4), np.float32), labels, 3, l2_penalty=0.01)
    assert head.probabilities(np.ones((1, 4)))[0] == pytest.approx([0.6, 0.3, 0.1], abs=1e-3)


def test_a_class_without_images_is_unlikely_and_does_no_harm() -> None:
    features, labels = blobs(num_classes=2)
    probabilities = solve_logistic(features, labels, 3, l2_penalty=0.01).probabilities(features)
    assert probabilities.shape == (90, 3)
    assert probabilities[:, 2].max() < 0.05


def test_a_stronger_penalty_means_smaller_weights() -> None:
    features, labels = blobs()
    norms = [
        np.linalg.norm(solve_logistic(features, labels, 3, l2_penalty=s).weight_KF * features.std(0))
        for s in L2_PENALTIES
    ]
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < norms[0] / 10


def test_single_precision_features_give_the_same_head_every_time() -> None:
    features, labels = blobs()
    single = features.astype(np.float32)
    first, second = (solve_logistic(single, labels, 3, l2_penalty=0.01) for _ in range(2))
    assert np.array_equal(first.weight_KF, second.weight_KF)
    assert np.array_equal(first.bias_K, second.bias_K)


def test_softmax_rows_sum_to_one_and_large_logits_do_not_overflow() -> None:
    from scipy.special import softmax as reference

    logits = np.random.default_rng(0).normal(0, 5, (7, 4))
    assert softmax(logits) == pytest.approx(reference(logits, axis=1))
    assert softmax(np.array([[1e4, 0.0], [-1e4, -1e4]])).tolist() == [[1, 0], [0.5, 0.5]]


def test_noise_gives_chance_out_of_fold_however_well_a_fit_could_learn_it_by_heart() -> None:
    """With more features than images every fit is perfect on its own rows: a leaked row would raise the accuracy."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(0, 1, (200, 300)), np.arange(200) % 2
    seen = solve_logistic(features, labels, 2, l2_penalty=1e-3).probabilities(features).argmax(axis=1)
    assert np.mean(seen == labels) == 1
    choice = choose_l2_penalty(features, labels, 2, folds_of(200))
    unseen = choice.out_of_fold_NK.argmax(axis=1)
    assert abs(np.mean(unseen == labels) - 0.5) < 4 * np.sqrt(0.25 / 200)


def test_each_out_of_fold_row_comes_from_the_fit_without_its_fold() -> None:
    """Scikit-learn fits each fold; the scale of a feature is one unit for all of them."""
    from sklearn.linear_model import LogisticRegression

    features, labels = blobs(60)
    standardised = (features - features.mean(0)) / features.std(0)
    folds = folds_of(60, 4)
    choice = choose_l2_penalty(features, labels, 3, folds, l2_penalties=(0.1,))
    for fold in range(4):
        outside = folds == fold
        reference = LogisticRegression(C=1 / (45 * 0.1), tol=1e-9, max_iter=5000)
        reference.fit(standardised[~outside], labels[~outside])
        expected = reference.predict_proba(standardised[outside])
        assert np.allclose(choice.out_of_fold_NK[outside], expected, atol=2e-3)


def test_the_lowest_out_of_fold_loss_decides() -> None:
    features, labels = blobs(120, spread=2.0)
    choice = choose_l2_penalty(features, labels, 3, folds_of(120))
    assert choice.l2_penalty == min(choice.losses, key=lambda l2_penalty: choice.losses[l2_penalty])
    assert 1e-4 < choice.l2_penalty < 10, "both ends of the grid are worse here"
    picked = choice.out_of_fold_NK[np.arange(120), labels]
    assert choice.losses[choice.l2_penalty] == pytest.approx(-np.log(picked).mean())
    assert np.allclose(choice.out_of_fold_NK.sum(axis=1), 1)
    assert choice.temperature == 1
    assert choice.sample is None
    again = choose_l2_penalty(features, labels, 3, folds_of(120))
    assert again.losses == choice.losses
    assert np.array_equal(again.out_of_fold_NK, choice.out_of_fold_NK)


def test_among_equal_losses_the_stronger_penalty_is_taken() -> None:
    choice = choose_l2_penalty(np.ones((20, 3)), np.arange(20) % 2, 2, np.arange(20) // 2 % 5)
    assert len(set(choice.losses.values())) == 1
    assert choice.l2_penalty == max(L2_PENALTIES)


@pytest.mark.parametrize("l2_penalties", [(1.0, 0.01), (0.01, 1.0)])
def test_the_order_of_the_candidates_plays_no_part(l2_penalties: tuple[float, ...]) -> None:
    features, labels = blobs(60, spread=0.5)
    assert choose_l2_penalty(features, labels, 3, folds_of(60), l2_penalties=l2_penalties).l2_penalty == 0.01
