"""A head on all depths beside the plain probe: selected where it is better, and no trace of it where it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.data.loading import read_view
from headstart.engine.known.depths import restored
from headstart.engine.known.finding import known_depths_classifier, known_pretrained_classifier
from headstart.engine.known.pretrained import torch_classifier
from headstart.engine.known.remembering import make_known, remember_choice
from headstart.engine.prefix.depth_features import matching_depths, with_depths
from headstart.engine.prefix.inference import features_of, logits_of
from headstart.engine.store.store import ActivationStore
from headstart.engine.store.training_images import TrainingImages
from headstart.errors import ModelError
from headstart.findings import Finding
from headstart.networks.backbone import Classifier
from headstart.networks.cards.finding import find_model
from headstart.networks.groups.layers import restore
from headstart.networks.head_layers import DEPTHS
from headstart.plan.plan import ProbePhase
from headstart.prediction.bundle import save_bundle
from headstart.prediction.predictor import load
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.solvers.rows import RowSource
from headstart.training.activation_source import ActivationSource
from headstart.training.checkpoint import Candidate
from headstart.training.probe import depth_trial, probe
from headstart.training.probe.depth_trial import TrialTerms, try_depths
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
    """No head makes an error on these colours, so the second one is only fitted and selected without the rules."""
    monkeypatch.setattr(depth_trial, "why_too_few_errors", lambda plain, level: "")
    monkeypatch.setattr(Candidate, "loss_p_value_against", lambda deep, plain: 0.0)


@pytest.mark.parametrize("rule", ["errors", "cost", "test"])
def test_where_depths_cannot_pay_everything_is_that_of_the_plain_probe(
    source: ActivationSource, monkeypatch: pytest.MonkeyPatch, rule: str
):
    if rule != "errors":
        monkeypatch.setattr(depth_trial, "why_too_few_errors", lambda plain, level: "")
    network, told = source.classifier.network, []
    names = list(network.state_dict())
    trial = try_depths(source, PHASE, TrialTerms(0, 0.05, 1e-9 if rule == "cost" else None), on_plain=told.append)
    assert trial.outcome == ("not_better" if rule == "test" else "not_worth_it")
    assert (trial.p_value is None) == (trial.deep is None) == (trial.seconds == 0.0) == (rule != "test")
    assert trial.selected is None
    assert told == [trial.plain]
    assert list(network.state_dict()) == names
    assert "forward" not in vars(network)
    # The plain probe reads its features out of the same rows: nothing is computed again.
    after = replace(source, after_batch=lambda engine: pytest.fail("features were computed again"))
    assert same(trial.plain, fit_probe(after, PHASE, seed=0))
    assert all(torch.equal(trial.plain.candidate.weights[name], network.state_dict()[name]) for name in names)
    assert trial.summary.endswith(f"selected the linear head: {trial.why}")


def test_plain_features_that_are_there_decide_before_all_depths_are_read(
    source: ActivationSource, monkeypatch: pytest.MonkeyPatch
):
    expected = fit_probe(source, PHASE, seed=0)
    after = replace(source, after_batch=lambda engine: pytest.fail("all depths were read"))
    trial = try_depths(after, PHASE, TrialTerms(0))
    assert (trial.outcome, trial.deep) == ("not_worth_it", None)
    assert same(trial.plain, expected)
    forced(monkeypatch)
    assert try_depths(source, PHASE, TrialTerms(0)).outcome == "selected"


@pytest.mark.slow
def test_they_decide_too_where_all_depths_could_be_read_without_torch(
    source: ActivationSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A shortlist leaves plain features of a network that an earlier training has made known at every depth."""
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    choice, images = find_model(source.classifier.card.name), source.images
    build = partial(torch_classifier, choice, num_classes=2, seed=0, size=32)
    plain = build()
    remember_choice(choice, plain, size=32, grain="stage", purpose="bundle")
    views = np.stack([read_view(record, images.spec) for record in images.roles.train[:8]])
    make_known(with_depths(plain, 32), views)
    known = known_pretrained_classifier(
        choice, head_kind="linear", num_classes=2, size=32, grain="stage", purpose="bundle", build=build
    )
    assert known is not None
    fit_probe(replace(source, classifier=known), PHASE, seed=0)
    after = replace(source, classifier=known, after_batch=lambda engine: pytest.fail("all depths were read"))
    assert known_depths_classifier(known, size=32) is not None
    assert try_depths(after, PHASE, TrialTerms(0)).outcome == "not_worth_it"


def test_a_selected_head_is_a_candidate_and_the_network_is_that_of_the_plain_probe(
    source: ActivationSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    forced(monkeypatch)
    trial = try_depths(source, PHASE, TrialTerms(0))
    classifier, images = source.classifier, source.images
    plain, deep = trial.plain.candidate, trial.selected.candidate
    assert (deep.name, classifier.head_kind) == ("multi_depth", "linear")
    assert classifier.state().keys() == plain.weights.keys()
    assert all(torch.equal(tensor, plain.weights[name]) for name, tensor in classifier.state().items())
    assert deep.weights["conv_stem.weight"] is plain.weights["conv_stem.weight"], "a backbone is kept once"
    assert bool(deep.weights[f"{DEPTHS}.weight"].any())
    found = restored(classifier, deep.weights, images.spec.size)
    assert found.head_kind == "multi_depth"
    logits = logits_of(found, images.roles.train, images.spec)
    features = torch.from_numpy(features_of(found, images.roles.train, images.spec))
    assert np.abs(found.logits_from(features).detach().numpy() - logits).max() < 1e-3
    save_bundle(tmp_path / "bundle", found, classes=images.roles.classes, spec=images.spec)
    assert load(tmp_path / "bundle").info.head == "multi_depth"
    refit_head(replace(source, classifier=found), PHASE, l2_penalty=0.1, seed=0)
    assert bool(found.linear_weight()[:, found.num_last_features :].any())


def test_saved_weights_of_either_head_can_be_restored(source: ActivationSource, monkeypatch: pytest.MonkeyPatch):
    forced(monkeypatch)
    trial = try_depths(source, PHASE, TrialTerms(0))
    plain, deep = trial.plain.candidate.weights, trial.selected.candidate.weights
    size, records, spec = source.images.spec.size, source.images.roles.train[:4], source.images.spec
    classifier = matching_depths(source.classifier, deep, size)
    restore(classifier.network, deep)
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

    forced(monkeypatch)
    expected = fit_probe(source, PHASE, seed=0)
    monkeypatch.setattr(depth_trial, "tapped", refuse)
    trial = try_depths(source, PHASE, TrialTerms(0))
    assert (trial.outcome, trial.why) == ("unreadable", "it cannot be read at every depth")
    assert same(trial.plain, expected)


@pytest.mark.parametrize("when", ["before the plain head is fitted", "after"])
def test_who_stops_it_gets_the_network_back_as_it_was(
    source: ActivationSource, monkeypatch: pytest.MonkeyPatch, when: str
):
    forced(monkeypatch)
    before = {name: tensor.clone() for name, tensor in source.classifier.network.state_dict().items()}
    fitted: list[FittedProbe] = []

    def stop() -> None:
        if fitted or when != "after":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        try_depths(source, PHASE, TrialTerms(0), on_plain=fitted.append, check_stop=stop)
    expected = fitted[0].candidate.weights if when == "after" else before
    after = source.classifier.network.state_dict()
    assert expected.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in expected.items())
    assert "forward" not in vars(source.classifier.network)


@pytest.mark.parametrize("solver", ["logistic", "ridge"])
def test_weights_of_images_count_in_the_head_on_all_depths(
    source: ActivationSource, solver: str, monkeypatch: pytest.MonkeyPatch
):
    forced(monkeypatch)
    records = source.images.roles.train
    weights = {record.id: 3.0 if record.label == source.images.roles.classes[0] else 1.0 for record in records}
    weighted = replace(source, images=replace(source.images, weights=weights))
    phase, size = ProbePhase(l2_penalty=10.0, solver=solver), source.images.spec.size
    biases = []
    for one in (source, weighted):
        deep = try_depths(one, phase, TrialTerms(0)).selected.candidate.weights
        classifier = restored(source.classifier, deep, size)
        logits = logits_of(classifier, records, source.images.spec)
        biases.append(float((logits[:, 0] - logits[:, 1]).mean()))
        matching_depths(classifier, (), size)
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
    try_depths(watched, PHASE, TrialTerms(0))
    fit_probe(watched, PHASE, seed=0)
    deep = matching_depths(watched.classifier, [f"{DEPTHS}.weight"], 32)
    fit_probe(replace(watched, classifier=deep), PHASE, seed=0)
    assert widths == [(1280, 1280)] * 3
    assert told.count("finding") == 3
