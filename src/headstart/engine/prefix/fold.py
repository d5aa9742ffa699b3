"""A copy of a network whose frozen BatchNorms, a scale and a shift per channel, are folded into the convolutions.

y = gamma (w * x + b - mean) / sqrt(var + eps) + beta
  = (gamma / sqrt(var + eps)) w * x + (gamma / sqrt(var + eps)) (b - mean) + beta
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from headstart.engine.prefix.norm_pairs import conv_norm_pairs
from headstart.engine.prefix.parts import Part


class PooledFeatures(nn.Module):
    """`Classifier.features` as a module: (B, C, H, W) -> (B, F)."""

    def __init__(self, network: nn.Module, features: Callable[[Tensor], Tensor], *, unused: Sequence[str] = ()) -> None:
        """Share the network.

        Args:
            network: Whose features.
            features: Runs it.
            unused: Paths of the modules that come after the features: their tensors do not count.
        """
        super().__init__()
        self.network = network
        self.unused = tuple(f"network.{path}." for path in unused)
        self._features = features
        self.training = network.training

    def forward(self, x_BCHW: Tensor) -> Tensor:  # noqa: N803 - shapes
        """Pooled features (B, F)."""
        return self._features(x_BCHW)


def separate_copy(prefix: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose modules can be exchanged. Tensors are shared: they must not be changed."""
    # A part of a network is copied by its own method, which leaves the network out.
    if isinstance(prefix, Part):
        return prefix.copied().eval()
    # The memo makes deepcopy reuse these tensors: weights are not held twice, and folding replaces, never changes them.
    shared = {id(tensor): tensor for tensor in (*prefix.parameters(), *prefix.buffers())}
    made: nn.Module = copy.deepcopy(prefix, dict(shared))
    return made.eval()


def folded(prefix: nn.Module, sample_BCHW: Tensor) -> tuple[nn.Module, int]:  # noqa: N803 - shapes
    """(a copy with BatchNorms taken in by the convolutions before them, how many).

    Only pairs in which nothing else reads the convolution's output, and whose modules run once, are joined.

    Args:
        prefix: (B, C, H, W) -> a tensor or a structure of tensors. Not changed.
        sample_BCHW: Images for one pass.
    """
    made = separate_copy(prefix)
    pairs = conv_norm_pairs(made, sample_BCHW)
    paths = {module: path for path, module in made.named_modules(remove_duplicate=False)}
    for conv, norm in pairs:
        _take_in(conv, norm)
        parent, _, name = paths[norm].rpartition(".")
        # The norm stays in place as an identity (or its activation), so that no forward has to be rewritten.
        setattr(made.get_submodule(parent), name, _rest_of(norm))
    return made, len(pairs)


def _take_in(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    # Channels last, like the images: else every call would convert the weight again.
    conv.weight = nn.Parameter(weight.detach().to(memory_format=torch.channels_last), requires_grad=False)
    conv.bias = nn.Parameter(bias.detach(), requires_grad=False)


def _rest_of(norm: nn.BatchNorm2d) -> nn.Module:
    """Operations of the norm's module besides normalising."""
    if type(norm).__name__ == "BatchNorm2d":
        return nn.Identity()
    # timm's BatchNormAct2d also drops out and activates: only the normalisation was folded.
    return nn.Sequential(norm.get_submodule("drop"), norm.get_submodule("act"))
