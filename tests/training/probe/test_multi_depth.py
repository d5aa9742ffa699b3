"""The head on the outputs of all depths against the plain one: the significantly better one is selected."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.engine.prefix.inference import features_of, logits_of
from headstart.engine.store.store import ActivationStore
from headstart.measures.metrics import paired_p_value, sharpened_log_losses
from headstart.networks.heads import DEPTHS
from headstart.plan.plan import ProbePhase
from headstart.prediction.bundle import save_bundle
from headstart.prediction.predictor import load
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.solvers.linear_head import softmax
from headstart.solvers.rows import MatrixRows
from headstart.training.activation_source import ActivationSource
from headstart.training.loop import fit
from headstart.training.probe.multi_depth import DepthProblem, solve_depths
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
    solution = solve_depths(problem(early_tells=1.0))
    assert solution.kind == "multi_depth"
    assert np.abs(solution.head.weight_KF[:, LAST:]).max() > 0
    assert "significantly better than the plain head (val: accuracy 0." in solution.why
    assert len(solution.probabilities_NK) == IMAGES, "out of fold"


@pytest.mark.parametrize("solver", ["logistic", "ridge"])
def test_the_plain_head_stays_bit_for_bit_where_early_features_are_noise(solver: str):
    asked = problem(early_tells=0.0, solver=solver, l2_penalties=(0.1,))
    solution = solve_depths(asked)
    assert solution.kind == "linear"
    assert not solution.head.weight_KF[:, LAST:].any()
    assert "is not significantly better" in solution.why
    if solver == "logistic":
        last = asked.train._matrix[:, :LAST]
        expected = solve_logistic(last, asked.labels, 3, l2_penalty=0.1)
        assert np.array_equal(solution.head.weight_KF[:, :LAST], expected.weight_KF)
        assert np.array_equal(solution.head.bias_K, expected.bias_K)


def test_the_decision_is_the_paired_test_on_the_validation_images():
    compared = 0
    for seed in range(4):
        asked = problem(early_tells=0.35, select=90, seed=seed)
        rows, labels = asked.validation
        solution = solve_depths(asked)
        assert len(solution.probabilities_NK) == len(labels) == 90
        assert np.allclose(solution.probabilities_NK, solution.head.probabilities(rows._matrix))
        never = solve_depths(replace(asked, significance_level=1e-12))
        always = solve_depths(replace(asked, significance_level=0.999999))
        losses = [sharpened_log_losses(s.probabilities_NK, labels) for s in (never, always)]
        if never.kind == always.kind:  # not even fewer errors
            continue
        compared += 1
        p_value = paired_p_value(*losses)
        assert (solution.kind == "multi_depth") == (p_value < 0.05)
        assert f"p = {p_value:.2g}" in solution.why
    assert compared


def test_its_l2_penalty_is_that_of_the_selected_head():
    asked = problem(early_tells=0.0)
    plain = choose_l2_penalty(asked.train._matrix[:, :LAST], asked.labels, 3, list(asked.folds))
    assert solve_depths(asked).head.l2_penalty == plain.l2_penalty


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
        from headstart.training.checkpoint import Candidate

        monkeypatch.setattr(Candidate, "p_value_against", lambda self, other: 0.0)
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
    assert np.abs(predictor.probabilities(records) - softmax(logits.astype(np.float64))).max() < 1e-6


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


def test_a_refit_keeps_to_the_features_that_were_needed(prepare: Callable, tmp_path: Path):
    _, images, classifier = prepared(prepare, tmp_path)
    needed = torch.zeros(2, classifier.num_features)
    needed[:, 3:400] = 1.0
    needed[1, -5:] = 1.0
    classifier.write_linear(needed, torch.zeros(2))
    refit_head(ActivationSource(classifier, images), ProbePhase(), l2_penalty=0.1, seed=0)
    found = classifier.linear_weight().numpy()
    assert not found[:, needed.sum(dim=0).numpy() == 0].any()
    used = needed.sum(dim=0).numpy() > 0
    features = features_of(classifier, images.roles.training_pool, images.spec)[:, used]
    expected = solve_logistic(features, images.labels(images.roles.training_pool), 2, l2_penalty=0.1)
    assert np.abs(found[:, used] - expected.weight_KF).max() < 0.02 * np.abs(expected.weight_KF).max()


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
