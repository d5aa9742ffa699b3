"""A copy of a network whose frozen BatchNorms, a scale and a shift per channel, are folded into the convolutions.

    y = gamma (w * x + b - mean) / sqrt(var + eps) + beta
      = (gamma / sqrt(var + eps)) w * x + (gamma / sqrt(var + eps)) (b - mean) + beta

Which norm follows which convolution is read from a pass over a sample, not from names or source: any forward will do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode

from headstart.engine.prefix.parts import Part
from headstart.engine.prefix.program import tensors_in

_CONVOLUTIONS = {"Conv2d", "Conv2dSame"}
"""torch's, and timm's that pads like TensorFlow. Others may change their weight on the way (weight standardisation)."""
_NORMS = {"BatchNorm2d", "BatchNormAct2d"}
"""torch's, and timm's that has dropout and activation inside."""


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
    pairs = _pairs(made, sample_BCHW)
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


class _Readers(TorchFunctionMode):
    """Counts the torch functions outside of norms that a convolution's output is given to."""

    def __init__(self) -> None:
        super().__init__()
        self.made_by: dict[int, nn.Conv2d] = {}
        self.alive: list[Tensor] = []  # so that no identity is used twice
        self.elsewhere: set[nn.Conv2d] = set()
        self.inside = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - torch's protocol
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - torch's protocol
        # Functions inside a norm read its input of course; only readers outside of norms forbid the fold.
        if not self.inside:
            self.read((args, kwargs or {}))
        return func(*args, **(kwargs or {}))

    def read(self, values: Any) -> None:  # noqa: ANN401 - any structure
        """Note that something other than a norm uses these."""
        for tensor in tensors_in(values):
            if id(tensor) in self.made_by:
                self.elsewhere.add(self.made_by[id(tensor)])


def _pairs(network: nn.Module, sample_BCHW: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:  # noqa: N803 - shapes
    readers, calls = _Readers(), dict.fromkeys(network.modules(), 0)
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    with _hooked(network, readers, found, calls), torch.no_grad():
        with readers:
            output = network(sample_BCHW)
        # The output of the whole network counts as read: a convolution whose output is returned must stay unscaled.
        readers.read(output)
    norms_of = [conv for conv, _ in found]
    return [
        (conv, norm)
        for conv, norm in found
        # Once each: a convolution that two norms read, or modules called twice with shared weights, would be folded
        # wrongly.
        if conv not in readers.elsewhere and norms_of.count(conv) == 1 and calls[conv] == calls[norm] == 1
    ]


@contextmanager
def _hooked(
    network: nn.Module,
    readers: _Readers,
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]],
    calls: dict[nn.Module, int],
) -> Iterator[None]:
    def after_conv(module: nn.Conv2d, inputs: Any, output: Tensor) -> None:  # noqa: ANN401 - a hook
        calls[module] += 1
        readers.alive.append(output)
        readers.made_by[id(output)] = module

    def before_norm(module: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        calls[module] += 1
        readers.inside += 1
        # The tensor itself tells which convolution made it; nothing is assumed about names or order of modules.
        conv = readers.made_by.get(id(inputs[0]))
        if conv is not None:
            found.append((conv, module))

    def after_norm(module: nn.Module, inputs: Any, output: Tensor) -> None:  # noqa: ANN401 - a hook
        readers.inside -= 1

    handles: list[Any] = []
    for module in network.modules():
        # Matched by class name: timm is not needed to recognise its classes, and subclasses may compute something else.
        if type(module).__name__ in _CONVOLUTIONS and isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(after_conv))
        elif type(module).__name__ in _NORMS and isinstance(module, nn.BatchNorm2d) and _has_statistics(module):
            handles += [module.register_forward_pre_hook(before_norm), module.register_forward_hook(after_norm)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _has_statistics(norm: nn.BatchNorm2d) -> bool:
    """Whether it has statistics of its own to normalise with."""
    return norm.running_mean is not None and norm.running_var is not None
