"""Rewrites of a training step: frozen BatchNorms folded into convolutions, and faster gradients of depthwise ones.

A BatchNorm with frozen statistics is a scale and a shift per channel. In each step they are computed from its present
parameters and go into the convolution before it:

    gamma (w * x - mean) / sqrt(var + eps) + beta = (s w) * x + (beta - s mean),  s = gamma / sqrt(var + eps)

The right side is differentiable in w, gamma and beta, so autograd gives the gradients of the left side; one pass over
the activations is left out in forward and one in backward. Modules, parameters and checkpoints do not change: torch's
functions are replaced only while the pass runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from headstart.engine.prefix.norm_pairs import conv_norm_pairs
from headstart.engine.prefix.tracing import still
from headstart.engine.training_step.depthwise import Convolution, both, depthwise_convolution, has_slow_gradient
from headstart.errors import ModelError
from headstart.machine import device_of


def step_rewrites(network: nn.Module, part: nn.Module, sample: Sequence[Tensor]) -> AbstractContextManager[object]:
    """A context in which a part of a network runs rewritten where it is on a CPU; elsewhere one that changes nothing.

    Args:
        network: The whole network, as before afterwards.
        part: Itself, or a part of it that runs its modules.
        sample: Inputs of the part, for one pass; their values do not count.
    """
    if device_of(network).type != "cpu":
        return nullcontext()
    with still(network):
        pairs = conv_norm_pairs(part, *sample)
    shared = Counter(id(module.weight) for module in network.modules() if isinstance(module, nn.Conv2d))
    # The weight is what a convolution is recognised by, so it must be the weight of this one only.
    return Rewrites([(conv, norm) for conv, norm in pairs if shared[id(conv.weight)] == 1])


class Rewrites(TorchFunctionMode):
    """Context for one forward pass after the other; each gives what it gives outside, up to rounding."""

    def __init__(self, pairs: Sequence[tuple[nn.Conv2d, nn.BatchNorm2d]]) -> None:
        """Take pairs of which the BatchNorms in evaluation mode are folded."""
        super().__init__()
        self.pairs = tuple(pairs)
        self._norms: dict[int, nn.BatchNorm2d] = {}
        self._outputs: dict[int, Tensor] = {}
        """Running mean of a BatchNorm that was folded, by identity -> what it will be given."""

    def __enter__(self) -> Self:
        """Look up parameters and modes, which may have changed since the last pass."""
        self._outputs = {}
        self._norms = {id(conv.weight): norm for conv, norm in self.pairs if not norm.training}
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the pass.

        Raises:
            ModelError: a convolution is followed by something else than on the sample.
        """
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        missed, self._outputs = bool(self._outputs), {}
        if missed and error is None:
            raise _changed()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - torch's protocol
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - torch's protocol
        if func is F.conv2d:
            return self._convolved(Convolution(*args, **(kwargs or {})))
        if func is F.batch_norm and self._outputs:
            given, running_mean = _normalised(*args, **(kwargs or {}))
            output = self._outputs.pop(id(running_mean), None)
            if output is not None:
                if output is not given:
                    raise _changed()
                return output
        return func(*args, **(kwargs or {}))

    def _convolved(self, convolution: Convolution) -> Tensor:
        norm = self._norms.get(id(convolution.weight))
        if norm is not None and folding_pays(convolution):
            convolution = _with_norm(convolution, norm)
        else:
            norm = None
        run = depthwise_convolution if has_slow_gradient(convolution) else _plain
        output = run(convolution)
        if norm is not None:
            self._outputs[id(norm.running_mean)] = output
        return output


def folding_pays(convolution: Convolution) -> bool:
    """Whether its weight has fewer numbers than its output, about: scaling it costs less than a norm of the output."""
    x, weight = convolution.input, convolution.weight
    rows, columns = both(convolution.stride)
    positions = x.shape[0] * (x.shape[-2] // rows) * (x.shape[-1] // columns)
    return weight[0].numel() < positions


def _with_norm(convolution: Convolution, norm: nn.BatchNorm2d) -> Convolution:
    """The convolution that gives the output of the BatchNorm behind it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    scale = scale if norm.weight is None else norm.weight * scale
    before = norm.running_mean if convolution.bias is None else norm.running_mean - convolution.bias
    shift = -before * scale if norm.bias is None else norm.bias - before * scale
    return convolution._replace(weight=convolution.weight * scale[:, None, None, None], bias=shift)


def _plain(convolution: Convolution) -> Tensor:
    return F.conv2d(*convolution)


def _normalised(
    input: Tensor, running_mean: Tensor | None, *args: object, **kwargs: object
) -> tuple[Tensor, Tensor | None]:
    """What `torch.nn.functional.batch_norm` is given, and the running mean."""
    del args, kwargs
    return input, running_mean


def _changed() -> ModelError:
    return ModelError(
        "a convolution and its BatchNorm are not run one after the other in training, as they were in evaluation",
        expected="the same order of layers in both modes",
        remedy="this is a fault of headstart: please report it with the plan",
    )
