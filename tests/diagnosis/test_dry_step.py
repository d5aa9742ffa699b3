from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from diagnosis.gallery.parts import TinyConv, frozen, pretrained
from headstart.diagnosis.dry_step import copied, dry_step, output_tensor
from headstart.diagnosis.loaders import LoaderBatch
from headstart.diagnosis.setup import Setup

BATCH = LoaderBatch(torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 0]))


def step(model: nn.Module, *optimizers: torch.optim.Optimizer, peaks=None, **given):
    return dry_step(Setup(model=model, optimizers=optimizers, **given), BATCH, solid=None, peaks=peaks or {})


def test_one_step_is_that_of_the_real_optimizer():
    model = pretrained()
    adam = torch.optim.SGD(model.parameters(), 0.1)
    found = step(model, adam)
    real = copy.deepcopy(model)
    nn.functional.cross_entropy(real(BATCH.images), BATCH.labels).backward()
    for name, one in real.named_parameters():
        assert found.gradients[name] == pytest.approx(float(one.grad.norm()), rel=1e-4)
        assert found.relative_updates[name] == pytest.approx(
            float(0.1 * one.grad.norm() / one.detach().norm()), rel=1e-3
        )


def test_order_first_layer_and_buffers_are_noted():
    found = step(pretrained())
    assert found.executed[0] == found.first_layer == "conv1"
    assert found.executed[-1] == "fc"
    assert torch.equal(found.entered, BATCH.images)
    assert {name.rpartition(".")[0] for name in found.moved_buffers} == {"bn1", "bn2", "bn3"}


def test_nothing_moves_in_evaluation_mode_unless_the_framework_sets_the_mode():
    model = pretrained().eval()
    assert not step(model).moved_buffers
    assert step(model, mode_set_by="framework").moved_buffers
    assert not model.training


def test_observers_stay_out_of_the_copy():
    model, seen = pretrained(), []
    model.conv1.register_forward_hook(lambda *arguments: seen.append(1))
    step(model)
    assert not seen
    assert len(model.conv1._forward_hooks) == 1


def test_optimizer_of_the_copy_holds_the_copys_parameters():
    model = pretrained()
    twin, (adam,) = copied(model, (torch.optim.Adam(model.parameters()),))
    assert adam.param_groups[0]["params"][0] is next(twin.parameters())


def test_a_gradient_from_before_moves_what_is_frozen():
    model = pretrained()
    sgd = torch.optim.SGD(model.parameters(), 0.1)
    model(BATCH.images).sum().backward()
    frozen(model)
    assert "conv1.weight" in step(model, sgd).moved_frozen


def test_failures_are_sentences():
    assert (
        "channels"
        in dry_step(
            Setup(model=pretrained()), LoaderBatch(torch.rand(2, 1, 32, 32), None), solid=None, peaks={}
        ).forward_error
    )
    assert step(TinyConv(3), criterion=nn.BCEWithLogitsLoss()).loss_error


def test_outputs_of_every_kind():
    x = torch.ones(1)
    for raw in (x, (x, 2), {"logits": x}, [x]):
        assert output_tensor(raw) is x
    assert output_tensor("none") is None
