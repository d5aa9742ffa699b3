"""A user's own loop on any torch network: what learns, at which rate, and what never moves."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
import torchvision.models
from torch import nn

import headstart
from headstart.errors import ModelError
from headstart.models.layers import fingerprints


def images() -> torch.Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=["torchvision", "timm", "own"])
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    if request.param == "torchvision":
        return torchvision.models.resnet18(num_classes=3)
    if request.param == "timm":
        return timm.create_model("mobilenetv3_small_050", num_classes=3)
    stages = [
        nn.Sequential(nn.Conv2d(i, o, 3, 2, 1), nn.BatchNorm2d(o), nn.ReLU()) for i, o in ((3, 8), (8, 8), (8, 16))
    ]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))


def one_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    model.train()  # as every loop does, epoch after epoch
    nn.functional.cross_entropy(model(images()), torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()


def test_exactly_what_was_asked_moves_and_no_statistic_does(model: nn.Module):
    groups = headstart.layer_groups(model)
    learning = headstart.freeze(model, groups, train=1)
    assert learning == tuple(group.name for group in groups[-2:])
    headstart.batch_norm(model, groups)
    optimizer = torch.optim.SGD(headstart.param_groups(model, groups, backbone=0.1, head=0.1))
    before = copy.deepcopy(model.state_dict())
    buffers = fingerprints(dict(model.named_buffers()))
    for _ in range(2):
        one_step(model, optimizer)
    assert fingerprints(dict(model.named_buffers())) == buffers
    for name, parameter in model.named_parameters():
        owner = next(group.name for group in groups if group.owns(name))
        if owner not in learning:
            assert torch.equal(parameter, before[name]), name
    moved = {
        next(g.name for g in groups if g.owns(n)) for n, p in model.named_parameters() if not torch.equal(p, before[n])
    }
    assert moved == set(learning)


def test_without_it_statistics_drift_which_is_what_it_is_for(model: nn.Module):
    groups = headstart.layer_groups(model)
    headstart.freeze(model, groups, train=["head"])
    buffers = fingerprints(dict(model.named_buffers()))
    one_step(model, torch.optim.SGD(headstart.param_groups(model, groups)))
    assert fingerprints(dict(model.named_buffers())) != buffers


def test_the_handle_ends_it_and_evaluation_is_left_alone(model: nn.Module):
    handle = headstart.batch_norm(model, train=["head"])
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    model.train()
    model(images())
    assert not norm.training
    model.eval()
    model(images())
    assert not model.training
    handle.remove()
    model.train()
    model(images())
    assert norm.training


def test_training_answers_as_evaluation_does_with_pretrained_statistics(model: nn.Module):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    headstart.batch_norm(model, policy="pretrained_statistics")
    with torch.no_grad():
        model.eval()
        evaluated = model(images())
        model.train()
        assert torch.allclose(model(images()), evaluated, atol=1e-5)


def test_adapting_moves_statistics_and_leaves_the_affine_weights(model: nn.Module):
    headstart.batch_norm(model, policy="adapt_statistics")
    affine = [p for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()]
    assert not any(parameter.requires_grad for parameter in affine)
    buffers = fingerprints(dict(model.named_buffers()))
    one_step(model, torch.optim.SGD(headstart.param_groups(model)))
    assert fingerprints(dict(model.named_buffers())) != buffers


def test_rates_shrink_towards_the_stem_and_stand_where_every_scheduler_finds_them(model: nn.Module):
    groups = headstart.layer_groups(model, grain="block")
    made = headstart.param_groups(model, groups, head=1e-2, backbone=1e-3, decay=0.5)
    rates = [group["lr"] for group in made]
    assert rates[-1] == 1e-2
    assert rates[:-1] == pytest.approx([1e-3 * 0.5**i for i in range(len(rates) - 1)][::-1])
    optimizer = torch.optim.SGD(made)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.1)
    optimizer.step()
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([rate / 10 for rate in rates])
    held = [p for group in made for p in group["params"]]
    assert len({id(p) for p in held}) == len(held) == len(list(model.parameters()))


def test_textbook_rates_and_rates_by_name():
    model = torchvision.models.resnet18(num_classes=2)
    made = headstart.param_groups(model, rates={"layer4": 3e-5}, backbone="by_depth")
    assert {group["name"]: group["lr"] for group in made} == {
        "stem": 1e-6,
        "layer1": 1e-6,
        "layer2": 5e-6,
        "layer3": 1e-5,
        "layer4": 3e-5,
        "head": 1e-3,
    }


def test_mistakes_are_named():
    model = torchvision.models.resnet18(num_classes=2)
    with pytest.raises(ModelError, match=r"no layer group 'layer5'; did you mean layer"):
        headstart.freeze(model, train=["layer5"])
    with pytest.raises(ModelError, match=r"no layer group 'heads'"):
        headstart.param_groups(model, rates={"heads": 1.0})
    with pytest.raises(ModelError, match=r"9 backbone groups cannot learn; expected 0\.\.5"):
        headstart.freeze(model, train=9)
