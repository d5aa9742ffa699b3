"""Layer groups of a network, and the only code that freezes, sets BatchNorm and sorts parameters by group.

A layer group is a part of the network that is trained or frozen as a whole. Groups are ordered from stem to head, as in
forward, and together they hold every parameter and every buffer exactly once. `grouping.py` determines them.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.errors import ModelError, nearest
from headstart.plan.sections import BatchNormPolicy

Affine = Literal["trained", "frozen"]


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """Part of the network that is trained or frozen as a whole."""

    name: str
    members: tuple[str, ...]
    """Paths of modules (with everything below them) and of single tensors; no two groups share one."""

    def owns(self, path: str) -> bool:
        """Whether the module or tensor of this path lies in this group."""
        return any(path == member or path.startswith(f"{member}.") for member in self.members)


def named_tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every parameter and buffer with its name."""
    yield from network.named_parameters()
    yield from network.named_buffers()


def owner_by_path(paths: Iterable[str], groups: Sequence[LayerGroup]) -> dict[str, str]:
    """Path of a module or tensor -> name of its group; a path that no group holds is left out.

    Args:
        paths: Dotted paths, as `named_modules`, `named_parameters` and `named_buffers` give them.
        groups: Of the network.
    """
    owner_of_member = {member: group.name for group in groups for member in group.members}
    found = {}
    for path in paths:
        # Members are modules as well as tensors: the closest enclosing member owns the path.
        prefix = path
        while prefix:
            if prefix in owner_of_member:
                found[path] = owner_of_member[prefix]
                break
            prefix = prefix.rpartition(".")[0]
    return found


def assert_partition(network: nn.Module, groups: Sequence[LayerGroup]) -> None:
    """Check that every parameter and buffer lies in exactly one group.

    Raises:
        ModelError: one lies in none, or two groups share a member.
    """
    members = [member for group in groups for member in group.members]
    shared = sorted({member for member in members if members.count(member) > 1})
    # A member inside another one would be owned twice, by different groups.
    nested = [m for m in members if any(m != other and m.startswith(f"{other}.") for other in members)]
    if shared or nested:
        raise ModelError(f"layer groups share {(shared or nested)[0]}", expected="each tensor in exactly one group")
    names = [name for name, _ in named_tensors(network)]
    owners = owner_by_path(names, groups)
    missing = [name for name in names if name not in owners]
    if missing:
        raise ModelError(
            f"{len(missing)} tensors lie in no layer group (first: {missing[0]})",
            expected="each tensor in exactly one group",
        )


def check_names(names: Iterable[str], groups: Sequence[LayerGroup]) -> tuple[str, ...]:
    """Names as a tuple, stem to head, if all of them are groups.

    Raises:
        ModelError: one is not a group.
    """
    asked, known = set(names), [group.name for group in groups]
    unknown = sorted(asked - set(known))
    if unknown:
        hint = nearest(unknown[0], known)
        raise ModelError(
            f"no layer group {unknown[0]!r}" + (f"; {hint}" if hint else ""), expected=f"some of {', '.join(known)}"
        )
    return tuple(name for name in known if name in asked)


def freeze(network: nn.Module, groups: Sequence[LayerGroup], *, trained: Iterable[str]) -> None:
    """Make exactly the named groups trainable; every other parameter gets no gradient.

    BatchNorm buffers are not affected: see `set_batch_norm`.
    """
    learning = set(trained)
    owners = owner_by_path((name for name, _ in network.named_parameters()), groups)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(owners.get(name) in learning)


def is_batch_norm(module: nn.Module) -> bool:
    """Whether the module normalises by batch in training and by running statistics in evaluation.

    In addition to torch's classes these are those of the libraries (EvoNorm-B, in-place BatchNorm), which are known by
    their running buffers.
    """
    return isinstance(module, _BatchNorm) or "running_var" in dict(module.named_buffers(recurse=False))


def set_batch_norm(
    network: nn.Module,
    groups: Sequence[LayerGroup],
    *,
    policy: BatchNormPolicy,
    affine: Affine,
    trained: Iterable[str],
) -> None:
    """Put the network into training mode with BatchNorm as the policy says. Call before every epoch's steps.

    pretrained_statistics: all BatchNorm layers in evaluation mode; no running buffer moves.
    adapt_statistics: all in training mode, so buffers move; affine weights are frozen.
    train: those of trained groups normalise by batch and move; the others stay in evaluation mode.
    Modules of frozen groups are in evaluation mode in any case, so that their dropout is off.
    """
    learning = set(trained)
    network.train()
    owners = owner_by_path((name for name, _ in network.named_modules()), groups)
    for name, module in network.named_modules():
        frozen = name in owners and owners[name] not in learning
        if is_batch_norm(module):
            # Statistics move only in training mode, whatever `requires_grad` says.
            by_batch = policy == "adapt_statistics" or (policy == "train" and not frozen)
            module.train(by_batch)
            if policy == "adapt_statistics" or affine == "frozen":
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad = False
        elif frozen:
            # Not `eval()`: it would reach into children, of which some may belong to a trained group.
            module.training = False


def param_groups(network: nn.Module, groups: Sequence[LayerGroup], rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """One optimizer group for each trainable layer group: its `lr`, a `name`, and only parameters with gradients.

    `lr` is the learning rate itself, not a scale of it, so that every scheduler of torch works. Call after `freeze`
    and `set_batch_norm`, which decide what is trainable.
    """
    owners = owner_by_path((name for name, _ in network.named_parameters()), groups)
    made = []
    for group in groups:
        if group.name not in rates:
            continue
        # Frozen parameters stay out: a gradient that was left from before would move them.
        owned = [p for n, p in network.named_parameters() if owners.get(n) == group.name and p.requires_grad]
        if owned:
            made.append({"params": owned, "lr": rates[group.name], "name": group.name})
    return made


def frozen_tensors(network: nn.Module, *, policy: str) -> dict[str, Tensor]:
    """Tensors that must be bit-identical after an epoch: frozen parameters, and buffers that do not change."""
    still = {name: p.detach() for name, p in network.named_parameters() if not p.requires_grad}
    # Running statistics that an epoch changes on purpose; everything else that does not train must stay.
    moving = {
        f"{name}.{buffer}"
        for name, module in network.named_modules()
        if is_batch_norm(module) and module.training and policy != "pretrained_statistics"
        for buffer, _ in module.named_buffers(recurse=False)
    }
    return still | {name: b.detach() for name, b in network.named_buffers() if name not in moving}


@contextmanager
def in_evaluation_mode(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode inside the block; afterwards every module has its own mode again."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        network.train()  # networks that cache derived tensors in evaluation mode let go of them here
        for module, mode in modes.items():
            module.training = mode


def copy_of(network: nn.Module, *, without: str = "") -> dict[str, Tensor]:
    """Copy of the network's state on the CPU, independent of later steps.

    Args:
        network: Not changed.
        without: Name of a child whose tensors are left out; empty: none is.
    """
    tensors = network.state_dict().items()
    return {name: _copied(one.detach()) for name, one in tensors if not without or name.partition(".")[0] != without}


def _copied(tensor: Tensor) -> Tensor:
    """A copy on the CPU; numpy makes it, because torch wakes all its threads for each of hundreds of small tensors."""
    if tensor.device.type != "cpu":
        return tensor.cpu()
    if tensor.dtype == torch.bfloat16:  # numpy has none
        return tensor.clone()
    return torch.from_numpy(tensor.numpy().copy(order="K"))


def restore(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a whole state and leave the network in evaluation mode.

    Some networks (LeViT, TinyViT, EfficientFormer) keep tensors that they derived from their weights in evaluation
    mode until the next `train()`; loading without it would go on with what belongs to the weights of before.
    """
    versioned = OrderedDict(state)
    # Some networks (MNASNet) read the version of a state from here, which files do not hold.
    versioned._metadata = network.state_dict()._metadata  # type: ignore[attr-defined]
    network.train()
    network.load_state_dict(versioned)
    network.eval()


def fingerprints(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Hash of the bytes of each tensor."""
    # Bytes, not values: -0.0 and 0.0, or two NaN, are told apart too.
    return {
        name: hashlib.blake2b(
            t.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data, digest_size=16
        ).hexdigest()
        for name, t in tensors.items()
    }
