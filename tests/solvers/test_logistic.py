"""Blocks of rows lead to the optimum of the rows in memory, and of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from head_rows import clouds, folds_of, stored
from headstart.solvers import axes as axes_module
from headstart.solvers import logistic, rows
from headstart.solvers.axes import axes_of
from headstart.solvers.logistic import L2_PENALTIES, choose_in_blocks, solve_in_blocks
from headstart.solvers.rows import MatrixRows
from matrix_heads import choose_l2_penalty, solve_logistic


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows, "BLOCK_BYTES", 4 * 24 * 32)


@pytest.mark.parametrize("l2_penalty", [1e-3, 1e-1, 1.0])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_the_optimum_is_that_of_the_rows_in_memory_and_of_sklearn(l2_penalty: float, num_classes: int, tmp_path: Path):
    from sklearn.linear_model import LogisticRegression

    features, labels = clouds(num_classes=num_classes)
    half = features.astype(np.float16).astype(np.float32)
    expected = solve_logistic(half, labels, num_classes, l2_penalty=l2_penalty)
    deviation = half.std(0, dtype=np.float64)
    z = (half - half.mean(0, dtype=np.float64)) / deviation
    scale = 2 if num_classes == 2 else 1  # scikit-learn then solves for one logit
    model = LogisticRegression(C=scale / (len(labels) * l2_penalty), tol=1e-9, max_iter=5000).fit(z, labels)
    for source in (MatrixRows(half), stored(features, tmp_path)):
        (head,) = solve_in_blocks(source, labels, num_classes, axes_of(source), l2_penalties=[l2_penalty])
        largest = np.abs(expected.weight_KF * deviation).max()
        assert np.abs((head.weight_KF - expected.weight_KF) * deviation).max() < 5e-3 * largest
        assert np.abs(head.probabilities(half) - expected.probabilities(half)).max() < 2e-4
        assert np.abs(head.probabilities(half) - model.predict_proba(z)).max() < 5e-4


def test_more_features_than_rows_and_features_on_their_own_axes(monkeypatch: pytest.MonkeyPatch):
    features, labels = clouds(40, 90)
    expected = solve_logistic(features, labels, 3, l2_penalty=0.05).probabilities(features)
    for widest in (4096, 10):
        monkeypatch.setattr(axes_module, "WIDEST_ROTATED", widest)
        source = MatrixRows(features)
        (head,) = solve_in_blocks(source, labels, 3, axes_of(source), l2_penalties=[0.05])
        assert np.abs(head.probabilities(features) - expected).max() < 1e-3


def test_the_choice_is_that_of_the_rows_in_memory():
    features, labels = clouds(200)
    folds = folds_of(200)
    expected = choose_l2_penalty(features, labels, 3, folds)
    source = MatrixRows(features)
    choice = choose_in_blocks(source, labels, 3, axes_of(source), folds)
    assert choice.l2_penalty == expected.l2_penalty
    assert choice.losses == pytest.approx(expected.losses, abs=1e-4)
    assert np.allclose(choice.out_of_fold_NK, expected.out_of_fold_NK, atol=5e-3)


def test_folds_fitted_one_after_the_other_give_the_same(monkeypatch: pytest.MonkeyPatch):
    features, labels = clouds()
    source = MatrixRows(features)
    axes = axes_of(source)
    together = choose_in_blocks(source, labels, 3, axes, folds_of(150))
    monkeypatch.setattr(logistic, "_TOGETHER_BYTES", 1)
    alone = choose_in_blocks(source, labels, 3, axes, folds_of(150))
    assert alone.l2_penalty == together.l2_penalty
    assert np.allclose(alone.out_of_fold_NK, together.out_of_fold_NK, atol=1e-3)


def test_passes_are_counted_and_few():
    class Counted(MatrixRows):
        passes = 0

        def blocks(self):
            type(self).passes += 1
            return super().blocks()

    features, labels = clouds(200)
    source = Counted(features)
    axes = axes_of(source)
    choice = choose_in_blocks(source, labels, 3, axes, folds_of(200))
    limit = len(L2_PENALTIES) * (logistic.MOST_CHOOSING_PASSES + 1)
    assert Counted.passes < limit / 3
    before = Counted.passes
    solve_in_blocks(source, labels, 3, axes, l2_penalties=[choice.l2_penalty])
    assert Counted.passes - before < 60


def test_a_single_penalty_is_taken_and_its_loss_measured():
    features, labels = clouds()
    source = MatrixRows(features)
    choice = choose_in_blocks(source, labels, 3, axes_of(source), folds_of(150), l2_penalties=(0.3,))
    assert choice.l2_penalty == 0.3
    picked = choice.out_of_fold_NK[np.arange(150), labels]
    assert choice.losses == {0.3: pytest.approx(-np.log(picked).mean(), rel=1e-5)}
