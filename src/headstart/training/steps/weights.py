"""Weights of a network that a step changes: copies of them, and writing them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from headstart.networks.backbone import Classifier
from headstart.networks.groups.layers import named_tensors

StepWeights: TypeAlias = dict[str, Tensor]
"""Name -> tensor, on the CPU, of those that a step may change."""


def tensors_of(classifier: Classifier, names: frozenset[str]) -> StepWeights:
    """Copies of the named tensors of a network, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in named_tensors(classifier.network) if name in names}


def write_tensors(classifier: Classifier, weights: Mapping[str, Tensor]) -> None:
    """Write tensors into a network, in place, so that optimizers and recorded graphs keep hold of them."""
    with torch.no_grad():
        for name, tensor in named_tensors(classifier.network):
            if name in weights:
                tensor.copy_(weights[name])
