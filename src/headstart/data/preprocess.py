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

from headstart.data.decoders.decoded import DECODE_VERSION, Bands, Pixels, shown_bands
from headstart.errors import DataError
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

SHOWN_DEVIATIONS = 2.0
"""Of a band on each side of its mean, in pictures for people."""

VIEW_VERSION = 3
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
    return np.array(_square(Image.fromarray(pixels), spec, spec.padding))


def resize_and_crop_bands(bands: Bands, spec: InputSpec) -> Bands:
    """The same of values with more bits or more bands, each band by itself and without rounding.

    Args:
        bands: Height x width x bands, 0..1; one band stands for all channels of the network.
        spec: Input of the network.

    Returns:
        size x size x channels, float32.

    Raises:
        DataError: the image has another number of bands than the network has channels.
    """
    count = bands.shape[2]
    if count not in (1, spec.channels):
        raise DataError(f"an image of {count} bands", expected=f"{spec.channels}, as the network takes, or one")
    # Of grey one band is resized; with a border each channel has a padding of its own.
    numbers = range(spec.channels) if count > 1 or spec.crop == "border" else (0,)
    squares = [
        np.asarray(_square(Image.fromarray(bands[:, :, number % count]), spec, spec.padding[number] / 255), np.float32)
        for number in numbers
    ]
    if len(squares) == 1:
        squares *= spec.channels
    # Sharper filters ring at edges; of bytes Pillow itself leaves nothing outside the range.
    return np.clip(np.stack(squares, axis=2), 0, 1)


def _square(image: Image.Image, spec: InputSpec, padding: float | tuple[int, ...]) -> Image.Image:
    size = spec.resized(*image.size)
    left, top = round((size[0] - spec.size) / 2), round((size[1] - spec.size) / 2)
    if spec.crop == "center" and max(image.size) > EXTREME_RATIO * min(image.size):
        across, down = image.width / size[0], image.height / size[1]
        box = (left * across, top * down, (left + spec.size) * across, (top + spec.size) * down)
        return image.resize((spec.size, spec.size), FILTERS[spec.interpolation], box=box)
    if image.size != size:
        image = image.resize(size, FILTERS[spec.interpolation])
    if spec.crop == "border":
        image = _padded(image, spec.size, padding)
        left, top = round((image.width - spec.size) / 2), round((image.height - spec.size) / 2)
    return image.crop((left, top, left + spec.size, top + spec.size))


def _padded(image: Image.Image, side: int, padding: float | tuple[int, ...]) -> Image.Image:
    """Image padded to at least `side` on both sides with the mean colour of the weights."""
    across, down = max(0, side - image.width), max(0, side - image.height)
    if not (across or down):
        return image
    canvas = Image.new(image.mode, (image.width + across, image.height + down), padding)
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


def picture_of_input(inputs: NetworkInput, spec: InputSpec) -> Pixels:
    """Picture of an input, for people: its pixels, or three of its bands.

    Reflectance uses a small part of its range: each band is shown from two deviations below its mean to two above, in
    the training images, so that images stay comparable.

    Args:
        inputs: Height x width x channels.
        spec: That it was made with.
    """
    if spec.channels_by is None:
        return unscale(inputs, spec)
    shown = inputs[:, :, shown_bands(spec.channels)]
    picture: Pixels = np.rint(np.clip(shown / (2 * SHOWN_DEVIATIONS) + 0.5, 0, 1) * 255).astype(np.uint8)
    return picture


def evaluation_view(values: Pixels | Bands, spec: InputSpec) -> NetworkInput:
    """Input of the network from decoded values, without augmentation.

    Args:
        values: `Decoded.values`: pixels of 8 bits, or bands 0..1.
        spec: Input of the network.
    """
    if values.dtype == np.uint8:
        return network_input(resize_and_crop(values, spec), spec)  # type: ignore[arg-type] # known by the line above
    return scale(resize_and_crop_bands(values, spec), spec)  # type: ignore[arg-type]


def network_input(view: Pixels, spec: InputSpec) -> NetworkInput:
    """Input of the network from an evaluation view of 8 bits, as `resize_and_crop` gives it."""
    return scale(view.astype(np.float32) / np.float32(255), spec)
