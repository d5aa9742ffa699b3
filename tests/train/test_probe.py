"""The solved probe: judged on images its fit did not see."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from headstart.features.engines import logits_of
from headstart.features.linear import LinearHead, softmax
from headstart.plan import SolvePhase
from headstart.train.observers import Observer
from headstart.train.probe import refit_head, solve_probe, write_head


def test_the_probe_is_judged_on_select_images_with_the_weights_it_wrote(prepare: Callable):
    task = prepare(strategy="discriminative")
    classifier = task.classifier()
    solved = solve_probe(classifier, SolvePhase(), task.images, seed=0, observer=Observer())
    select = task.images.roles.select
    logits = logits_of(classifier, select, task.images.spec)
    labels = task.images.labels(select)
    assert ((logits.argmax(axis=1) == labels) == solved.candidate.correct).all()
    probabilities = softmax(logits.astype(np.float64))
    assert solved.log_loss == pytest.approx(-np.log(probabilities[range(len(labels)), labels]).mean(), rel=1e-3)


def test_without_select_images_the_probe_is_judged_out_of_fold(prepare: Callable):
    task = prepare(strategy="feature_extraction")
    assert not task.images.roles.select
    solved = solve_probe(task.classifier(), SolvePhase(), task.images, seed=0, observer=Observer())
    assert len(solved.candidate.correct) == len(task.images.roles.fit)


def test_a_given_strength_is_used(prepare: Callable):
    task = prepare(strategy="feature_extraction")
    solved = solve_probe(task.classifier(), SolvePhase(strength=0.5), task.images, seed=0, observer=Observer())
    assert solved.strength == 0.5


def test_the_backbone_is_untouched(prepare: Callable):
    task = prepare(strategy="discriminative")
    classifier = task.classifier()
    before = {n: t.clone() for n, t in classifier.network.state_dict().items()}
    solved = solve_probe(classifier, SolvePhase(), task.images, seed=0, observer=Observer())
    refit_head(classifier, task.images, strength=solved.strength, observer=Observer())
    moved = {n for n, t in classifier.network.state_dict().items() if not torch.equal(t, before[n])}
    assert moved == {"classifier.weight", "classifier.bias"}


def test_write_head_refuses_a_head_that_is_not_linear(prepare: Callable):
    classifier = prepare(strategy="feature_extraction", head="mlp").classifier()
    with pytest.raises(TypeError, match="one linear layer, not Sequential"):
        write_head(classifier, LinearHead(np.zeros((2, 1280)), np.zeros(2), 1.0))
