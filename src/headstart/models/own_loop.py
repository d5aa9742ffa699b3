"""Freezing, rates and BatchNorm for a training loop of the user's own, on any torch network.

groups = headstart.layer_groups(model)
headstart.freeze(model, groups, train=["layer4", "head"])
headstart.batch_norm(model, groups, "pretrained_statistics", train=["layer4", "head"])
optimizer = torch.optim.AdamW(headstart.param_groups(model, groups, head=1e-3, backbone=1e-4))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from headstart.errors import ModelError
from headstart.facts import depth_of
from headstart.models import layers
from headstart.models.grouping import layer_groups
from headstart.models.layers import Affine, BatchNormPolicy, LayerGroup, check_names


def freeze(
    model: nn.Module, groups: Sequence[LayerGroup] | None = None, *, train: Iterable[str] | int
) -> tuple[str, ...]:
    """Let only some layer groups learn: all other parameters get no gradient.

    This stops gradients, not BatchNorm's running statistics: see `batch_norm`.

    Args:
        model: Any network.
        groups: From `layer_groups`; None finds them.
        train: Names of groups, or how many backbone groups learn beside the head, counted from the last stage.

    Returns:
        Names of the groups that learn, stem to head.

    Raises:
        ModelError: no such group, or more than there are.
    """
    groups = layer_groups(model) if groups is None else groups
    names = learning_names(groups, train)
    layers.freeze(model, groups, trained=names)
    return names


def learning_names(groups: Sequence[LayerGroup], train: Iterable[str] | int) -> tuple[str, ...]:
    """Names of the groups that learn, stem to head.

    Raises:
        ModelError: no such group, or more than there are.
    """
    if not isinstance(train, int):
        return check_names(train, groups)
    if not 0 <= train < len(groups):
        raise ModelError(f"{train} backbone groups cannot learn", expected=f"0..{len(groups) - 1}")
    return tuple(group.name for group in groups[len(groups) - 1 - train :])


def batch_norm(
    model: nn.Module,
    groups: Sequence[LayerGroup] | None = None,
    policy: BatchNormPolicy = "pretrained_statistics",
    *,
    train: Iterable[str] | int | None = None,
    affine: Affine = "trained",
) -> RemovableHandle:
    """Keep BatchNorm, and all modules of frozen groups, in the mode that the policy names, on every step.

    A plain `model.eval()` of some layers is undone by the next `model.train()`; this one is not: modes are set again
    before each forward pass in training mode. In evaluation mode nothing is touched.

    Args:
        model: Any network.
        groups: From `layer_groups`; None finds them.
        policy: pretrained_statistics: no running buffer moves, training normalises as evaluation does.
            adapt_statistics: buffers move, affine weights do not learn. train: BatchNorm of learning groups normalises
            by batch and moves, that of the others rests.
        train: The groups that learn, as for `freeze`; None: those with a parameter that requires a gradient.
        affine: Whether scale and shift of BatchNorm in learning groups learn.

    Returns:
        A handle; its `remove()` ends it.

    Raises:
        ModelError: no such group.
    """
    found = layer_groups(model) if groups is None else tuple(groups)
    names = _learning_now(model, found) if train is None else learning_names(found, train)

    def set_modes(module: nn.Module, inputs: Any) -> None:  # noqa: ANN401 - any forward
        if module.training:
            layers.set_batch_norm(module, found, policy=policy, affine=affine, trained=names)

    if policy == "adapt_statistics" or affine == "frozen":
        for module in model.modules():
            if layers.is_batch_norm(module):
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad = False
    return model.register_forward_pre_hook(set_modes)


def _learning_now(model: nn.Module, groups: Sequence[LayerGroup]) -> tuple[str, ...]:
    parameters = dict(model.named_parameters())
    owners = layers.owner_by_path(parameters, groups)
    learning = {owners[name] for name, parameter in parameters.items() if parameter.requires_grad}
    return tuple(group.name for group in groups if group.name in learning)


def param_groups(
    model: nn.Module,
    groups: Sequence[LayerGroup] | None = None,
    rates: Mapping[str, float] | None = None,
    *,
    head: float = 1e-3,
    backbone: float | str = 1e-4,
    decay: float = 1.0,
) -> list[dict[str, Any]]:
    """Optimizer groups with a rate of their own: one a layer group, named, with only the parameters that learn.

    The rate stands in `lr` itself, so that every scheduler of torch scales it; nothing else is needed.

    Args:
        model: Any network; call `freeze` before, which decides what learns.
        groups: From `layer_groups`; None finds them.
        rates: Name of a group -> rate; overrides what follows.
        head: Rate of the head.
        backbone: Rate of the last backbone group; "by_depth" takes the textbook's rate at each relative depth.
        decay: Each group before the last has the rate of the one after it times this: 0.75 or 0.9 at block grain,
            1 / 2.6 (ULMFiT) at stage grain.

    Returns:
        What torch's optimizers take: [{"params", "lr", "name"}, ...], stem to head.

    Raises:
        ModelError: a rate names no group.
    """
    found = layer_groups(model) if groups is None else groups
    *stages, last = found
    planned = {last.name: head}
    for position, group in enumerate(stages):
        if isinstance(backbone, str):
            planned[group.name] = depth_of(position, len(stages)).learning_rate
        else:
            planned[group.name] = backbone * decay ** (len(stages) - 1 - position)
    check_names(rates or {}, found)
    return layers.param_groups(model, found, {**planned, **(rates or {})})
