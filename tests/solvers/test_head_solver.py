"""Whatever the size, the same problem has the same solution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from head_rows import clouds, folds_of
from headstart.solvers import head_solver as module
from headstart.solvers.head_solver import (
    LogisticInBlocks,
    RotatedLogistic,
    RotatedRidge,
    head_problem,
    stratified_sample,
)
from headstart.solvers.ridge import Ridge
from headstart.solvers.rows import MatrixRows
from matrix_heads import choose_l2_penalty, solve_logistic

KINDS = {("logistic", 0): LogisticInBlocks, ("logistic", 2**30): RotatedLogistic}
KINDS |= {("ridge", 0): Ridge, ("ridge", 2**30): RotatedRidge}


@pytest.mark.parametrize("solver", ["logistic", "ridge"])
@pytest.mark.parametrize("width", [24, 300])
def test_both_ways_choose_and_solve_the_same(solver: str, width: int, monkeypatch: pytest.MonkeyPatch):
    features, labels = clouds(width=width)
    found = []
    for limit in (0, 2**30):
        monkeypatch.setattr(module, "IN_MEMORY_BYTES", limit)
        problem = head_problem(MatrixRows(features), labels, 3, solver=solver)
        assert type(problem) is KINDS[solver, limit]
        choice = problem.choose(folds_of(150))
        found.append((choice, problem.solve(choice.l2_penalty, temperature=choice.temperature)))
    (blocks, head), (memory, expected) = found
    assert blocks.l2_penalty == memory.l2_penalty
    assert blocks.temperature == pytest.approx(memory.temperature, rel=1e-3)
    assert blocks.losses == pytest.approx(memory.losses, abs=1e-3)
    assert np.allclose(blocks.out_of_fold_NK, memory.out_of_fold_NK, atol=1e-2)
    assert np.allclose(head.probabilities(features), expected.probabilities(features), atol=1e-3)


def test_small_problems_are_those_of_linear():
    features, labels = clouds()
    problem = head_problem(MatrixRows(features), labels, 3)
    choice = problem.choose(folds_of(150))
    assert choice.losses == choose_l2_penalty(features, labels, 3, folds_of(150)).losses
    expected = solve_logistic(features, labels, 3, l2_penalty=choice.l2_penalty)
    assert np.array_equal(problem.solve(choice.l2_penalty).weight_KF, expected.weight_KF)
    halved = problem.solve(choice.l2_penalty, temperature=2.0)
    assert np.allclose(halved.weight_KF * 2, expected.weight_KF)


def test_very_many_rows_choose_on_a_sample_that_is_named(monkeypatch: pytest.MonkeyPatch):
    features, labels = clouds(600)
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(module, "SAMPLE_VALUES", 24 * 200)
    problem = head_problem(MatrixRows(features), labels, 3, seed=4)
    choice = problem.choose(folds_of(600))
    assert choice.sample is not None
    assert len(choice.sample) == len(choice.out_of_fold_NK) == 201  # 67 of each class
    accuracy = np.mean(choice.out_of_fold_NK.argmax(1) == labels[choice.sample])
    assert accuracy > 0.6
    again = head_problem(MatrixRows(features), labels, 3, seed=4).choose(folds_of(600))
    assert np.array_equal(again.sample, choice.sample)
    assert problem.choose(folds_of(600), (0.7,)).l2_penalty == 0.7


def test_a_sample_has_every_class_in_its_share():
    labels = np.array([0] * 900 + [1] * 90 + [2] * 10 + [4])
    some = stratified_sample(labels, 100, seed=0)
    assert np.array_equal(some, np.unique(some))
    assert np.bincount(labels[some], minlength=5).tolist() == [90, 9, 2, 0, 1]
    assert not np.array_equal(some, stratified_sample(labels, 100, seed=1))


class Stop(Exception):
    """Asked to stop."""


class Asked:
    """Raises Stop once it was asked often enough."""

    def __init__(self, most: float = np.inf) -> None:
        self.times, self.most = 0, most

    def __call__(self) -> None:
        self.times += 1
        if self.times > self.most:
            raise Stop


@pytest.mark.parametrize("solver", ["logistic", "ridge"])
@pytest.mark.parametrize("limit", [0, 2**30])
@pytest.mark.parametrize("what", ["choose", "solve", "solve_many"])
def test_every_solve_can_be_stopped_between_any_two_steps_and_is_otherwise_the_same(
    solver: str, limit: int, what: str, monkeypatch: pytest.MonkeyPatch
):
    features, labels = clouds()
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", limit)
    given = {"choose": (folds_of(150),), "solve": (0.01,), "solve_many": ((0.1, 0.01),)}[what]
    heard = Asked()

    def work(**options: Asked) -> object:
        return getattr(head_problem(MatrixRows(features), labels, 3, solver=solver, **options), what)(*given)

    found, plain = work(check_stop=heard), work()
    assert repr(found) == repr(plain)
    assert heard.times >= (10 if solver == "logistic" else 2)
    for most in {0, heard.times // 2, heard.times - 1}:
        asked = Asked(most)
        with pytest.raises(Stop):
            work(check_stop=asked)
        assert asked.times == most + 1, "nothing goes on behind it"


@pytest.mark.parametrize("solver", ["logistic", "ridge"])
@pytest.mark.parametrize("limit", [0, 2**30])
def test_many_l2_penalties_at_once_are_each_l2_penalty_alone(solver: str, limit: int, monkeypatch: pytest.MonkeyPatch):
    features, labels = clouds()
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", limit)
    l2_penalties = (1e-3, 0.1, 3.0)
    together = head_problem(MatrixRows(features), labels, 3, solver=solver).solve_many(l2_penalties)
    assert [head.l2_penalty for head in together] == list(l2_penalties)
    for head in together:
        alone = head_problem(MatrixRows(features), labels, 3, solver=solver).solve(head.l2_penalty)
        assert np.allclose(head.probabilities(features), alone.probabilities(features), atol=1e-3)


def weighted_case(count: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features in single precision, labels of three unequal classes, weights from 0.2 to 5."""
    rng = np.random.default_rng(count)
    labels = rng.choice(3, count, p=(0.6, 0.3, 0.1))
    centres = rng.normal(size=(3, width))
    features = (centres[labels] + 2 * rng.normal(size=(count, width))).astype(np.float32) * 3 + 1
    return features, labels, rng.uniform(0.2, 5, count)


@pytest.mark.parametrize("memory", ["in memory", "in blocks"])
@pytest.mark.parametrize(("count", "width"), [(300, 12), (30, 60)])
def test_weighted_logistic_regression_is_that_of_scikit_learn(
    memory: str, count: int, width: int, monkeypatch: pytest.MonkeyPatch
):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    if memory == "in blocks":
        monkeypatch.setattr(module, "IN_MEMORY_BYTES", 0)
    (features, labels, weights), l2_penalty = weighted_case(count, width), 0.05
    head = head_problem(MatrixRows(features), labels, 3, weights_N=weights).solve(l2_penalty)
    scaler = StandardScaler().fit(features, sample_weight=weights)
    z = scaler.transform(features)
    reference = LogisticRegression(C=1 / (weights.sum() * l2_penalty), tol=1e-7, max_iter=2_000)
    wanted = reference.fit(z, labels, sample_weight=weights).predict_proba(z)
    assert np.abs(head.probabilities(features) - wanted).max() < 1e-3
    unweighted = head_problem(MatrixRows(features), labels, 3).solve(l2_penalty).probabilities(features)
    assert np.abs(unweighted - wanted).max() > 0.005, "the weights do nothing here"


@pytest.mark.parametrize("memory", ["in memory", "in blocks"])
@pytest.mark.parametrize(("count", "width"), [(300, 12), (30, 60)])
def test_weighted_ridge_regression_is_that_of_scikit_learn(
    memory: str, count: int, width: int, monkeypatch: pytest.MonkeyPatch
):
    from sklearn.linear_model import Ridge as Reference
    from sklearn.preprocessing import StandardScaler

    if memory == "in blocks":
        monkeypatch.setattr(module, "IN_MEMORY_BYTES", 0)
    features, labels, weights = weighted_case(count, width)
    head = head_problem(MatrixRows(features), labels, 3, solver="ridge", weights_N=weights).solve(0.3)
    z = StandardScaler().fit(features, sample_weight=weights).transform(features)
    reference = Reference(alpha=0.3 * weights.sum()).fit(z, np.eye(3)[labels], sample_weight=weights)
    assert np.allclose(features @ head.weight_KF.T + head.bias_K, reference.predict(z), atol=1e-4)


@pytest.mark.parametrize("memory", ["in memory", "in blocks"])
@pytest.mark.parametrize("solver", ["logistic", "ridge"])
def test_a_weight_is_as_many_copies_of_the_row(memory: str, solver: Any, monkeypatch: pytest.MonkeyPatch):
    """Penalty, temperature and out-of-fold probabilities too; the copies lie in the fold of their original."""
    if memory == "in blocks":
        monkeypatch.setattr(module, "IN_MEMORY_BYTES", 0)
    features, labels, _ = weighted_case(200, 10)
    copies = np.random.default_rng(1).integers(1, 4, 200)
    folds, row_of = np.arange(200) % 4, np.repeat(np.arange(200), copies)
    weighted = head_problem(MatrixRows(features), labels, 3, solver=solver, weights_N=7.0 * copies)
    repeated = head_problem(MatrixRows(features[row_of]), labels[row_of], 3, solver=solver)
    found, wanted = weighted.choose(folds), repeated.choose(folds[row_of])
    assert found.l2_penalty == wanted.l2_penalty
    assert found.losses == pytest.approx(wanted.losses, rel=1e-3)
    assert np.abs(found.out_of_fold_NK[row_of] - wanted.out_of_fold_NK).max() < 0.01
    ours, theirs = (
        p.solve(c.l2_penalty, temperature=c.temperature) for p, c in ((weighted, found), (repeated, wanted))
    )
    if solver == "logistic":
        assert np.abs(ours.probabilities(features) - theirs.probabilities(features)).max() < 1e-3
    else:  # the one image a class that softens the targets weighs less beside more rows
        assert found.temperature == pytest.approx(wanted.temperature, rel=0.02)
    several = weighted.solve_many([0.1, found.l2_penalty])
    alone = weighted.solve(found.l2_penalty)
    assert np.abs(several[1].probabilities(features) - alone.probabilities(features)).max() < 1e-3


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_weights_that_are_none_are_refused(wrong: float):
    with pytest.raises(ValueError, match="weights must be finite numbers > 0"):
        head_problem(MatrixRows(np.zeros((2, 3))), np.array([0, 1]), 2, weights_N=np.array([1.0, wrong]))


@pytest.mark.parametrize("width", [24, 200])
@pytest.mark.parametrize("limit", [0, 2**30])
def test_scaled_features_have_a_penalty_of_their_own(width: int, limit: int, monkeypatch: pytest.MonkeyPatch):
    """Against scikit-learn on features that are standardised and multiplied beforehand."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    features, labels = clouds(width=width)
    scale = np.where(np.arange(width) < 9, 1.0, 2.5)
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", limit)
    standardised = StandardScaler().fit_transform(features.astype(np.float64)) * scale
    fitted = LogisticRegression(C=1 / (150 * 0.1), tol=1e-10, max_iter=10_000).fit(standardised, labels)
    problem = head_problem(MatrixRows(features), labels, 3, scale_F=scale)
    expected = fitted.predict_proba(standardised)
    assert np.abs(problem.solve(0.1).probabilities(features) - expected).max() < 1e-3
    assert np.abs(problem.solve_many([0.1])[0].probabilities(features) - expected).max() < 1e-3
    ridge = head_problem(MatrixRows(features), labels, 3, solver="ridge", scale_F=scale).solve(0.5)
    targets = np.eye(3)[labels]
    expected = Ridge(alpha=150 * 0.5, tol=1e-10).fit(standardised, targets).predict(standardised)
    assert np.abs(features @ ridge.weight_KF.T + ridge.bias_K - expected).max() < 1e-4


def test_scaled_features_that_keep_their_own_axes_have_the_same_head(monkeypatch: pytest.MonkeyPatch):
    from headstart.solvers import axes

    features, labels = clouds(width=24)
    scale = np.linspace(0.5, 3.0, 24)
    expected = head_problem(MatrixRows(features), labels, 3, scale_F=scale).solve(0.1).probabilities(features)
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(axes, "WIDEST_ROTATED", 0)
    found = head_problem(MatrixRows(features), labels, 3, scale_F=scale).solve(0.1).probabilities(features)
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("solver", ["logistic", "ridge"])
def test_a_scale_of_one_changes_no_bit(solver: str):
    features, labels = clouds()
    plain, scaled = (
        head_problem(MatrixRows(features), labels, 3, solver=solver, scale_F=scale) for scale in (None, np.ones(24))
    )
    assert np.array_equal(plain.solve(0.1).weight_KF, scaled.solve(0.1).weight_KF)
    assert plain.choose(folds_of(150)).losses == scaled.choose(folds_of(150)).losses


@pytest.mark.parametrize("solver", ["logistic", "ridge"])
def test_logit_adjustment_divides_by_the_shares_of_the_classes(solver: str) -> None:
    """Menon et al. 2021: p(class | image) under equal shares is p / share, over its sum."""
    features, labels = clouds(150)
    labels = np.where(np.arange(150) % 5 == 0, labels, 0)
    shares = np.bincount(labels, minlength=3) / 150
    plain = head_problem(MatrixRows(features), labels, 3, solver=solver)
    adjusted = head_problem(MatrixRows(features), labels, 3, solver=solver, log_shares_K=np.log(shares))
    before, after = (one.choose(folds_of(150)) for one in (plain, adjusted))
    assert (after.l2_penalty, after.losses) == (before.l2_penalty, before.losses)

    def divided(given: np.ndarray) -> np.ndarray:
        return given / shares / (given / shares).sum(axis=1, keepdims=True)

    assert after.out_of_fold_NK == pytest.approx(divided(before.out_of_fold_NK), abs=1e-5)
    expected = divided(plain.solve(0.1, temperature=0.5).probabilities(features))
    assert adjusted.solve(0.1, temperature=0.5).probabilities(features) == pytest.approx(expected, abs=1e-6)
    (head,) = adjusted.solve_many([0.1], temperature=0.5)
    assert head.probabilities(features) == pytest.approx(expected, abs=2e-3)


def test_logit_adjustment_after_the_fact_is_the_minimum_of_the_adjusted_loss() -> None:
    """The bias has no penalty: adding log shares to the logits of the loss moves the bias, and nothing else."""
    from scipy.optimize import minimize

    features, labels = clouds(120)
    labels = np.where(np.arange(120) % 4 == 0, labels, 0)
    log_shares = np.log(np.bincount(labels, minlength=3) / 120)
    head = head_problem(MatrixRows(features), labels, 3, log_shares_K=log_shares).solve(0.1)
    standardised = (features - features.mean(axis=0)) / features.std(axis=0)
    width = features.shape[1]

    def loss(flat: np.ndarray) -> float:
        weight, bias = flat[: 3 * width].reshape(3, width), flat[3 * width :]
        logits = standardised @ weight.T + bias + log_shares
        own = logits[np.arange(120), labels]
        return float((np.log(np.exp(logits).sum(axis=1)) - own).mean() + 0.05 * (weight**2).sum())

    found = minimize(loss, np.zeros(3 * width + 3), method="L-BFGS-B", options={"maxfun": 10**6, "ftol": 1e-13}).x
    logits = standardised @ found[: 3 * width].reshape(3, width).T + found[3 * width :]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(head.probabilities(features) - expected).max() < 1e-3
