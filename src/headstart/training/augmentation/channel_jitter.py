"""Channel-wise augmentation of cached activations: each channel of an image brighter or darker by a draw of its own.

Pixels of cached views cannot be augmented any more, but their activations at the cut point can. Of the augmentations
of frozen features in Bär et al. 2024 ("Frozen Feature Augmentation for Few-Shot Image Classification", arXiv
2403.10519), point-wise ones drawn for each channel help few images most, and geometric ones hurt. This is their
brightness for each channel, in units of the image's own standard deviation instead of its range, and not clipped, so
that the mean does not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def jitter_channels(tensors: tuple[Tensor, ...], *, magnitude: float, seed: int) -> tuple[Tensor, ...]:
    """Activations x + magnitude * u * deviation(x), with one u from -1..1 for each image and channel.

    A pure function of its arguments. The deviation is over all values that an image has in a tensor.

    Args:
        tensors: Activations at the cut point, batch first; they are not changed.
        magnitude: Largest shift in deviations, 0..1; 0 gives the tensors themselves.
        seed: Of this step.
    """
    if magnitude == 0:
        return tensors
    rng = np.random.default_rng(seed)  # numpy's: the same draws whatever device the tensors lie on
    return tuple(_jittered(tensor, magnitude, rng) for tensor in tensors)


def _jittered(x: Tensor, magnitude: float, rng: np.random.Generator) -> Tensor:
    import torch

    from headstart.engine.prefix.parts import channel_axis

    axis = channel_axis(tuple(x.shape))
    shape = [1] * x.ndim
    shape[0], shape[axis] = x.shape[0], x.shape[axis]
    draws = rng.uniform(-magnitude, magnitude, shape).astype(np.float32)
    deviation = x.flatten(1).std(dim=1, correction=0).view(-1, *[1] * (x.ndim - 1))
    return x + torch.from_numpy(draws).to(x.device, x.dtype) * deviation
