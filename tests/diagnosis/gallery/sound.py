"""Correct set-ups, about which the doctor must not complain."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import headstart
from diagnosis.gallery.parts import (
    IMAGENET,
    Pictures,
    TinyConv,
    correct,
    evaluation_loader,
    frozen,
    loader,
    pretrained,
    pretrained_vit,
    standard,
    two_rates,
)


def full() -> dict[str, Any]:
    return correct()


def full_at_one_low_rate() -> dict[str, Any]:
    model = pretrained_vit()
    return correct(model=model, optimizer=torch.optim.AdamW(model.parameters(), 2e-5))


def frozen_in_evaluation_mode() -> dict[str, Any]:
    model = frozen(pretrained())
    model.eval()
    model.fc.train()
    return correct(
        model=model, optimizer=torch.optim.AdamW(model.fc.parameters(), 1e-3), loader=loader(standard(augment=False))
    )


def frozen_by_headstart() -> dict[str, Any]:
    model = pretrained()
    headstart.freeze(model, train=[])
    headstart.batch_norm(model, policy="pretrained_statistics")
    return correct(model=model, optimizer=torch.optim.AdamW(headstart.param_groups(model, head=1e-3)))


def partly_frozen() -> dict[str, Any]:
    """The stem and its BatchNorm are frozen and in evaluation mode."""
    model = pretrained()
    for part in (model.conv1, model.bn1):
        part.requires_grad_(False)
        part.eval()
    return correct(model=model)


def overridden_train() -> dict[str, Any]:
    class Keeping(TinyConv):
        def train(self, mode: bool = True):
            super().train(mode)
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
            return self

    model = Keeping(1000)
    model.load_state_dict(pretrained(None).state_dict())
    model.fc = nn.Linear(32, 3)
    frozen(model).train()
    return correct(model=model, optimizer=torch.optim.SGD(model.fc.parameters(), 1e-2))


def adapted_statistics() -> dict[str, Any]:
    model = pretrained()
    headstart.freeze(model, train=[])
    headstart.batch_norm(model, policy="adapt_statistics")
    return correct(model=model, optimizer=torch.optim.AdamW(headstart.param_groups(model, head=1e-3)))


def averaged() -> dict[str, Any]:
    """An EMA copy exists next to the network that is trained."""
    found = correct()
    found["model"].ema = [torch.optim.swa_utils.AveragedModel(copy.deepcopy(found["model"]))]
    return found


class LowRank(nn.Module):
    """A frozen linear layer and a trainable correction of low rank that starts at 0."""

    def __init__(self, inner: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.inner = inner.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, inner.in_features) / rank)
        self.up = nn.Parameter(torch.zeros(inner.out_features, rank))

    @property
    def weight(self) -> torch.Tensor:
        return self.inner.weight + self.up @ self.down

    @property
    def bias(self) -> torch.Tensor:
        return self.inner.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.weight, self.bias)


def low_rank_adapters() -> dict[str, Any]:
    model = pretrained_vit()
    model.requires_grad_(False)
    for layer in model.blocks.layers:
        layer.linear1, layer.linear2 = LowRank(layer.linear1), LowRank(layer.linear2)
    model.head.requires_grad_(True)
    trainable = [one for one in model.parameters() if one.requires_grad]
    return correct(model=model, optimizer=torch.optim.AdamW(trainable, 1e-3))


def layer_norms_frozen() -> dict[str, Any]:
    model = frozen(pretrained_vit(), "head")
    return correct(model=model, optimizer=torch.optim.AdamW(model.head.parameters(), 1e-3))


def normalised_inside() -> dict[str, Any]:
    """The network normalises, so the loader gives 0-1."""

    class Normalising(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.tensor(IMAGENET[0]).view(1, 3, 1, 1))
            self.register_buffer("std", torch.tensor(IMAGENET[1]).view(1, 3, 1, 1))
            self.net = pretrained()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net((x - self.mean) / self.std)

    model = Normalising()
    return correct(
        model=model,
        optimizer=two_rates(model, "net.fc"),
        loader=loader(standard(normalise=None)),
        val_loader=evaluation_loader(standard(augment=False, normalise=None)),
    )


def own_statistics() -> dict[str, Any]:
    """Normalised by the statistics of the images at hand."""
    data = Pictures(standard(augment=False, normalise=None))
    values = torch.stack([data[i][0] for i in range(len(data))]).transpose(0, 1).flatten(1)
    own = (values.mean(dim=1).tolist(), values.std(dim=1).tolist())
    return correct(
        loader=loader(standard(normalise=own)), val_loader=evaluation_loader(standard(augment=False, normalise=own))
    )


def one_cycle_by_group() -> dict[str, Any]:
    model = pretrained()
    optimizer = two_rates(model)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=[1e-5, 1e-3], total_steps=30)
    return correct(model=model, optimizer=optimizer, scheduler=scheduler, epochs=10)


def binary_by_one_output() -> dict[str, Any]:
    def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], labels.float())

    pair = ("cat", "dog")
    return correct(
        model=pretrained(1), loader=loader(classes=pair), val_loader=evaluation_loader(classes=pair), criterion=loss
    )


def declared_size() -> dict[str, Any]:
    return correct(
        loader=loader(standard(side=32)),
        val_loader=evaluation_loader(standard(augment=False, side=32)),
        input_size=32,
    )


def cached_tensors() -> dict[str, Any]:
    """A linear probe on normalised tensors in memory."""
    data = Pictures(standard(augment=False))
    images = torch.stack([data[i][0] for i in range(len(data))])
    model = frozen(pretrained_vit(), "head")
    sets = (
        TensorDataset(images[:36], torch.tensor(data.targets[:36])),
        TensorDataset(images[36:], torch.tensor(data.targets[36:])),
    )
    return correct(
        model=model,
        optimizer=torch.optim.AdamW(model.head.parameters(), 1e-3),
        loader=DataLoader(sets[0], 16, shuffle=True),
        val_loader=DataLoader(sets[1], 16),
    )


def layer_wise_decay() -> dict[str, Any]:
    model = pretrained()
    groups = headstart.param_groups(model, head=1e-3, backbone=1e-4, decay=0.5)
    optimizer = torch.optim.AdamW(groups)
    return correct(
        model=model, optimizer=optimizer, scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30), epochs=10
    )


def from_scratch() -> dict[str, Any]:
    """Random weights on purpose: none are named."""
    model = TinyConv(3)
    return correct(model=model, weights=None, optimizer=torch.optim.SGD(model.parameters(), 0.05, momentum=0.9))


def accumulated() -> dict[str, Any]:
    return correct(accumulate=3)


SOUND = (
    full,
    full_at_one_low_rate,
    frozen_in_evaluation_mode,
    frozen_by_headstart,
    partly_frozen,
    overridden_train,
    adapted_statistics,
    averaged,
    low_rank_adapters,
    layer_norms_frozen,
    normalised_inside,
    own_statistics,
    one_cycle_by_group,
    binary_by_one_output,
    declared_size,
    cached_tensors,
    layer_wise_decay,
    from_scratch,
    accumulated,
)
