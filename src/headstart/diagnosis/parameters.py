"""Parameters of a network next to the optimizers that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class ParameterFacts:
    """One parameter."""

    name: str
    numel: int
    is_trainable: bool
    slots: tuple[tuple[int, int], ...]
    """(optimizer, group) of each place that holds it."""
    lr: float | None
    """Learning rate of the first place."""


def facts_of_parameters(model: nn.Module | None, optimizers: tuple[Any, ...]) -> tuple[tuple[ParameterFacts, ...], int]:
    """Facts of each parameter, and the number of tensors that optimizers hold and the network does not."""
    held: dict[int, list[tuple[int, int]]] = {}
    tensors: dict[int, Tensor] = {}
    for number, optimizer in enumerate(optimizers):
        for index, group in enumerate(optimizer.param_groups):
            for one in group["params"]:
                held.setdefault(id(one), []).append((number, index))
                tensors[id(one)] = one
    named = [] if model is None else list(model.named_parameters())
    own = {id(one) for _, one in named}
    found = []
    for name, one in named:
        slots = tuple(held.get(id(one), ()))
        lr = float(optimizers[slots[0][0]].param_groups[slots[0][1]].get("lr", 0.0)) if slots else None
        found.append(ParameterFacts(name, one.numel(), one.requires_grad, slots, lr))
    return tuple(found), sum(key not in own for key in tensors)


def names_text(parameters: tuple[ParameterFacts, ...] | list[ParameterFacts], *, most: int = 3) -> str:
    """`3 parameters with 1,234 values (conv1.weight, bn1.weight, bn1.bias)`; the first names only."""
    names = ", ".join(one.name for one in parameters[:most]) + (", ..." if len(parameters) > most else "")
    values = sum(one.numel for one in parameters)
    return f"{len(parameters):,} parameter{'s' if len(parameters) != 1 else ''} with {values:,} values ({names})"
