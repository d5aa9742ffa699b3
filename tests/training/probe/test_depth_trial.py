"""A head on all depths beside the plain probe: selected where it is better, and no trace of it where it is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.engine.prefix.depth_features import matching_depths
from headstart.engine.prefix.inference import features_of, logits_of
from headstart.engine.store.store import ActivationStore
from headstart.engine.store.training_images import TrainingImages
from headstart.errors import ModelError
from headstart.findings import Finding
from headstart.networks.backbone import Classifier
from headstart.networks.groups.layers import restore
from headstart.networks.head_layers import DEPTHS
from headstart.plan.plan import ProbePhase
from headstart.prediction.bundle import save_bundle
from headstart.prediction.predictor import load
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.solvers.rows import MatrixRows, RowSource
from headstart.training.activation_source import ActivationSource
from headstart.training.probe import depth_trial, multi_depth, probe
from headstart.training.probe.depth_trial import expected_seconds, try_depths
from headstart.training.probe.multi_depth import DepthProblem
from headstart.training.probe.probe import FittedProbe, fit_probe, refit_head

PHASE = ProbePhase(l2_penalty=0.1)


@pytest.fixture
def source(prepare: Callable, tmp_path: Path) -> ActivationSource:
    task = prepare(strategy="feature_extraction")
    digests = {name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()}
    images = replace(task.images, digests=digests, store=ActivationStore(tmp_path / "store"))
    return ActivationSource(task.classifier(), images)


def same(found: FittedProbe, expected: FittedProbe) -> bool:
    """Whether two probes are bit for bit the same."""
    a, b = found.candidate, expected.candidate
    figures = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("correct", "losses", "confidences"))
    weights = a.weights.keys() == b.weights.keys() and all(torch.equal(a.weights[k], b.weights[k]) for k in a.weights)
    return figures and weights and found.log_loss == expected.log_loss and found.l2_penalty == expected.l2_penalty


def forced(monkeypatch: pytest.MonkeyPatch) -> None:
    """No head makes an error on these colours, so the wide one is only selected without the test."""
    monkeypatch.setattr(multi_depth, "_comparison", lambda deep, plain: (0.0, "figures"))


@pytest.mark.parametrize("most_seconds", [math.inf, 0.0])
def test_where_depths_do_not_help_everything_is_that_of_the_plain_probe(source: ActivationSource, most_seconds: float):
    network = source.classifier.network
    names = list(network.state_dict())
    trial = try_depths(source, PHASE, seed=0, most_seconds=most_seconds)
    assert trial.outcome == ("not_better" if most_seconds else "too_long")
    assert (trial.p_value is None) == (trial.seconds == 0.0) == (not most_seconds)
    assert trial.classifier is source.classifier
    assert list(network.state_dict()) == names
    assert "forward" not in vars(network)
    # The plain probe reads its features out of the same rows: nothing is computed again.
    after = replace(source, after_batch=lambda engine: pytest.fail("features were computed again"))
    assert same(trial.fitted, fit_probe(after, PHASE, seed=0))
    assert trial.why in trial.fitted.summary


def test_a_selected_head_is_in_network_candidate_and_bundle(
    source: ActivationSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    forced(monkeypatch)
    trial = try_depths(source, PHASE, seed=0)
    classifier = trial.classifier
    assert (trial.outcome, classifier.head_kind) == ("selected", "multi_depth")
    assert classifier.network is source.classifier.network
    assert bool(trial.fitted.candidate.weights[f"{DEPTHS}.weight"].any())
    images = source.images
    logits = logits_of(classifier, images.roles.train, images.spec)
    features = torch.from_numpy(features_of(classifier, images.roles.train, images.spec))
    assert np.abs(classifier.logits_from(features).detach().numpy() - logits).max() < 1e-3
    save_bundle(tmp_path / "bundle", classifier, classes=images.roles.classes, spec=images.spec)
    assert load(tmp_path / "bundle").info.head == "multi_depth"
    refit_head(replace(source, classifier=classifier), PHASE, l2_penalty=0.1, seed=0)
    assert bool(classifier.linear_weight()[:, classifier.num_last_features :].any())


def test_saved_weights_of_either_head_can_be_restored(source: ActivationSource, monkeypatch: pytest.MonkeyPatch):
    plain = fit_probe(source, PHASE, seed=0).candidate.weights
    forced(monkeypatch)
    trial = try_depths(source, PHASE, seed=0)
    classifier, deep = trial.classifier, trial.fitted.candidate.weights
    size, records, spec = source.images.spec.size, source.images.roles.train[:4], source.images.spec
    expected = logits_of(classifier, records, spec)
    kinds = []
    for weights in (plain, deep, plain):
        classifier = matching_depths(classifier, weights, size)
        kinds.append(classifier.head_kind)
        restore(classifier.network, weights)
        assert np.array_equal(logits_of(classifier, records, spec), expected) == (weights is deep)
    assert kinds == ["linear", "multi_depth", "linear"]
    assert classifier.group_names == source.classifier.group_names
    assert classifier == source.classifier


def test_a_network_that_cannot_be_tapped_gets_its_plain_probe(
    source: ActivationSource, monkeypatch: pytest.MonkeyPatch
):
    def refuse(classifier: Classifier, size: int) -> Classifier:
        raise ModelError("it cannot be read at every depth")

    expected = fit_probe(source, PHASE, seed=0)
    monkeypatch.setattr(depth_trial, "tapped", refuse)
    trial = try_depths(source, PHASE, seed=0)
    assert (trial.outcome, trial.why) == ("unreadable", "it cannot be read at every depth")
    assert same(trial.fitted, expected)


def test_who_stops_it_gets_the_network_back_as_it_was(source: ActivationSource):
    before = {name: tensor.clone() for name, tensor in source.classifier.network.state_dict().items()}

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        try_depths(source, PHASE, seed=0, check_stop=stop)
    after = source.classifier.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert "forward" not in vars(source.classifier.network)


def test_the_expected_time_is_that_of_the_plain_head_for_wider_rows():
    rows, labels = MatrixRows(np.zeros((2, 1776))), np.array([0, 1])
    asked = DepthProblem(rows, labels, 2, 1280, [0, 1], None, "train", None, "logistic", 0.05, 0)
    assert expected_seconds(2.0, asked) == pytest.approx(2.775)


@pytest.mark.parametrize("solver", ["logistic", "ridge"])
def test_weights_of_images_count_in_the_head_on_all_depths(
    source: ActivationSource, solver: str, monkeypatch: pytest.MonkeyPatch
):
    forced(monkeypatch)
    records = source.images.roles.train
    weights = {record.id: 3.0 if record.label == source.images.roles.classes[0] else 1.0 for record in records}
    weighted = replace(source, images=replace(source.images, weights=weights))
    phase = ProbePhase(l2_penalty=10.0, solver=solver)
    biases = []
    for one in (source, weighted):
        classifier = try_depths(one, phase, seed=0).classifier
        logits = logits_of(classifier, records, source.images.spec)
        biases.append(float((logits[:, 0] - logits[:, 1]).mean()))
        source = replace(source, classifier=matching_depths(classifier, (), source.images.spec.size))
    assert biases[1] > biases[0], "the class that counts more is predicted with a higher probability"


def test_leaks_are_looked_for_in_the_features_of_the_plain_head(
    source: ActivationSource, monkeypatch: pytest.MonkeyPatch
):
    widths: list[tuple[int, int]] = []

    def look(images: TrainingImages, train: RowSource, rows_of: Callable[..., RowSource]) -> list[Finding]:
        widths.append((train.width, rows_of(images.roles.test[:2]).width))
        return [Finding("warning", "neighbouring_files", "they follow each other", "name groups")]

    class Notes(Observer):
        def noted(self, event: Event) -> None:
            told.append(event.event)

    told: list[str] = []
    monkeypatch.setattr(probe, "leak_findings", look)
    watched = replace(source, observer=Notes())
    plain = try_depths(watched, PHASE, seed=0).classifier
    fit_probe(watched, PHASE, seed=0)
    fit_probe(replace(watched, classifier=matching_depths(plain, [f"{DEPTHS}.weight"], 32)), PHASE, seed=0)
    assert widths == [(1280, 1280)] * 3
    assert told.count("finding") == 3
