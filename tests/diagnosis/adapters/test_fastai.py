from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

import headstart
from diagnosis.gallery.parts import WEIGHTS, evaluation_loader, frozen, loader, pretrained
from headstart.diagnosis.adapters.fastai import GroupedOptimizer, learner_lrs


def learner(network: nn.Module, lr: object = slice(1e-6, 1e-3)) -> SimpleNamespace:
    """What a Learner has before its first fit."""
    body = [one for name, one in network.named_parameters() if not name.startswith("fc")]
    return SimpleNamespace(
        dls=SimpleNamespace(train=loader(), valid=evaluation_loader(), vocab=["ants", "bees", "wasps"]),
        model=network,
        loss_func=nn.CrossEntropyLoss(),
        opt_func=None,
        opt=None,
        lr=lr,
        wd=None,
        splitter=lambda model: [body, list(model.fc.parameters())],
    )


def test_learning_rates_are_spread_as_fastai_does():
    assert learner_lrs(1e-3, 3) == [1e-3] * 3
    assert learner_lrs(slice(1e-5, 1e-3), 3) == pytest.approx([1e-5, 1e-4, 1e-3])
    assert learner_lrs(slice(1e-3), 3) == pytest.approx([1e-4, 1e-4, 1e-3])
    assert learner_lrs(slice(1e-5, 1e-3), 1) == [1e-3]


def test_groups_are_those_of_the_splitter():
    found = GroupedOptimizer(learner(pretrained()))
    assert [group["lr"] for group in found.optimizer.param_groups] == pytest.approx([1e-6, 1e-3])


def test_a_sound_learner_has_no_complaint_and_an_erasing_one_has():
    assert headstart.doctor(learner(pretrained()), weights=WEIGHTS).complaints == ()
    found = headstart.doctor(learner(pretrained(), lr=1e-1), weights=WEIGHTS)
    assert "learning_rate_erases" in {one.id for one in found.findings}


def test_a_frozen_body_without_trained_batch_norm_drifts():
    found = headstart.doctor(learner(frozen(pretrained())), weights=WEIGHTS)
    assert {"frozen_batch_norm_drifts", "optimizer_holds_frozen"} <= {one.id for one in found.findings}
