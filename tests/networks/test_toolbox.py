"""A user's own loop on any torch network: trainable groups, their learning rates, and frozen tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import timm
import torch
import torchvision.models
from torch import nn

import headstart
from headstart.arguments import ArgumentError
from headstart.errors import ModelError
from headstart.networks.groups.layers import fingerprints


def images() -> torch.Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


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
    headstart.freeze(model, train=0)
    handle = headstart.batch_norm(model)
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


def test_training_gives_the_outputs_of_evaluation_with_pretrained_statistics(model: nn.Module):
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


def test_learning_rates_shrink_towards_the_stem_and_stand_where_every_scheduler_finds_them(model: nn.Module):
    groups = headstart.layer_groups(model, grain="block")
    made = headstart.param_groups(model, groups, head=1e-2, backbone=1e-3, decay=0.5)
    lrs = [group["lr"] for group in made]
    assert lrs[-1] == 1e-2
    assert lrs[:-1] == pytest.approx([1e-3 * 0.5**i for i in range(len(lrs) - 1)][::-1])
    optimizer = torch.optim.SGD(made)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.1)
    optimizer.step()
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([rate / 10 for rate in lrs])
    held = [p for group in made for p in group["params"]]
    assert len({id(p) for p in held}) == len(held) == len(list(model.parameters()))


def test_textbook_learning_rates_and_learning_rates_by_name():
    model = torchvision.models.resnet18(num_classes=2)
    made = headstart.param_groups(model, lrs={"layer4": 3e-5}, backbone="by_depth")
    assert {group["name"]: group["lr"] for group in made} == {
        "stem": 1e-6,
        "layer1": 1e-6,
        "layer2": 5e-6,
        "layer3": 1e-5,
        "layer4": 3e-5,
        "head": 1e-3,
    }


RESNET18 = torchvision.models.resnet18(num_classes=3)
RESNET18_GROUPS = headstart.layer_groups(RESNET18)


def resnet18() -> nn.Module:
    return copy.deepcopy(RESNET18)


def moved_in(model: nn.Module, optimizer: torch.optim.Optimizer, *, steps: int = 1) -> tuple[set[str], set[str]]:
    """(groups with a parameter that moved, groups with a running statistic that moved) in some steps."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    buffers = {name for name, _ in model.named_buffers()}
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=False)  # keeps gradients of zero, with which momentum would go on
        one_step(model, optimizer)
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    of = {name: next(g.name for g in RESNET18_GROUPS if g.owns(name)) for name in moved}
    return {of[name] for name in moved - buffers}, {of[name] for name in moved & buffers}


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    made = headstart.param_groups(model, RESNET18_GROUPS, head=0.01, backbone=0.01)
    return torch.optim.SGD(made, momentum=0.9, weight_decay=0.1)


@pytest.mark.parametrize("train", ["layer4", ["layer4"], ("head", "layer4"), 1, numpy.int64(1)])
def test_the_new_head_is_trained_whether_it_is_named_or_not(train: Any):
    model = resnet18()
    assert headstart.freeze(model, RESNET18_GROUPS, train=train) == ("layer4", "head")
    headstart.batch_norm(model, RESNET18_GROUPS)
    assert moved_in(model, optimizer_of(model)) == ({"layer4", "head"}, set())


def test_a_head_that_was_trained_before_can_be_frozen():
    model = resnet18()
    assert headstart.freeze(model, RESNET18_GROUPS, train=["layer4"], head="frozen") == ("layer4",)
    headstart.batch_norm(model, RESNET18_GROUPS)
    assert moved_in(model, optimizer_of(model)) == ({"layer4"}, set())


def test_the_policy_follows_what_is_frozen_and_unfrozen_later():
    model = resnet18()
    headstart.freeze(model, RESNET18_GROUPS, train=0)
    headstart.batch_norm(model, RESNET18_GROUPS, "train")
    assert moved_in(model, optimizer_of(model)) == ({"head"}, set())
    headstart.freeze(model, RESNET18_GROUPS, train=2)
    optimizer = optimizer_of(model)
    assert moved_in(model, optimizer, steps=2) == ({"layer3", "layer4", "head"}, {"layer3", "layer4"})
    headstart.freeze(model, RESNET18_GROUPS, train=1)  # the same optimizer still holds layer3, with its momentum
    assert moved_in(model, optimizer) == ({"layer4", "head"}, {"layer4"})


@pytest.mark.parametrize(("policy", "buffers"), [("train", {"layer4"}), ("pretrained_statistics", set())])
def test_frozen_scale_and_shift_stay_frozen_after_unfreezing_their_group(policy: Any, buffers: set[str]):
    model = resnet18()
    headstart.freeze(model, RESNET18_GROUPS, train=0)
    headstart.batch_norm(model, RESNET18_GROUPS, policy, affine="frozen")
    headstart.freeze(model, RESNET18_GROUPS, train=1)
    optimizer = optimizer_of(model)
    scale = model.layer4[0].bn1.weight
    before = scale.clone()
    assert moved_in(model, optimizer) == ({"layer4", "head"}, buffers)
    assert torch.equal(scale, before)


def test_a_second_policy_takes_the_place_of_the_first():
    model = resnet18()
    headstart.batch_norm(model, RESNET18_GROUPS, "adapt_statistics")
    assert not model.bn1.weight.requires_grad
    handle = headstart.batch_norm(model, RESNET18_GROUPS, "pretrained_statistics")
    assert model.bn1.weight.requires_grad
    assert moved_in(model, optimizer_of(model))[1] == set()
    handle.remove()
    assert moved_in(model, optimizer_of(model))[1] == {"stem", "layer1", "layer2", "layer3", "layer4"}


def test_a_copy_of_a_network_has_a_policy_of_its_own():
    model = resnet18()
    headstart.freeze(model, RESNET18_GROUPS, train=2)
    headstart.batch_norm(model, RESNET18_GROUPS, "train", affine="frozen")
    twin = copy.deepcopy(model)
    headstart.freeze(twin, RESNET18_GROUPS, train=1)
    assert moved_in(twin, optimizer_of(twin)) == ({"layer4", "head"}, {"layer4"})
    assert moved_in(model, optimizer_of(model)) == ({"layer3", "layer4", "head"}, {"layer3", "layer4"})


def test_mistakes_are_named():
    model = torchvision.models.resnet18(num_classes=2)
    with pytest.raises(ModelError, match=r"no layer group 'layer5'; did you mean layer"):
        headstart.freeze(model, train=["layer5"])
    with pytest.raises(ModelError, match=r"no layer group 'heads'"):
        headstart.param_groups(model, lrs={"heads": 1.0})
    with pytest.raises(ModelError, match=r"9 backbone groups cannot be trained; expected 0\.\.5"):
        headstart.freeze(model, train=9)
    headstart.freeze(model, train=1)
    with pytest.raises(ModelError, match=r"lrs names 'layer1', which is frozen; make it trainable"):
        headstart.param_groups(model, lrs={"layer1": 1e-4})
    with pytest.raises(ModelError, match=r"not those of this network: they lack conv1\.weight"):
        headstart.freeze(model, headstart.layer_groups(nn.Sequential(nn.Conv2d(3, 8, 3), OWN_HEAD)), train=1)
    for parameter in model.parameters():
        parameter.requires_grad = False
    with pytest.raises(ModelError, match=r"no parameter of the network is trainable; call headstart\.freeze"):
        headstart.param_groups(model)


OWN_HEAD = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, g: headstart.batch_norm(m, g, "frozen"), r"policy='frozen' is not valid; expected one of pretrain"),
        (lambda m, g: headstart.batch_norm(m, g, "statistics"), r"did you mean .*pretrained_statistics"),
        (lambda m, g: headstart.batch_norm(m, g, affine="frozn"), r"affine='frozn' .* did you mean frozen\?"),
        (lambda m, g: headstart.batch_norm("resnet18", g), r"model is str 'resnet18'; expected a torch network"),
        (lambda m, g: headstart.batch_norm(m, "stage"), r"groups='stage' is not valid; expected what headstart"),
        (lambda m, g: headstart.layer_groups(m, grain="stages"), r"grain='stages' .* did you mean stage\?"),
        (lambda m, g: headstart.layer_groups("resnet18"), r"network is str 'resnet18'"),
        (lambda m, g: headstart.layer_groups(m, example=images()[0]), r"example is a tensor of shape \(3, 32, 32\)"),
        (lambda m, g: headstart.freeze(m, g, train=True), r"train=True is not valid; expected names .* or how many"),
        (lambda m, g: headstart.freeze(m, g, train=1.0), r"train=1\.0 is not valid"),
        (lambda m, g: headstart.freeze(m, g, train=[4]), r"train holds 4; expected names: some of stem, "),
        (lambda m, g: headstart.freeze(m, g, train=1, head="fixed"), r"head='fixed' is not valid; expected one of tra"),
        (lambda m, g: headstart.freeze(m, g, train="head", head="frozen"), r"train names 'head', and head='frozen'"),
        (lambda m, g: headstart.param_groups(m, g, head=0.0), r"head=0\.0 is not valid; expected a number > 0"),
        (lambda m, g: headstart.param_groups(m, g, head="1e-3"), r"head='1e-3' is not valid"),
        (lambda m, g: headstart.param_groups(m, g, backbone="depth"), r"backbone='depth' .* did you mean by_depth\?"),
        (lambda m, g: headstart.param_groups(m, g, backbone=float("nan")), r"backbone=nan is not valid"),
        (lambda m, g: headstart.param_groups(m, g, backbone="by_depth", decay=0.5), r"decay=0\.5 has no effect with"),
        (lambda m, g: headstart.param_groups(m, g, decay=1.5), r"decay=1\.5 .* > 0 and <= 1"),
        (lambda m, g: headstart.param_groups(m, g, [1e-3]), r"lrs=\[0\.001\] is not valid"),
        (lambda m, g: headstart.param_groups(m, g, {"head": -1}), r"lrs\['head'\]=-1 is not valid"),
    ],
)
def test_every_argument_is_checked(call: Callable[..., object], words: str):
    with pytest.raises(ArgumentError, match=words):
        call(RESNET18, RESNET18_GROUPS)
