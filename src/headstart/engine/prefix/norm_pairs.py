"""Pairs of a convolution and the BatchNorm that reads it, found in one pass over a sample.

Nothing is read from names or source: any forward will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from headstart.engine.prefix.program import tensors_in

_CONVOLUTIONS = {"Conv2d", "Conv2dSame"}
"""torch's, and timm's that pads like TensorFlow. Others may change their weight on the way (weight standardisation)."""
_NORMS = {"BatchNorm2d", "BatchNormAct2d"}
"""torch's, and timm's that has dropout and activation inside."""


def conv_norm_pairs(network: nn.Module, *sample: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution whose output only a BatchNorm with statistics reads, and that BatchNorm, in order.

    Args:
        network: In evaluation mode.
        sample: Its inputs, for one pass; their values do not count.
    """
    readers, calls = _Readers(), dict.fromkeys(network.modules(), 0)
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    with _hooked(network, readers, found, calls), torch.no_grad():
        with readers:
            output = network(*sample)
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
