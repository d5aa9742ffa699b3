"""The head on the outputs of all depths against the plain one: the significantly better one is selected."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.engine.prefix.depth_features import with_depths
from headstart.engine.prefix.inference import features_of, logits_of
from headstart.engine.store.store import ActivationStore
from headstart.measures.metrics import paired_p_value, sharpened_log_losses
from headstart.networks.head_layers import DEPTHS
from headstart.plan.plan import ProbePhase
from headstart.prediction.bundle import load_classifier, save_bundle
from headstart.prediction.predictor import load
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.solvers.head_solver import head_problem
from headstart.solvers.linear_head import softmax
from headstart.solvers.rows import MatrixRows
from headstart.training.activation_source import ActivationSource
from headstart.training.loop import fit
from headstart.training.probe import multi_depth
from headstart.training.probe.multi_depth import FIT_STEPS, DepthProblem, equal_parts, fit_plain, solve_depths
from headstart.training.probe.probe import fit_probe, refit_head
from headstart.training.stopping import StopRequest
from headstart.training.training import Training
from matrix_heads import choose_l2_penalty, solve_logistic

LAST = 6
IMAGES = 150


def problem(*, early_tells: float, seed: int = 0, select: int = 0, **changes: object) -> DepthProblem:
    """Three classes; the last six features tell a little, twelve early ones as much as is said."""
    rng = np.random.default_rng(seed)
    count = IMAGES + select
    labels = (np.arange(count) % 3).astype(np.int64)
    last = np.eye(3)[labels].repeat(2, axis=1) + rng.normal(size=(count, LAST))
    early = early_tells * np.eye(3)[labels].repeat(4, axis=1) + rng.normal(size=(count, 12))
    rows = np.concatenate([last, early], axis=1).astype(np.float32)
    values: dict = {
        "train": MatrixRows(rows[:IMAGES]),
        "labels": labels[:IMAGES],
        "num_classes": 3,
        "num_last_features": LAST,
        "folds": rng.permutation(np.arange(IMAGES) % 5),
        "validation": (MatrixRows(rows[IMAGES:]), labels[IMAGES:]) if select else None,
        "validation_source": "val",
        "l2_penalties": None,
        "solver": "logistic",
        "significance_level": 0.05,
        "seed": 0,
    }
    return DepthProblem(**{**values, **changes})


def test_informative_early_features_are_selected_and_the_figures_are_said():
    steps: list[tuple[int, str]] = []
    solution = solve_depths(problem(early_tells=1.0, on_step=lambda *step: steps.append(step)))
    assert solution.kind == "multi_depth"
    assert np.abs(solution.selected.head.weight_KF[:, LAST:]).max() > 0
    assert "significantly better than the plain head (val: accuracy 0." in solution.why
    assert len(solution.selected.probabilities_NK) == IMAGES, "out of fold"
    assert [number for number, _ in steps] == list(range(1, FIT_STEPS + 1))


def test_the_wider_head_is_the_references_with_both_parts_of_equal_variance():
    """Against scikit-learn on features standardised and scaled here, for head and out-of-fold probabilities."""
    from sklearn.linear_model import LogisticRegression

    asked = problem(early_tells=1.0, l2_penalties=(0.1,))
    features = asked.train._matrix.astype(np.float64)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    features[:, LAST:] *= np.sqrt(LAST / 12)
    assert features[:, :LAST].var(axis=0).sum() == pytest.approx(features[:, LAST:].var(axis=0).sum())
    expected = np.zeros((IMAGES, 3))
    for fold in range(5):
        inside, outside = asked.folds != fold, asked.folds == fold
        fitted = LogisticRegression(C=1 / (inside.sum() * 0.1), tol=1e-10, max_iter=10_000)
        expected[outside] = fitted.fit(features[inside], asked.labels[inside]).predict_proba(features[outside])
    solution = solve_depths(asked)
    assert solution.kind == "multi_depth"
    assert np.abs(solution.selected.probabilities_NK - expected).max() < 5e-3
    fitted = LogisticRegression(C=1 / (IMAGES * 0.1), tol=1e-10, max_iter=10_000).fit(features, asked.labels)
    found = solution.selected.head.probabilities(asked.train._matrix)
    assert np.abs(found - fitted.predict_proba(features)).max() < 2e-3


@given(last=st.integers(1, 5000), early=st.integers(1, 5000))
def test_both_parts_have_the_same_total_variance(last: int, early: int):
    scale = equal_parts(last, last + early)
    assert (scale[:last] == 1).all()
    assert (scale[last:] ** 2).sum() == pytest.approx(last)


def test_a_plain_head_that_was_fitted_before_is_not_fitted_again():
    asked = problem(early_tells=0.0)
    steps: list[int] = []
    known = fit_plain(asked)
    solution = solve_depths(replace(asked, on_step=lambda number, what: steps.append(number)), known)
    assert steps == [3, 4]
    assert np.array_equal(solution.selected.head.weight_KF[:, :LAST], known.head.weight_KF)
    assert solution.selected.probabilities_NK is known.choice.out_of_fold_NK


@pytest.mark.parametrize("early_tells", [0.0, 1.0])
def test_many_images_are_compared_on_a_sample_of_every_class(early_tells: float, monkeypatch: pytest.MonkeyPatch):
    asked = problem(early_tells=early_tells)
    expected = fit_plain(asked)
    monkeypatch.setattr(multi_depth, "CHOOSING_IMAGES", 90)
    solution = solve_depths(asked)
    if solution.kind == "linear":  # bit for bit the plain probe, out-of-fold on all images
        assert solution.selected.sample is None
        assert np.array_equal(solution.selected.head.weight_KF[:, :LAST], expected.head.weight_KF)
        assert np.array_equal(solution.selected.probabilities_NK, expected.choice.out_of_fold_NK)
        return
    sample = solution.selected.sample
    assert np.bincount(asked.labels[sample]).tolist() == [30, 30, 30]
    assert np.array_equal(solution.selected.labels_N, asked.labels[sample])
    assert (solution.selected.probabilities_NK.argmax(axis=1) == solution.selected.labels_N).mean() > 0.6
    few = DepthProblem(
        MatrixRows(asked.train._matrix[sample]),
        asked.labels[sample],
        3,
        LAST,
        asked.folds[sample],
        None,
        "val",
        (expected.choice.l2_penalty,),
        "logistic",
        0.05,
        0,
    )
    plain = fit_plain(few).choice.out_of_fold_NK
    assert f"against {(plain.argmax(axis=1) == few.labels).mean():.3f}, log loss" in solution.why


def test_weights_count_an_image_as_often_as_they_say():
    asked = problem(early_tells=1.0, l2_penalties=(0.1,))
    weights = np.where(asked.labels == 0, 2.0, 1.0)
    twice = np.flatnonzero(asked.labels == 0)
    again = np.concatenate([np.arange(IMAGES), twice])
    repeated = replace(
        asked, train=MatrixRows(asked.train._matrix[again]), labels=asked.labels[again], folds=asked.folds[again]
    )
    found, expected = solve_depths(replace(asked, weights=weights)), solve_depths(repeated)
    few = asked.train._matrix
    assert np.abs(found.selected.head.probabilities(few) - expected.selected.head.probabilities(few)).max() < 2e-3


def test_the_fits_can_be_stopped():
    counts: list[int] = []
    asked = problem(early_tells=1.0, check_stop=lambda: counts.append(1))
    plain = fit_plain(asked)
    in_plain = len(counts)
    solve_depths(asked, plain)
    assert len(counts) > in_plain + 20

    def stop() -> None:
        counts.append(1)
        if len(counts) > 20:
            raise KeyboardInterrupt

    counts.clear()
    with pytest.raises(KeyboardInterrupt):
        solve_depths(replace(asked, check_stop=stop), plain)
    assert len(counts) == 21


@pytest.mark.parametrize("solver", ["logistic", "ridge"])
def test_the_plain_head_stays_bit_for_bit_where_early_features_are_noise(solver: str):
    asked = problem(early_tells=0.0, solver=solver, l2_penalties=(0.1,))
    solution = solve_depths(asked)
    assert solution.kind == "linear"
    head = solution.selected.head
    assert not head.weight_KF[:, LAST:].any()
    assert "is not significantly better" in solution.why
    if solver == "logistic":
        last = asked.train._matrix[:, :LAST]
        expected = solve_logistic(last, asked.labels, 3, l2_penalty=0.1)
        assert np.array_equal(head.weight_KF[:, :LAST], expected.weight_KF)
        assert np.array_equal(head.bias_K, expected.bias_K)


def test_the_decision_is_the_paired_test_on_the_validation_images():
    compared = 0
    for seed in range(4):
        asked = problem(early_tells=0.35, select=90, seed=seed)
        rows, labels = asked.validation
        solution = solve_depths(asked)
        selected = solution.selected
        assert len(selected.probabilities_NK) == len(labels) == 90
        assert np.allclose(selected.probabilities_NK, selected.head.probabilities(rows._matrix))
        never = solve_depths(replace(asked, significance_level=1e-12))
        always = solve_depths(replace(asked, significance_level=0.999999))
        losses = [sharpened_log_losses(s.selected.probabilities_NK, labels) for s in (never, always)]
        if never.kind == always.kind:  # not even fewer errors
            continue
        compared += 1
        p_value = paired_p_value(*losses)
        assert (solution.kind == "multi_depth") == (p_value < 0.05)
        assert solution.p_value == p_value
        assert f"p = {p_value:.2g}" in solution.why
    assert compared


def test_its_l2_penalty_is_that_of_the_selected_head():
    asked = problem(early_tells=0.0)
    plain = choose_l2_penalty(asked.train._matrix[:, :LAST], asked.labels, 3, list(asked.folds))
    assert solve_depths(asked).selected.head.l2_penalty == plain.l2_penalty


def prepared(prepare: Callable, tmp_path: Path, **options: object):
    """A small task with a store, and its network with a head at every depth."""
    task = prepare(strategy="feature_extraction", head="multi_depth", **options)
    digests = {name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()}
    images = replace(task.images, digests=digests, store=ActivationStore(tmp_path / "store"))
    return task, images, task.classifier()


def test_the_wide_vector_is_what_is_stored_and_nothing_is_computed_twice(prepare: Callable, tmp_path: Path):
    _, images, classifier = prepared(prepare, tmp_path)
    fit_probe(ActivationSource(classifier, images), ProbePhase(), seed=0)
    (space,) = (tmp_path / "store").glob("*/space.json")
    what = json.loads(space.read_text())
    assert what["border"] == "pooled at every depth"
    shards = sorted((tmp_path / "store").rglob("*"))
    refit_head(ActivationSource(classifier, images), ProbePhase(), l2_penalty=0.1, seed=0)
    assert sorted((tmp_path / "store").rglob("*")) == shards


@pytest.mark.parametrize("significance_level", [1e-12, 1.0])
def test_the_network_gives_the_logits_of_the_fitted_head_and_so_does_its_bundle(
    prepare: Callable, tmp_path: Path, significance_level: float, monkeypatch: pytest.MonkeyPatch
):
    """No head makes an error on these colours, so the wide one is only selected without the test."""
    _, images, classifier = prepared(prepare, tmp_path)
    if significance_level == 1.0:
        monkeypatch.setattr(multi_depth, "_comparison", lambda deep, plain, metric: (0.0, "figures"))
    solved = fit_probe(
        ActivationSource(classifier, images), ProbePhase(l2_penalty=0.1), seed=0, significance_level=significance_level
    )
    expected = "multi_depth" if significance_level == 1.0 else "linear"
    assert f"selected the {expected} head" in solved.summary
    assert bool(classifier.network.get_submodule(DEPTHS).weight.any()) == (expected == "multi_depth")
    records = images.roles.train
    features = features_of(classifier, records, images.spec)
    weight = classifier.linear_weight().numpy().astype(np.float64)
    logits = logits_of(classifier, records, images.spec)
    bias = (logits - features @ weight.T).mean(axis=0)
    assert np.abs(features @ weight.T + bias - logits).max() < 1e-3
    save_bundle(tmp_path / "bundle", classifier, classes=images.roles.classes, spec=images.spec)
    predictor = load(tmp_path / "bundle")
    assert predictor.info.head == expected
    read, _ = load_classifier(tmp_path / "bundle", deepen=with_depths)
    again = logits_of(read, records, images.spec)
    assert np.abs(softmax(again.astype(np.float64)) - softmax(logits.astype(np.float64))).max() < 1e-6
    # The backbone may be known by now and run by ONNX Runtime, whose last bits are others.
    assert np.abs(predictor.probabilities(records) - softmax(logits.astype(np.float64))).max() < 1e-5


def test_many_images_are_predicted_through_an_engine_with_the_same_logits(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from headstart.engine.prefix import inference

    _, images, classifier = prepared(prepare, tmp_path)
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(2, classifier.num_features, generator=rng) / 50
    classifier.write_linear(weight, torch.zeros(2))
    records = images.roles.train
    expected = logits_of(classifier, records, images.spec)
    monkeypatch.setattr(inference, "FEWEST_FOR_AN_ENGINE", 1)
    found = inference.logits_by_engine(classifier, records, images.spec)
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("selected", ["linear", "multi_depth"])
def test_a_refit_keeps_to_the_head_that_was_selected(prepare: Callable, tmp_path: Path, selected: str):
    _, images, classifier = prepared(prepare, tmp_path)
    last = classifier.num_last_features
    before = torch.zeros(2, classifier.num_features)
    before[:, : last + (selected == "multi_depth")] = 1.0
    classifier.write_linear(before, torch.zeros(2))
    refit_head(ActivationSource(classifier, images), ProbePhase(), l2_penalty=0.1, seed=0)
    found = classifier.linear_weight().numpy()
    features = features_of(classifier, images.roles.training_pool, images.spec)
    labels = images.labels(images.roles.training_pool)
    if selected == "linear":
        assert not found[:, last:].any()
        expected = solve_logistic(features[:, :last], labels, 2, l2_penalty=0.1).weight_KF
    else:
        scale = equal_parts(last, classifier.num_features)
        expected = head_problem(MatrixRows(features), labels, 2, scale_F=scale).solve(0.1).weight_KF
    assert np.abs(found[:, : expected.shape[1]] - expected).max() < 0.02 * np.abs(expected).max()


def test_a_whole_run_says_which_head_was_selected_and_goes_on_after_a_stop(prepare: Callable, tmp_path: Path):
    task, images, classifier = prepared(prepare, tmp_path)
    events: dict[str, dict] = {}

    class Notes(Observer):
        def noted(self, event: Event) -> None:
            events[event.event] = event.to_dict()

    outcome = fit(Training(task.plan, classifier, images, run=task.run, observer=Notes(), stop=StopRequest()))
    assert "selected the linear head: multi_depth is not significantly better" in outcome.why
    assert events["head_selected"]["head"] == "linear"
    again = task.classifier()
    resumed = fit(Training(task.plan, again, images, run=task.run))
    assert resumed.why == outcome.why
    for name, tensor in classifier.network.state_dict().items():
        assert torch.equal(tensor, again.network.state_dict()[name]), name
