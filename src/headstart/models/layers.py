"""Layer groups of a network, and the only code that freezes, sets BatchNorm and sorts parameters by group.

A layer group is a stretch of the network between two valid cut points. Groups are ordered stem to head, and
together they hold every parameter and every buffer exactly once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.errors import ModelError

FLATTEN = "flatten"
"""Step of a group that is no module: (B, F, 1, 1) -> (B, F)."""


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """A stretch of the network."""

    name: str
    steps: tuple[str, ...]
    """Module paths (or FLATTEN) in the order in which forward runs them."""

    def owns(self, tensor_name: str) -> bool:
        """Whether a parameter or buffer of this name lies in this group."""
        return any(tensor_name == step or tensor_name.startswith(f"{step}.") for step in self.steps)


def groups_of_family(family: str, stages: int) -> tuple[LayerGroup, ...]:
    """Groups at stage grain.

    Args:
        family: Key of the table of families.
        stages: Number of stages between stem and head.

    Raises:
        ModelError: the family has no table.
    """
    if family == "resnet":
        middle = [LayerGroup(f"layer{i}", (f"layer{i}",)) for i in range(1, stages + 1)]
        stem = LayerGroup("stem", ("conv1", "bn1", "relu", "maxpool"))
        return (stem, *middle, LayerGroup("head", ("avgpool", FLATTEN, "fc")))
    if family == "efficientnet":
        middle = [LayerGroup(f"stage{i + 1}", (f"blocks.{i}",)) for i in range(stages - 1)]
        # The last 1x1 convolution and its norm feed the pooling: they belong to the last stage, not to the head.
        last = LayerGroup(f"stage{stages}", (f"blocks.{stages - 1}", "conv_head", "bn2"))
        stem = LayerGroup("stem", ("conv_stem", "bn1"))
        return (stem, *middle, last, LayerGroup("head", ("global_pool", "classifier")))
    raise ModelError(f"no layer groups for family {family!r}", expected="resnet or efficientnet")


def stage_groups(network: nn.Module, family: str) -> tuple[LayerGroup, ...]:
    """Groups of a built network.

    Raises:
        ModelError: the family is unknown, or the groups do not hold each tensor exactly once.
    """
    stages = len(network.get_submodule("blocks")) if family == "efficientnet" else 4  # type: ignore[arg-type]
    groups = groups_of_family(family, stages)
    for name, _ in named_tensors(network):
        owners = [group.name for group in groups if group.owns(name)]
        if len(owners) != 1:
            raise ModelError(f"tensor {name} lies in {len(owners)} layer groups {owners}", expected="exactly one")
    return groups


def named_tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every parameter and buffer with its name."""
    yield from network.named_parameters()
    yield from network.named_buffers()


def run_groups(network: nn.Module, groups: Sequence[LayerGroup], x: Tensor) -> Tensor:
    """Run a stretch of consecutive groups; all groups in turn equal the network's own forward."""
    for step in (step for group in groups for step in group.steps):
        x = torch.flatten(x, 1) if step == FLATTEN else network.get_submodule(step)(x)
    return x


def pooled_features(network: nn.Module, groups: Sequence[LayerGroup], x_BCHW: Tensor) -> Tensor:  # noqa: N803
    """What the head's own layers read: (B, F)."""
    *backbone, head = groups
    return run_groups(network, (*backbone, LayerGroup(head.name, head.steps[:-1])), x_BCHW)


def freeze(network: nn.Module, groups: Sequence[LayerGroup], *, trained: Iterable[str]) -> None:
    """Let exactly the named groups learn; every other parameter gets no gradient.

    Says nothing about BatchNorm buffers: see `set_batch_norm`.
    """
    learning = set(trained)
    for name, parameter in network.named_parameters():
        owner = next(group.name for group in groups if group.owns(name))
        parameter.requires_grad_(owner in learning)


def set_batch_norm(
    network: nn.Module,
    groups: Sequence[LayerGroup],
    *,
    policy: Literal["pretrained_statistics", "adapt_statistics", "train"],
    affine: Literal["trained", "frozen"],
    trained: Iterable[str],
) -> None:
    """Put the network into training mode with BatchNorm as the policy says. Call before every epoch's steps.

    pretrained_statistics: all BatchNorm layers in evaluation mode; no running buffer moves.
    adapt_statistics: all in training mode, so buffers move; no affine weight learns.
    train: those of trained groups normalise by batch and move; the others stay in evaluation mode.
    Modules of frozen groups are in evaluation mode in any case, so that their dropout is off.
    """
    learning = set(trained)
    network.train()
    for name, module in network.named_modules():
        owner = next((group.name for group in groups if group.owns(name)), None)
        frozen = owner is not None and owner not in learning
        if isinstance(module, _BatchNorm):
            by_batch = policy == "adapt_statistics" or (policy == "train" and not frozen)
            module.train(by_batch)
            if policy == "adapt_statistics" or affine == "frozen":
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad = False
        elif frozen:
            module.training = False


def param_groups(network: nn.Module, groups: Sequence[LayerGroup], rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """One optimizer group per layer group that learns: its own `lr`, a `name`, and only parameters with gradients.

    Call after `freeze` and `set_batch_norm`, which decide what learns.
    """
    made = []
    for group in groups:
        if group.name not in rates:
            continue
        owned = [p for n, p in network.named_parameters() if group.owns(n) and p.requires_grad]
        if owned:
            made.append({"params": owned, "lr": rates[group.name], "name": group.name})
    return made


def frozen_tensors(network: nn.Module, *, policy: str) -> dict[str, Tensor]:
    """Everything that must be bit-identical after an epoch: parameters without gradient, and still buffers."""
    still = {name: p.detach() for name, p in network.named_parameters() if not p.requires_grad}
    moving = {
        f"{name}.{buffer}"
        for name, module in network.named_modules()
        if isinstance(module, _BatchNorm) and module.training and policy != "pretrained_statistics"
        for buffer, _ in module.named_buffers(recurse=False)
    }
    return still | {name: b.detach() for name, b in network.named_buffers() if name not in moving}


def fingerprints(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Hash of the bytes of each tensor."""
    return {
        name: hashlib.blake2b(
            t.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data, digest_size=16
        ).hexdigest()
        for name, t in tensors.items()
    }
