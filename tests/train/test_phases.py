"""Entering a phase: what learns, at which rate, with which optimizer."""

from __future__ import annotations

import pytest
import torch

from headstart.models.backbone import Classifier, build_network, with_new_head
from headstart.models.catalog import find_model
from headstart.plan import OptimizerPlan, TrainPhase
from headstart.train.phases import enter


@pytest.fixture
def classifier() -> Classifier:
    card = find_model("resnet18").card
    torch.manual_seed(0)
    return with_new_head(build_network(card), card, kind="linear", num_classes=2)


def phase(rates: dict[str, float], **changes: str) -> TrainPhase:
    return TrainPhase(name="p", epochs=1, thaw=len(rates) - 1, learning_rate=1e-3, learning_rates=rates, **changes)


def test_exactly_the_named_groups_learn_each_at_its_own_rate(classifier: Classifier):
    entered = enter(classifier, phase({"layer4": 1e-4, "head": 1e-3}), OptimizerPlan())
    assert {g["name"]: g["lr"] for g in entered.optimizer.param_groups} == {"layer4": 1e-4, "head": 1e-3}
    held = {id(p) for g in entered.optimizer.param_groups for p in g["params"]}
    learning = {id(p) for p in classifier.network.parameters() if p.requires_grad}
    assert held == learning
    assert len(held) == sum(1 for n, _ in classifier.network.named_parameters() if n.startswith(("layer4", "fc")))


def test_set_rate_reaches_every_group(classifier: Classifier):
    entered = enter(classifier, phase({"layer4": 1e-4, "head": 1e-3}), OptimizerPlan())
    entered.set_rate({"layer4": 3e-5, "head": 2e-4})
    assert [g["lr"] for g in entered.optimizer.param_groups] == [3e-5, 2e-4]


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)]
)
def test_optimizers_are_torchs_own(classifier: Classifier, name: str, kind: type):
    plan = OptimizerPlan(name=name, weight_decay=0.02, momentum=0.8)
    optimizer = enter(classifier, phase({"head": 1e-3}), plan).optimizer
    assert type(optimizer) is kind
    assert optimizer.defaults["weight_decay"] == 0.02
    if name == "sgd":
        assert optimizer.defaults["momentum"] == 0.8


def test_start_epoch_restores_modes_after_an_evaluation(classifier: Classifier):
    entered = enter(classifier, phase({"head": 1e-3}, batch_norm="adapt_statistics"), OptimizerPlan())
    classifier.network.eval()
    entered.start_epoch()
    assert classifier.network.bn1.training


def test_a_later_phase_thaws_what_an_earlier_one_froze(classifier: Classifier):
    enter(classifier, phase({"head": 1e-3}), OptimizerPlan())
    assert not classifier.network.layer4[0].conv1.weight.requires_grad
    enter(classifier, phase({"layer4": 1e-4, "head": 1e-3}), OptimizerPlan())
    assert classifier.network.layer4[0].conv1.weight.requires_grad
    assert classifier.network.layer4[0].bn1.weight.requires_grad
