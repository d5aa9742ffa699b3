from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import headstart
from diagnosis.gallery.parts import Pictures, correct, embedded, pretrained, standard, two_rates
from headstart.arguments import ArgumentError


def test_nothing_that_is_given_changes():
    """Weights, gradients, modes, hooks, optimizer, scheduler, random states, and the position of the loader."""
    torch.manual_seed(0)
    model = pretrained(drop=0.3)
    model.bn1.eval()
    model.conv2.register_forward_hook(lambda *arguments: None)
    optimizer = two_rates(model)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, [1e-5, 1e-3], total_steps=30)
    own = torch.Generator().manual_seed(4)
    loader = DataLoader(Pictures(standard()), 16, shuffle=True, generator=own)
    model(torch.randn(2, 3, 64, 64)).sum().backward()
    optimizer.step()
    running = iter(loader)
    next(running)
    before = _state(model, optimizer, scheduler, own)
    headstart.doctor(**correct(model=model, optimizer=optimizer, scheduler=scheduler, loader=loader))
    assert _equal(before, _state(model, optimizer, scheduler, own))
    assert len(list(running)) == 2


def _state(model, optimizer, scheduler, generator) -> list:
    return copy.deepcopy(
        [
            dict(model.state_dict()),
            [one.grad for one in model.parameters()],
            [(one.training, len(one._forward_hooks), len(one._forward_pre_hooks)) for one in model.modules()],
            [one.requires_grad for one in model.parameters()],
            optimizer.state_dict(),
            {name: value for name, value in scheduler.state_dict().items() if not callable(value)},
            [torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate(), generator.get_state()],
        ]
    )


def _equal(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one == other


def test_at_most_a_few_batches_are_read():
    read = []

    class Counting(Pictures):
        def __getitem__(self, index: int):
            read.append(index)
            return super().__getitem__(index)

    headstart.doctor(loader=DataLoader(Counting(standard(), count=3_000), 32, shuffle=True))
    assert len(read) <= 3 * 32 + 18


def test_a_real_network_set_up_well_and_badly():
    lite0 = embedded()
    half = ([0.5] * 3, [0.5] * 3)
    given = {"weights": "tf_efficientnet_lite0", "input_size": 128, "criterion": torch.nn.CrossEntropyLoss()}
    loaders = {
        "loader": DataLoader(Pictures(standard(side=128, normalise=half), side=128), 4, shuffle=True),
        "val_loader": DataLoader(Pictures(standard(side=128, normalise=half, augment=False), first=500, side=128), 4),
    }
    groups = headstart.param_groups(lite0, head=1e-3, backbone=1e-4)
    sound = headstart.doctor(lite0.train(), torch.optim.AdamW(groups), **loaders, **given)
    assert sound.complaints == ()
    loaders["loader"] = DataLoader(Pictures(standard(side=128), side=128), 4, shuffle=True)
    high = torch.optim.Adam(lite0.parameters(), 3e-3)
    found = {one.id for one in headstart.doctor(lite0, high, **loaders, **given).findings}
    assert {"normalisation_differs", "learning_rate_erases", "one_learning_rate", "preprocessing_differs"} <= found


def test_norms_of_timm_drift_too():
    """They hold their activation as a child."""
    network = embedded().train()
    network.requires_grad_(False)
    network.classifier = torch.nn.Linear(network.classifier.in_features, 3)
    sgd = torch.optim.SGD(network.classifier.parameters(), 1e-3, momentum=0.9)
    half = standard(side=96, normalise=([0.5] * 3, [0.5] * 3))
    images = DataLoader(Pictures(half, side=96), 4, shuffle=True)
    result = headstart.doctor(network, sgd, loader=images, weights="tf_efficientnet_lite0", input_size=96)
    assert [one.id for one in result.findings] == ["frozen_batch_norm_drifts"]
    assert "49 of 49" in result.findings[0].evidence


def test_an_argument_that_is_none_is_refused():
    with pytest.raises(ArgumentError, match="accumulate"):
        headstart.doctor(pretrained(), accumulate=0)
    with pytest.raises(ArgumentError, match="weights"):
        headstart.doctor(pretrained(), weights="resnet81")
