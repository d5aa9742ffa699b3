"""The linear probe: evaluated on images it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.engine.prefix.inference import features_of, logits_of
from headstart.engine.store.store import ActivationStore
from headstart.engine.store.stored_rows import StoredRows
from headstart.engine.store.training_images import TrainingImages
from headstart.plan.plan import ProbePhase
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.solvers import head_solver
from headstart.solvers.linear_head import LinearHead, softmax
from headstart.training.activation_source import ActivationSource
from headstart.training.probe.pooled_source import PooledSource
from headstart.training.probe.probe import fit_probe, refit_head, write_head


def test_the_probe_is_evaluated_on_validation_images_with_the_weights_it_wrote(prepare: Callable):
    task = prepare(strategy="discriminative")
    classifier = task.classifier()
    solved = fit_probe(ActivationSource(classifier, task.images), ProbePhase(), seed=0)
    select = task.images.roles.validation
    logits = logits_of(classifier, select, task.images.spec)
    labels = task.images.labels(select)
    assert ((logits.argmax(axis=1) == labels) == solved.candidate.correct).all()
    probabilities = softmax(logits.astype(np.float64))
    assert solved.log_loss == pytest.approx(-np.log(probabilities[range(len(labels)), labels]).mean(), rel=1e-3)


def test_without_validation_images_the_probe_is_evaluated_out_of_fold(prepare: Callable):
    task = prepare(strategy="feature_extraction")
    assert not task.images.roles.validation
    solved = fit_probe(ActivationSource(task.classifier(), task.images), ProbePhase(), seed=0)
    assert len(solved.candidate.correct) == len(task.images.roles.train)


def test_a_given_l2_penalty_is_used(prepare: Callable):
    task = prepare(strategy="feature_extraction")
    solved = fit_probe(ActivationSource(task.classifier(), task.images), ProbePhase(l2_penalty=0.5), seed=0)
    assert solved.l2_penalty == 0.5


def test_the_backbone_is_untouched(prepare: Callable):
    task = prepare(strategy="discriminative")
    classifier = task.classifier()
    before = {n: t.clone() for n, t in classifier.network.state_dict().items()}
    solved = fit_probe(ActivationSource(classifier, task.images), ProbePhase(), seed=0)
    refit_head(ActivationSource(classifier, task.images), ProbePhase(), l2_penalty=solved.l2_penalty, seed=0)
    moved = {n for n, t in classifier.network.state_dict().items() if not torch.equal(t, before[n])}
    assert moved == {"classifier.weight", "classifier.bias"}


def test_write_head_refuses_a_head_that_is_not_linear(prepare: Callable):
    classifier = prepare(strategy="feature_extraction", head="mlp").classifier()
    with pytest.raises(TypeError, match="one linear layer, not Sequential"):
        write_head(classifier, LinearHead(np.zeros((2, 1280)), np.zeros(2), 1.0))


def with_store(task, folder: Path) -> TrainingImages:
    digests = {name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()}
    return replace(task.images, digests=digests, store=ActivationStore(folder))


@pytest.mark.parametrize("with_rows", [True, False])
def test_who_leaves_while_features_are_computed_leaves_the_head_as_it_was(
    prepare: Callable, tmp_path: Path, with_rows: bool
):
    task = prepare(strategy="discriminative")
    images = with_store(task, tmp_path / "store") if with_rows else task.images
    classifier, doing, engines = task.classifier(), [""], set()
    before = {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}

    class Told(Observer):
        def work_started(self, what: str, total: int) -> None:
            doing[0] = what

    class Left(Exception):
        pass

    def leave(engine: str | None) -> None:
        engines.add(engine)
        if doing[0] == "features of validation":
            raise Left

    with pytest.raises(Left):
        fit_probe(
            ActivationSource(classifier, images, observer=Told(), engine="torch", after_batch=leave),
            ProbePhase(),
            seed=0,
        )
    assert engines == ({"torch"} if with_rows else {None})
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.network.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["logistic", "ridge"])
def test_cached_features_are_fitted_in_blocks_with_the_same_result(
    solver: str, prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    task = prepare(strategy="feature_extraction")
    images, heads = with_store(task, tmp_path / "store"), []
    classifier, phase = task.classifier(), ProbePhase(solver=solver)
    for limit in (2**30, 0):
        monkeypatch.setattr(head_solver, "IN_MEMORY_BYTES", limit)
        solved = fit_probe(ActivationSource(classifier, images), phase, seed=0)
        heads.append({name: tensor.clone() for name, tensor in classifier.head.state_dict().items()})
        refit_head(ActivationSource(classifier, images), phase, l2_penalty=solved.l2_penalty, seed=0)
        again = classifier.head.state_dict()
        assert all(torch.allclose(heads[-1][name], again[name], atol=1e-3) for name in again)  # fit is all of train
    assert isinstance(
        PooledSource(ActivationSource(classifier, images)).rows(images.roles.train, what="features"),
        StoredRows,
    )
    largest = heads[0]["weight"].abs().max()
    assert torch.allclose(heads[0]["weight"], heads[1]["weight"], atol=float(1e-2 * largest))


def test_a_ridge_probe_gives_probabilities(prepare: Callable):
    task = prepare(strategy="discriminative", head_solver="ridge")
    assert task.plan.phases[0].solver == "ridge"
    classifier = task.classifier()
    solved = fit_probe(ActivationSource(classifier, task.images), task.plan.phases[0], seed=0)
    assert solved.candidate.accuracy == 1
    assert 0 < solved.log_loss < 0.4


def test_an_l2_penalty_chosen_on_a_sample_is_noted_and_evaluated_there(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Notes(Observer):
        def noted(self, event: Event) -> None:
            said[event.event] = event.to_dict()

    said: dict = {}
    task = prepare(strategy="feature_extraction")
    monkeypatch.setattr(head_solver, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(head_solver, "SAMPLE_VALUES", 1280 * 8)
    fit = len(task.images.roles.train)
    solved = fit_probe(
        ActivationSource(task.classifier(), with_store(task, tmp_path / "s"), observer=Notes()),
        ProbePhase(folds=2),
        seed=0,
    )
    assert said["penalty_sampled"] == {"phase": "probe", "images": 8, "of": fit}
    assert len(solved.candidate.correct) == 8 < fit


def test_weights_of_images_reach_the_linear_probe_and_its_refit(prepare: Callable):
    """Against scikit-learn on the same features: loss, means and deviations are weighted."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    task = prepare(strategy="feature_extraction")
    records = task.images.roles.train
    own = dict(zip([r.id for r in records], np.random.default_rng(0).uniform(0.1, 9, len(records)), strict=True))
    images, classifier = replace(task.images, weights=own), task.classifier()
    features = features_of(classifier, records, images.spec)
    labels, weights = images.labels(records), images.weights_of(records)
    z = StandardScaler().fit(features, sample_weight=weights).transform(features)
    # Of two classes it has one weight a feature, the difference of ours: half the penalty.
    reference = LogisticRegression(C=2 / (weights.sum() * 0.1), tol=1e-7, max_iter=1000)
    wanted = reference.fit(z, labels, sample_weight=weights).predict_proba(z)

    def worst() -> float:
        return float(np.abs(softmax(logits_of(classifier, records, images.spec).astype(np.float64)) - wanted).max())

    phase = ProbePhase(l2_penalty=0.1)
    fit_probe(ActivationSource(classifier, images), phase, seed=0)
    assert worst() < 1e-3
    fit_probe(ActivationSource(classifier, task.images), phase, seed=0)
    assert worst() > 5e-3
    refit_head(ActivationSource(classifier, images), phase, l2_penalty=0.1, seed=0)
    assert worst() < 1e-3
