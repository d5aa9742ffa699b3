"""The one evaluation path: pixels -> what the network sees. The sole user of mean and std.

Validation, the reported figures, bundles, exports and servers all go through here, so none can differ.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from headstart.data.decode import Pixels
from headstart.input_spec import InputSpec

NetworkInput: TypeAlias = npt.NDArray[np.float32]
"""Height x width x channels, scaled and normalised."""

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def resize_and_crop(pixels: Pixels, spec: InputSpec) -> Pixels:
    """Shorter side to `spec.resize` (antialiased), then the centre square of `spec.size`.

    Sizes and offsets are rounded as the reference transforms of torchvision and timm round them.

    Returns:
        size x size x 3, uint8.
    """
    image = Image.fromarray(pixels)
    width, height = image.size
    short = min(width, height)
    longer = int(spec.resize * max(width, height) / short)
    size = (spec.resize, longer) if width <= height else (longer, spec.resize)
    if image.size != size:
        image = image.resize(size, FILTERS[spec.interpolation])
    left = round((size[0] - spec.size) / 2)
    top = round((size[1] - spec.size) / 2)
    return np.array(image.crop((left, top, left + spec.size, top + spec.size)))


def scale(values: npt.NDArray[np.float32], spec: InputSpec) -> NetworkInput:
    """Normalise values 0..1 with the statistics of the weights: (v - mean) / std per channel."""
    mean = np.asarray(spec.mean, np.float32)
    std = np.asarray(spec.std, np.float32)
    scaled: NetworkInput = (values - mean) / std
    return scaled


def unscale(inputs: NetworkInput, spec: InputSpec) -> Pixels:
    """The inverse of `scale` as pixels 0..255: what the network sees, for human eyes."""
    values = inputs * np.asarray(spec.std, np.float32) + np.asarray(spec.mean, np.float32)
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def evaluation_view(pixels: Pixels, spec: InputSpec) -> NetworkInput:
    """From decoded pixels to the network's input, without anything random."""
    return scale(resize_and_crop(pixels, spec).astype(np.float32) / np.float32(255), spec)
