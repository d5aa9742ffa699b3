"""A wide depthwise convolution whose weight gradient is computed from narrow kernels.

oneDNN has a fast weight gradient for depthwise kernels of up to three columns. Wider ones get the code for dense
convolutions, which computes 16 x 16 products where one is needed: ten times the time of the forward pass. The gradient
of a tap of the kernel involves no other tap,

    dW[c, i, j] = sum over n, h, w of g[n, c, h, w] x[n, c, h + i - p, w + j - q],

so the gradient of a wide kernel is that of its columns side by side, each group of three a narrow convolution of x
shifted by its first column. Nothing is approximated; only the order in which the positions are added differs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import grad

NARROW = 3
"""Columns of the widest kernel with a fast weight gradient."""


class Convolution(NamedTuple):
    """Arguments of `torch.nn.functional.conv2d`, under its names."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None = None
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1


def has_slow_gradient(convolution: Convolution) -> bool:
    """Whether it is a wide depthwise convolution with a weight gradient, as the rewrite expects it.

    That is one of 32-bit floats on an x86 CPU, whose stride and dilation are 1 and whose padding is given in numbers.
    """
    x, weight = convolution.input, convolution.weight
    return (
        convolution.groups == weight.shape[0] > 1 == weight.shape[1]
        and weight.shape[3] > NARROW
        and x.ndim == 4
        and not isinstance(convolution.padding, str)
        and both(convolution.stride) == both(convolution.dilation) == (1, 1)
        and torch.is_grad_enabled()
        and weight.requires_grad
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.cpu.get_cpu_capability().startswith("AVX")
    )


def depthwise_convolution(convolution: Convolution) -> Tensor:
    """Output (B, C, H', W') of a convolution for which `has_slow_gradient`; its gradients are taken once."""
    x, weight, bias, *_ = convolution
    output: Tensor = _NarrowGradient.apply(x, weight, bias, both(convolution.padding))
    return output


class _NarrowGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:  # noqa: ANN401 - torch's
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return F.conv2d(x, weight, bias, 1, padding, 1, weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        of_input, of_weight, of_bias, _ = ctx.needs_input_grad
        # In the layout of x once, instead of once in each of the calls below.
        in_nhwc = x.is_contiguous(memory_format=torch.channels_last)
        gradient = gradient.contiguous(memory_format=torch.channels_last if in_nhwc else torch.contiguous_format)
        return (
            _input_gradient(x, weight, gradient, ctx.padding) if of_input else None,
            weight_gradient(x, gradient, tuple(weight.shape), ctx.padding) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
            None,
        )


def weight_gradient(
    x_BCHW: Tensor,  # noqa: N803 - shapes
    gradient_BCHW: Tensor,  # noqa: N803 - shapes
    shape: tuple[int, ...],
    padding: tuple[int, int],
) -> Tensor:
    """Gradient (C, 1, rows, columns) of the weight of a depthwise convolution of stride 1.

    Args:
        x_BCHW: What was convolved.
        gradient_BCHW: Of the output.
        shape: Of the weight.
        padding: Rows and columns of zeros on each side of x.
    """
    channels, _, rows, columns = shape
    narrow = []
    for first in range(0, columns, NARROW):
        count = min(NARROW, columns - first)
        before = padding[1] - first
        # Zeros where a kernel of these columns alone would read them, or less of x than there is.
        after = gradient_BCHW.shape[3] + count - 1 - x_BCHW.shape[3] - before
        shifted = F.pad(x_BCHW, (before, after))
        size = (channels, 1, rows, count)
        of_these = grad.conv2d_weight(shifted, size, gradient_BCHW, 1, (padding[0], 0), 1, channels)  # type: ignore[no-untyped-call]
        narrow.append(of_these)
    return torch.cat(narrow, dim=3)


def _input_gradient(x: Tensor, weight: Tensor, gradient: Tensor, padding: tuple[int, int]) -> Tensor:
    found: Tensor = grad.conv2d_input(x.shape, weight, gradient, 1, padding, 1, len(weight))  # type: ignore[no-untyped-call]
    return found


def both(value: int | tuple[int, ...]) -> tuple[int, int]:
    """One value for rows and one for columns."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values[0], values[-1]
