"""The one evaluation path: pixels -> input of the network. The sole user of mean and std.

Validation, test metrics, bundles, exports and servers all go through here, so none can differ.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import PIL
import simplejpeg
from PIL import Image

from headstart.data.decoders.raster import DECODE_VERSION, Pixels
from headstart.input_spec import InputSpec

NetworkInput: TypeAlias = npt.NDArray[np.float32]
"""Height x width x channels, scaled and normalised."""

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


SAFE_MARGIN = 2.0
"""Pixels that a reduced image keeps on its shorter side for each one after the resize. Features of EfficientNet-Lite0
for reduced and whole photos then have a cosine of 0.995 or more; at 1.15 some have 0.97 (`benchmarks/decode.py`)."""

EXTREME_RATIO = 32.0
"""Longer over shorter side above which only what remains of an image is resized: of 100,000 x 8 pixels the whole would
take gigabytes. Below it the whole is resized and then cut, as the reference transforms do: the short cut differs from
them by one level in a thousandth of the values."""

VIEW_VERSION = 2
"""Raised whenever the same pixels may give another view."""


def view_version() -> str:
    """Versions that may change a bit of `evaluation_view`: part of the address of stored rows."""
    return (
        f"decode {DECODE_VERSION}, view {VIEW_VERSION}, pillow {PIL.__version__}, simplejpeg {simplejpeg.__version__}"
    )


def pixels_needed(spec: InputSpec) -> int | None:
    """Pixels of the shorter side that `evaluation_view` needs; None for all of them.

    Args:
        spec: Input of the network.
    """
    # The nearest pixel is not an average: of a reduced image it would be another one.
    return None if spec.interpolation == "nearest" else math.ceil(SAFE_MARGIN * spec.resize)


def resize_and_crop(pixels: Pixels, spec: InputSpec) -> Pixels:
    """Image resized to `spec.resize` as `spec.crop` says (antialiased), then its centre square of `spec.size`.

    Sizes and offsets are rounded as the reference transforms of torchvision and timm round them.

    Returns:
        size x size x 3, uint8.
    """
    image = Image.fromarray(pixels)
    size = spec.resized(*image.size)
    left, top = round((size[0] - spec.size) / 2), round((size[1] - spec.size) / 2)
    if spec.crop == "center" and max(image.size) > EXTREME_RATIO * min(image.size):
        across, down = image.width / size[0], image.height / size[1]
        box = (left * across, top * down, (left + spec.size) * across, (top + spec.size) * down)
        return np.array(image.resize((spec.size, spec.size), FILTERS[spec.interpolation], box=box))
    if image.size != size:
        image = image.resize(size, FILTERS[spec.interpolation])
    if spec.crop == "border":
        image = _padded(image, spec)
        left, top = round((image.width - spec.size) / 2), round((image.height - spec.size) / 2)
    return np.array(image.crop((left, top, left + spec.size, top + spec.size)))


def _padded(image: Image.Image, spec: InputSpec) -> Image.Image:
    """Image padded to at least `spec.size` on both sides with the mean colour of the weights."""
    across, down = max(0, spec.size - image.width), max(0, spec.size - image.height)
    if not (across or down):
        return image
    canvas = Image.new(image.mode, (image.width + across, image.height + down), spec.padding)
    canvas.paste(image, (across // 2, down // 2))
    return canvas


def scale(values: npt.NDArray[np.float32], spec: InputSpec) -> NetworkInput:
    """Values 0..1 normalised with the statistics of the weights: (v - mean) / std per channel."""
    # In rows of width x channels: numpy needs six times as long for rows of three.
    mean, std = (
        np.broadcast_to(np.asarray(one, np.float32), values.shape[1:]).reshape(-1) for one in (spec.mean, spec.std)
    )
    scaled: NetworkInput = values.reshape(len(values), -1) - mean
    scaled /= std
    return scaled.reshape(values.shape)


def unscale(inputs: NetworkInput, spec: InputSpec) -> Pixels:
    """Pixels 0..255 of an input, the inverse of `scale`, for people."""
    values = inputs * np.asarray(spec.std, np.float32) + np.asarray(spec.mean, np.float32)
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def evaluation_view(pixels: Pixels, spec: InputSpec) -> NetworkInput:
    """Input of the network from decoded pixels, without augmentation."""
    return network_input(resize_and_crop(pixels, spec), spec)


def network_input(view: Pixels, spec: InputSpec) -> NetworkInput:
    """Input of the network from an evaluation view of 8 bits, as `resize_and_crop` gives it."""
    return scale(view.astype(np.float32) / np.float32(255), spec)
