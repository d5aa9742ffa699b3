"""Effective receptive field of the units of a layer.

The theoretical field of a deep layer is often the whole image, but most of the influence on a unit lies near its centre
(Luo et al. 2016). It is measured by the gradient of units in the middle of the map with respect to the pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from headstart.engine.prefix.positions import PositionMap

SHARE = 0.9
"""Share of the gradient's energy inside the square."""


def side_holding(
    energy_HW: npt.NDArray[np.float64],  # noqa: N803 - shapes
    centre: tuple[float, float],
    *,
    share: float = SHARE,
) -> int:
    """Side in pixels of the smallest square around `centre` that holds a share of the energy.

    Args:
        energy_HW: >= 0 for each pixel. If all are 0 the side of the whole image is returned.
        centre: Row and column in pixels from the top left corner; the middle of the first pixel is (0.5, 0.5).
        share: 0 < share <= 1.

    Raises:
        ValueError: a share outside 0..1, or a negative energy.
    """
    if not 0 < share <= 1 or (energy_HW < 0).any():
        raise ValueError(f"a share of {share} of energies from {energy_HW.min()} on")
    height, width = (int(side) for side in energy_HW.shape)
    across = np.abs(np.arange(width) + 0.5 - centre[1])
    down = np.abs(np.arange(height) + 0.5 - centre[0])
    distance = np.maximum(down[:, None], across[None, :]).ravel()
    order = np.argsort(distance, kind="stable")
    held = np.cumsum(energy_HW.ravel()[order])
    if held[-1] <= 0:
        return max(height, width)
    furthest = float(distance[order[np.searchsorted(held, share * held[-1])]])
    return min(math.ceil(2 * (furthest + 0.5) - 1e-9), max(height, width))


def receptive_sides(
    maps: Callable[[Tensor], Mapping[str, PositionMap]],
    images_BCHW: Tensor,  # noqa: N803 - shapes
    *,
    share: float = SHARE,
    seed: int = 0,
) -> dict[str, int]:
    """Layer -> side in pixels of its effective receptive field: one forward pass, one backward pass for each layer.

    All channels of the middle position are pulled at once, each with a random sign in each image: in expectation the
    energy of the sum is then the sum of the channels' energies, and nothing cancels.

    Args:
        maps: Images -> outputs of the layers at every position, with gradients.
        images_BCHW: Some real images; 8 are enough.
        share: Of the gradient's energy that the square must hold.
        seed: Seed of the signs.
    """
    with torch.enable_grad():
        images = images_BCHW.detach().clone().requires_grad_()
        return {name: _side(found, images, share, seed) for name, found in maps(images).items()}


def _side(found: PositionMap, images: Tensor, share: float, seed: int) -> int:
    units = found.values_BPC[:, found.centre]
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, units.shape, generator=generator).to(units.device, units.dtype) * 2 - 1
    (gradient,) = torch.autograd.grad((units * signs).sum(), images, retain_graph=True)
    energy = gradient.double().square().sum((0, 1)).cpu().numpy()
    row, column = divmod(found.centre, found.columns)
    height, width = energy.shape
    centre = ((row + 0.5) * height / found.rows, (column + 0.5) * width / found.columns)
    return side_holding(energy, centre, share=share)
