"""The last part of a network: replaced wherever the architecture keeps it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

HeadKind = Literal["linear", "mlp"]

MLP_HIDDEN_FEATURES = 256


def make_head(kind: HeadKind, features: int, num_classes: int) -> nn.Module:
    """A fresh head, (B, features) -> logits (B, num_classes).

    mlp: dropout 0.5 - linear 256 - ReLU - dropout 0.3 - linear. The last linear layer starts at zero, so the
    first logits are all equal and no class is favoured by chance.
    """
    last = nn.Linear(features if kind == "linear" else MLP_HIDDEN_FEATURES, num_classes)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    if kind == "linear":
        return last
    return nn.Sequential(nn.Dropout(0.5), nn.Linear(features, MLP_HIDDEN_FEATURES), nn.ReLU(), nn.Dropout(0.3), last)


def replace_head(network: nn.Module, path: str, head: nn.Module) -> None:
    """Put `head` where the network keeps its classifier."""
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, head)


def set_linear(head: nn.Module, weight_KF: Tensor, bias_K: Tensor) -> None:  # noqa: N803 - shapes
    """Write a solved linear head.

    Raises:
        TypeError: the head is not linear.
    """
    if not isinstance(head, nn.Linear):
        raise TypeError(f"a solved head needs nn.Linear, not {type(head).__name__}")
    with torch.no_grad():
        head.weight.copy_(weight_KF)
        head.bias.copy_(bias_K)
