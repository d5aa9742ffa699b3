"""Channel-wise variation of stored activations: each channel of an image brighter or darker by a draw of its own.

Stored views cannot vary in pixels any more, but where they are cut. Of the variations that Bär et al. 2024 (FroFA,
arXiv 2403.10519) tried on frozen features, point-wise ones with a strength for each channel helped few images most, and
geometric ones hurt. This is their brightness for each channel, in units of the image's own deviation instead of its
range, and not clipped, so that on average nothing changes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from headstart.engine.prefix.parts import channel_axis


def jitter_channels(tensors: tuple[Tensor, ...], *, strength: float, seed: int) -> tuple[Tensor, ...]:
    """Give x + strength * u * deviation(x), with one u from -1..1 for each image and channel.

    A pure function of its arguments. The deviation is over all values that an image has in a tensor.

    Args:
        tensors: What crosses the border, batch first; as it is afterwards.
        strength: Largest shift in deviations, 0..1; 0 gives the tensors themselves.
        seed: Of this step.
    """
    if strength == 0:
        return tensors
    rng = np.random.default_rng(seed)  # numpy's: the same draws whatever device the tensors lie on
    return tuple(_jittered(tensor, strength, rng) for tensor in tensors)


def _jittered(x: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    axis = channel_axis(tuple(x.shape))
    shape = [1] * x.ndim
    shape[0], shape[axis] = x.shape[0], x.shape[axis]
    draws = rng.uniform(-strength, strength, shape).astype(np.float32)
    deviation = x.flatten(1).std(dim=1, correction=0).view(-1, *[1] * (x.ndim - 1))
    return x + torch.from_numpy(draws).to(x.device, x.dtype) * deviation
