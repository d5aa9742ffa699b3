"""Weight layers of a network: whether they hold their initial values, and which of them is the classifier."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headstart.networks.groups.layers import is_batch_norm

FEWEST_VALUES = 300
"""Of a weight whose distribution shows."""
_UNIFORM, _TRUNCATED, _NORMAL = 1.8, 2.37, 3.0
"""Kurtosis of the distributions that layers are initialised from."""


@dataclass(frozen=True, slots=True)
class InitialShare:
    """How many layers hold values as initialised."""

    norms: int
    """Norm layers with scale and shift."""
    initial_norms: int
    layers: int
    """Linear and convolution layers that are large enough to tell."""
    initial_layers: int

    @property
    def is_random(self) -> bool:
        """Whether the network as a whole was never trained."""
        # A trained norm never has all scales at exactly 1 and all shifts at 0; shapes of distributions are softer.
        if self.norms >= 2:
            return self.initial_norms >= 0.9 * self.norms and self.initial_layers >= 0.5 * self.layers
        return self.layers >= 2 and self.initial_layers >= 0.9 * self.layers


def initial_share(network: nn.Module, *, without: str = "") -> InitialShare:
    """Counts of layers that hold their initial values.

    Args:
        network: Any network.
        without: Path of a module that is new and left out: the head.
    """
    norms = initial_norms = layers = initial_layers = 0
    for path, module in network.named_modules():
        if without and (path == without or path.startswith(f"{without}.")):
            continue
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or weight.is_meta:
            continue
        if is_norm(module):
            norms += 1
            initial_norms += _norm_is_initial(module)
        elif is_weight_layer(module) and weight.numel() >= FEWEST_VALUES and weight.shape[0] >= 8:
            layers += 1
            initial_layers += weight_is_initial(weight)
    return InitialShare(norms, initial_norms, layers, initial_layers)


def is_norm(module: nn.Module) -> bool:
    """Whether the module is a norm with a scale of its own."""
    weight = getattr(module, "weight", None)
    named = isinstance(module, nn.LayerNorm | nn.GroupNorm) or "norm" in type(module).__name__.lower()
    return (is_batch_norm(module) or named) and isinstance(weight, Tensor) and weight.ndim == 1


def is_weight_layer(module: nn.Module) -> bool:
    """Whether the module is a linear layer or a convolution, of torch or like one."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and weight.ndim >= 2 and not isinstance(module, nn.Embedding)


def _norm_is_initial(module: nn.Module) -> bool:
    weight, bias = module.weight, module.bias
    assert isinstance(weight, Tensor)
    scale = bool((weight == 1).all() or (weight == 0).all())
    shift = not isinstance(bias, Tensor) or bool((bias.detach() == 0).all())
    return scale and shift


def weight_is_initial(weight: Tensor) -> bool:
    """Whether values are drawn independently from a uniform, normal or truncated normal distribution.

    Training makes a few values large (kurtosis far above 3) and filters of unequal norm; under independence the squared
    norm of a filter of n values has a relative variance of (kurtosis - 1) / n.

    Args:
        weight: (out, ...) of a linear layer or a convolution.
    """
    rows = weight.detach().float().flatten(1)
    if rows.numel() > 400_000:
        rows = rows[: max(8, 400_000 // rows.shape[1])]
    scale = rows.square().mean()
    if not bool(scale > 0) or not bool(torch.isfinite(scale)):
        return False
    kurtosis = float((rows.square().square().mean() / scale.square()).item())
    error = 5.0 * math.sqrt(24.0 / rows.numel()) + 0.02
    if min(abs(kurtosis - known) for known in (_UNIFORM, _TRUNCATED, _NORMAL)) > error:
        return False
    norms = rows.square().mean(dim=1) / scale
    filters = rows.shape[0]
    expected = (kurtosis - 1) / rows.shape[1]
    observed = float(norms.var().item())
    # The variance of a sample of K has a relative error of about sqrt(2 / K).
    return observed <= expected * (1 + 6 * math.sqrt(2 / filters)) + 1e-6


def weight_layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Path and module of every linear layer and convolution, in order of registration."""
    yield from ((path, module) for path, module in network.named_modules() if path and is_weight_layer(module))
