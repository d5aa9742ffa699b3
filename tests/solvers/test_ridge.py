"""Ridge heads are scikit-learn's, every fold is the fit without it, and they predict probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from head_rows import clouds, folds_of, stored
from headstart.solvers import ridge as module
from headstart.solvers import rows
from headstart.solvers.linear_head import softmax
from headstart.solvers.ridge import Ridge
from headstart.solvers.rows import MatrixRows


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows, "BLOCK_BYTES", 4 * 24 * 32)


def standardised(features):
    x = features.astype(np.float64)
    return (x - x.mean(0)) / x.std(0)


@pytest.mark.parametrize("l2_penalty", [1e-3, 0.1, 10.0])
def test_the_head_equals_sklearns_ridge(l2_penalty: float, tmp_path: Path):
    from sklearn.linear_model import Ridge as Reference
    from sklearn.linear_model import RidgeClassifier

    features, labels = clouds()
    half = features.astype(np.float16).astype(np.float32)
    z = standardised(half)
    reference = Reference(alpha=150 * l2_penalty).fit(z, np.eye(3)[labels])
    classifier = RidgeClassifier(alpha=150 * l2_penalty).fit(z, labels)
    for source in (MatrixRows(half), stored(features, tmp_path)):
        head = Ridge(source, labels, 3).solve(l2_penalty)
        scores = half @ head.weight_KF.T + head.bias_K
        assert np.allclose(head.weight_KF * half.std(0, dtype=np.float64), reference.coef_, rtol=1e-6, atol=1e-8)
        assert np.allclose(scores, reference.predict(z), atol=1e-6)
        assert np.array_equal(scores.argmax(1), classifier.predict(z))


def test_each_out_of_fold_row_comes_from_the_fit_without_its_fold():
    from sklearn.linear_model import Ridge as Reference

    features, labels = clouds()
    z, folds = standardised(features), folds_of(150)
    choice = Ridge(MatrixRows(features), labels, 3).choose(folds, (0.2,))
    for fold in range(5):
        out = folds == fold
        reference = Reference(alpha=np.count_nonzero(~out) * 0.2).fit(z[~out], np.eye(3)[labels[~out]])
        expected = softmax(reference.predict(z[out]) / choice.temperature)
        assert np.allclose(choice.out_of_fold_NK[out], expected, atol=1e-5)


def test_a_pass_for_each_fold_gives_the_same_as_one_for_all(monkeypatch: pytest.MonkeyPatch):
    features, labels = clouds()
    together = Ridge(MatrixRows(features), labels, 3).choose(folds_of(150))
    monkeypatch.setattr(module, "_TOGETHER_BYTES", 1)
    apart = Ridge(MatrixRows(features), labels, 3).choose(folds_of(150))
    assert apart.losses == pytest.approx(together.losses)
    assert np.allclose(apart.out_of_fold_NK, together.out_of_fold_NK, atol=1e-6)


def test_the_lowest_loss_decides_in_a_fixed_number_of_passes():
    class Counted(MatrixRows):
        passes = 0

        def blocks(self):
            type(self).passes += 1
            return super().blocks()

    features, labels = clouds(200)
    problem = Ridge(Counted(features), labels, 3)
    choice = problem.choose(folds_of(200))
    assert choice.l2_penalty == min(choice.losses, key=lambda l2_penalty: choice.losses[l2_penalty])
    assert Counted.passes == 1 + len(choice.losses)
    problem.solve(choice.l2_penalty)
    assert Counted.passes == 1 + len(choice.losses)  # the sums of all rows are there already
    picked = choice.out_of_fold_NK[np.arange(200), labels]
    assert choice.losses[choice.l2_penalty] == pytest.approx(-np.log(picked).mean(), rel=1e-4)


def test_the_temperature_becomes_part_of_the_weights_and_the_log_loss_is_that_of_a_good_head():
    from matrix_heads import choose_l2_penalty

    features, labels = clouds(400)
    folds = folds_of(400)
    problem = Ridge(MatrixRows(features), labels, 3)
    choice = problem.choose(folds)
    plain = problem.solve(choice.l2_penalty)
    sharp = problem.solve(choice.l2_penalty, temperature=choice.temperature)
    assert np.allclose(sharp.weight_KF * choice.temperature, plain.weight_KF)

    logistic = choose_l2_penalty(features, labels, 3, folds)
    assert min(choice.losses.values()) < 1.15 * min(logistic.losses.values())
    own = -np.log(sharp.probabilities(features)[np.arange(400), labels]).mean()
    raw = -np.log(plain.probabilities(features)[np.arange(400), labels]).mean()
    assert own < 0.7 * raw
    assert choice.temperature < 0.5


def test_noise_gives_chance_out_of_fold():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(0, 1, (200, 60)).astype(np.float32), np.arange(200) % 2
    choice = Ridge(MatrixRows(features), labels, 2).choose(folds_of(200))
    assert abs(np.mean(choice.out_of_fold_NK.argmax(1) == labels) - 0.5) < 4 * np.sqrt(0.25 / 200)
    assert min(choice.losses.values()) == pytest.approx(np.log(2), abs=0.05)


def test_a_class_without_rows_and_constant_features_do_no_harm():
    features, labels = clouds(90, 6, num_classes=2)
    features[:, 1] = 7
    problem = Ridge(MatrixRows(features), labels, 3)
    choice = problem.choose(folds_of(90))
    head = problem.solve(choice.l2_penalty, temperature=choice.temperature)
    assert np.isfinite(head.weight_KF).all()
    assert np.allclose(head.weight_KF[:, 1], 0)
    assert head.probabilities(features)[:, 2].max() < 0.3
