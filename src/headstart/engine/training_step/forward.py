"""The forward pass of a training step with frozen BatchNorms folded in and wide depthwise gradients rewritten.

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
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from headstart.engine.prefix.norm_pairs import conv_norm_pairs
from headstart.engine.prefix.tracing import still
from headstart.engine.training_step.depthwise import Convolution, depthwise_convolution, has_slow_gradient
from headstart.errors import ModelError
from headstart.machine import device_of


def step_forward(network: nn.Module, part: nn.Module, sample: Sequence[Tensor]) -> Callable[..., Any]:
    """The forward pass of a part of a network, rewritten where it runs on a CPU; elsewhere the part itself.

    Args:
        network: The whole network, as before afterwards.
        part: Itself, or a part of it that runs its modules.
        sample: Inputs of the part, for one pass; their values do not count.
    """
    if device_of(network).type != "cpu":
        return part
    with still(network):
        pairs = conv_norm_pairs(part, *sample)
    shared = Counter(id(module.weight) for module in network.modules() if isinstance(module, nn.Conv2d))
    # The weight is what a convolution is recognised by, so it must be the weight of this one only.
    return StepForward(part, [(conv, norm) for conv, norm in pairs if shared[id(conv.weight)] == 1])


class StepForward:
    """A forward pass with exact rewrites."""

    def __init__(self, part: nn.Module, pairs: Sequence[tuple[nn.Conv2d, nn.BatchNorm2d]]) -> None:
        """Share the part.

        Args:
            part: What is run, with its own modules in the modes that they have then.
            pairs: Of the part; those whose BatchNorm is in evaluation mode are folded.
        """
        self.part = part
        self.pairs = tuple(pairs)

    def __call__(self, *inputs: Tensor) -> Any:  # noqa: ANN401 - whatever the part gives
        """What the part gives, up to rounding.

        Raises:
            ModelError: a convolution is followed by something else than on the sample.
        """
        # Parameters are looked up anew: a head or weights may have been exchanged since the last step.
        rewrites = _Rewrites({id(conv.weight): norm for conv, norm in self.pairs if not norm.training})
        with rewrites:
            output = self.part(*inputs)
        rewrites.assert_complete()
        return output


class _Rewrites(TorchFunctionMode):
    """Replaces convolutions and BatchNorms while it is active."""

    def __init__(self, norms: dict[int, nn.BatchNorm2d]) -> None:
        super().__init__()
        self._norms = norms
        self._outputs: dict[int, Tensor] = {}
        """Running mean of a BatchNorm that was folded, by identity -> what it will be given."""

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
        if norm is not None:
            convolution = _with_norm(convolution, norm)
        run = depthwise_convolution if has_slow_gradient(convolution) else _plain
        output = run(convolution)
        if norm is not None:
            self._outputs[id(norm.running_mean)] = output
        return output

    def assert_complete(self) -> None:
        """Check that every convolution with a folded BatchNorm was followed by it.

        Raises:
            ModelError: one was not.
        """
        if self._outputs:
            raise _changed()


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
