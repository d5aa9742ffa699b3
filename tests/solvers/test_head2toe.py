"""Which features a head needs, against loops over scikit-learn that know nothing of the module."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from headstart.solvers import head2toe
from headstart.solvers.head2toe import (
    ColumnRows,
    choose_features,
    deviations_of,
    most_relevant,
    relevance,
    solve_chosen,
    widened,
)
from headstart.solvers.linear_head import LinearHead
from headstart.solvers.rows import MatrixRows, matrix_of_rows

CLASSES = 3
STRENGTH = 0.05
SHARES = (0.2, 0.5, 1.0)


def task(*, images: int = 120, noise: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(features, labels, folds): six features tell the classes, the others are noise of all scales."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % CLASSES
    telling = np.eye(CLASSES)[labels].repeat(2, axis=1) * 1.2 + rng.normal(size=(images, 6))
    features = np.concatenate([telling, rng.normal(size=(images, noise))], axis=1)
    features = features * 10.0 ** rng.uniform(-2, 2, features.shape[1]) + rng.normal(size=features.shape[1])
    return features.astype(np.float32), labels.astype(np.int64), rng.permutation(np.arange(images) % 4)


class Reference:
    """Logistic regression by scikit-learn on features that it standardises itself."""

    def __init__(self, features: np.ndarray, labels: np.ndarray) -> None:
        self.mean, self.deviation = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
        fitted = LogisticRegression(C=1 / (len(labels) * STRENGTH), tol=1e-10, max_iter=10_000)
        self.fitted = fitted.fit(self.standardised(features), labels)

    def standardised(self, features: np.ndarray) -> np.ndarray:
        return (features - self.mean) / self.deviation

    def scores(self) -> np.ndarray:
        return np.sqrt((self.fitted.coef_**2).sum(axis=0))

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        return self.fitted.predict_proba(self.standardised(features))


def best(scores: np.ndarray, share: float) -> list[int]:
    ranked = sorted(range(len(scores)), key=lambda i: -scores[i])
    return sorted(ranked[: int(np.ceil(share * len(scores)))])


def test_the_whole_choice_is_that_of_plain_loops():
    features, labels, folds = task()
    expected = {share: np.zeros((len(labels), CLASSES)) for share in SHARES}
    for fold in range(4):
        inside, outside = folds != fold, folds == fold
        scores = Reference(features[inside], labels[inside]).scores()
        for share in SHARES:
            columns = best(scores, share)
            head = Reference(features[inside][:, columns], labels[inside])
            expected[share][outside] = head.probabilities(features[outside][:, columns])
    losses = {s: float(-np.log(p[np.arange(len(labels)), labels]).mean()) for s, p in expected.items()}
    choice = choose_features(MatrixRows(features), labels, CLASSES, folds, l2_penalties=[STRENGTH], shares=SHARES)
    assert choice.losses == pytest.approx(losses, rel=5e-3)
    assert choice.share == min(losses, key=losses.__getitem__)
    assert np.abs(choice.out_of_fold_NK - expected[choice.share]).max() < 5e-3
    assert choice.sample is None


def test_the_fitted_head_is_the_references_on_its_columns_and_zero_elsewhere():
    features, labels, folds = task()
    rows = MatrixRows(features)
    steps: list[str] = []
    choice = choose_features(rows, labels, CLASSES, folds, l2_penalties=[STRENGTH], shares=[0.2], on_step=steps.append)
    count = len(set(folds))
    assert steps == [f"choosing features of all depths: fold {n} of {count}" for n in range(1, count + 1)]
    assert choice.share == 0.2, "fewer features are better where most are noise"
    head = solve_chosen(rows, labels, CLASSES, choice)
    columns = best(Reference(features, labels).scores(), 0.2)
    assert np.flatnonzero(np.abs(head.weight_KF).max(axis=0)).tolist() == columns
    assert columns == list(range(6)), "the telling ones"
    expected = Reference(features[:, columns], labels).probabilities(features[:, columns])
    assert np.abs(head.probabilities(features) - expected).max() < 1e-3


def test_all_features_are_selected_where_all_are_informative():
    rng = np.random.default_rng(1)
    labels = (np.arange(90) % 3).astype(np.int64)
    features = (np.eye(3)[labels].repeat(4, axis=1) + rng.normal(size=(90, 12))).astype(np.float32)
    choice = choose_features(MatrixRows(features), labels, 3, np.arange(90) % 5, l2_penalties=[0.1])
    assert choice.share == 1.0
    assert (np.abs(solve_chosen(MatrixRows(features), labels, 3, choice).weight_KF) > 0).all()


def test_no_image_helps_to_choose_the_features_that_predict_it():
    """Features are noise: scored on all images, the best of them would seem to tell the classes."""
    rng = np.random.default_rng(2)
    labels = (np.arange(60) % 2).astype(np.int64)
    features = rng.normal(size=(60, 400)).astype(np.float32)
    choice = choose_features(MatrixRows(features), labels, 2, np.arange(60) % 5, l2_penalties=[1.0], shares=[0.1])
    assert min(choice.losses.values()) > 0.6


def test_many_images_choose_on_a_sample_of_every_class(monkeypatch: pytest.MonkeyPatch):
    features, labels, folds = task(images=300)
    monkeypatch.setattr(head2toe, "CHOOSING_IMAGES", 90)
    choice = choose_features(MatrixRows(features), labels, CLASSES, folds, l2_penalties=[STRENGTH], seed=4)
    assert choice.sample is not None
    assert np.bincount(labels[choice.sample]).tolist() == [30, 30, 30]
    assert choice.out_of_fold_NK.shape == (90, CLASSES)
    assert (choice.out_of_fold_NK.argmax(1) == labels[choice.sample]).mean() > 0.5


def test_ridge_chooses_too():
    features, labels, folds = task()
    choice = choose_features(MatrixRows(features), labels, CLASSES, folds, solver="ridge", shares=[0.2])
    head = solve_chosen(MatrixRows(features), labels, CLASSES, choice, solver="ridge")
    assert choice.share == 0.2
    assert np.flatnonzero(np.abs(head.weight_KF).max(axis=0)).tolist() == list(range(6))
    assert (head.probabilities(features).argmax(1) == labels).mean() > 0.6


@given(scores=st.lists(st.floats(0, 10), min_size=1, max_size=40), share=st.floats(0.01, 1.0))
def test_the_best_share_is_as_large_as_said_and_beats_the_rest(scores: list[float], share: float):
    found = np.array(scores)
    kept = most_relevant(found, share)
    assert kept.sum() == max(1, int(np.ceil(round(share * len(scores), 6))))
    if not kept.all():
        assert found[kept].min() >= found[~kept].max()


def test_scores_do_not_depend_on_the_unit_of_a_feature():
    weight, deviation = np.array([[3.0, 0.0, 0.03], [4.0, 0.0, 0.04]]), np.array([2.0, 5.0, 200.0])
    assert relevance(LinearHead(weight, np.zeros(2), 1.0), deviation) == pytest.approx([10.0, 0.0, 10.0])


def test_columns_of_rows_are_rows():
    matrix = np.arange(24, dtype=np.float32).reshape(6, 4)
    kept = np.array([True, False, False, True])
    rows = ColumnRows(MatrixRows(matrix), kept)
    assert (rows.rows, rows.width) == (6, 2)
    assert np.array_equal(matrix_of_rows(rows), matrix[:, [0, 3]])
    assert np.array_equal(matrix_of_rows(rows.subset(np.array([4, 1]))), matrix[[4, 1]][:, [0, 3]])


def test_deviations_are_numpys_also_far_from_zero():
    matrix = (np.random.default_rng(0).normal(size=(500, 3)) * [1, 1e-3, 0] + [1e4, 10, 7]).astype(np.float32)
    assert deviations_of(MatrixRows(matrix)) == pytest.approx(matrix.std(axis=0, dtype=np.float64), rel=1e-6)


def test_a_narrow_head_predicts_the_same_when_it_is_widened():
    narrow = LinearHead(np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([0.1, 0.2]), 0.3)
    wide = widened(narrow, np.array([False, True, True]))
    x = np.random.default_rng(0).normal(size=(5, 3))
    assert np.allclose(wide.probabilities(x), narrow.probabilities(x[:, 1:]))
    assert wide.l2_penalty == 0.3


def test_the_choice_of_features_can_be_stopped():
    features, labels, folds = task()
    rows, asked = MatrixRows(features), []

    def count() -> None:
        asked.append(1)

    choice = choose_features(rows, labels, CLASSES, folds, l2_penalties=[STRENGTH], shares=[0.2], check_stop=count)
    in_choice = len(asked)
    solve_chosen(rows, labels, CLASSES, choice, check_stop=count)

    def stop_in_solve() -> None:
        asked.append(1)
        if len(asked) > 20:
            raise KeyboardInterrupt

    assert in_choice > 50
    assert len(asked) > in_choice + 10
    for work in (
        lambda: choose_features(rows, labels, CLASSES, folds, check_stop=stop_in_solve),
        lambda: solve_chosen(rows, labels, CLASSES, choice, check_stop=stop_in_solve),
    ):
        asked.clear()
        with pytest.raises(KeyboardInterrupt):
            work()
        assert len(asked) == 21
