"""Augmented views: random crops, flips, rotations and colours of training images.

Every draw comes from a generator made of (seed, epoch, image id, view), so a view does not depend on the order
of the images, on threads, or on where a run was resumed. The pixel operations are torchvision's.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageStat
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from headstart.arrays import Singles
from headstart.data.decoders.decoded import Bands, Pixels
from headstart.data.loading import read_values
from headstart.data.preprocess import NetworkInput, scale
from headstart.data.sources.reading import ImageRecord
from headstart.input_spec import InputSpec
from headstart.knowledge.domain import Flip

PresetName = Literal["none", "light", "standard", "strong", "trivial"]


Padding: TypeAlias = float | tuple[int, ...]
"""Colour around an image that keeps its shape, in the units of the image."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in grey (ITU-R BT.601), as Pillow has them."""
_ASPECT_RATIO = (3 / 4, 4 / 3)
_ERASED_AREA = (0.02, 0.2)


@dataclass(frozen=True, slots=True)
class AugmentationMagnitude:
    """Largest changes of an augmented view."""

    smallest_crop: float
    """Least ratio of a crop's area to the area that the evaluation view shows, 0..1; the largest is its inverse, at
    most the image. Of squashed and letterboxed images, which evaluation shows whole, the least share of the image."""
    rotation_degrees: float
    jitter: float
    """Brightness, contrast and saturation are multiplied by 1 +- this."""
    erase_probability: float
    trivial: bool = False
    """One random operation of random magnitude instead of rotation and jitter."""


PRESETS: dict[str, AugmentationMagnitude] = {
    "light": AugmentationMagnitude(0.9, 0, 0, 0),
    "standard": AugmentationMagnitude(0.8, 15, 0.2, 0.1),
    "strong": AugmentationMagnitude(0.5, 30, 0.4, 0.25),
    "trivial": AugmentationMagnitude(0.8, 0, 0, 0, trivial=True),
}
"""`none` is missing on purpose: it is the evaluation path, not a weak view. trivial: Mueller & Hutter 2021."""


def view_rng(seed: int, epoch: int, image_id: str, view: int = 0) -> np.random.Generator:
    """The generator of one view: a pure function of its four arguments."""
    # A hash, not a sum of numbers: neighbouring seeds and epochs must not give related generators.
    digest = hashlib.blake2b(f"{seed}\0{epoch}\0{image_id}\0{view}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def training_view(
    values: Pixels | Bands,
    spec: InputSpec,
    *,
    preset: PresetName,
    flip: Flip,
    rng: np.random.Generator,
) -> Singles:
    """One random view of an image.

    Args:
        values: `Decoded.values`: pixels of 8 bits, or bands 0..1, of which one stands for all channels of the network.
        spec: Gives the side of the view, the filter, and how an image becomes a square; mean and std are the caller's.
        preset: Any but none.
        flip: horizontal mirrors half the views left to right; all mirrors up and down too; dihedral turns half of
            them by a quarter as well.
        rng: See `view_rng`.
    """
    magnitude = PRESETS[preset]
    if values.dtype == np.uint8:
        image = _moved(Image.fromarray(values), spec, magnitude, flip, rng, padding=spec.padding)
        if magnitude.jitter:
            image = _jitter(image, magnitude.jitter, rng)
        view: Singles = np.asarray(image, np.float32) / np.float32(255)
    else:
        view = _view_of_bands(values, spec, magnitude, flip, rng)
    if magnitude.erase_probability and rng.random() < magnitude.erase_probability:
        view = _erase(view, rng)
    return view


def _moved(
    image: Image.Image,
    spec: InputSpec,
    magnitude: AugmentationMagnitude,
    flip: Flip,
    rng: np.random.Generator,
    *,
    padding: Padding,
) -> Image.Image:
    """A random square of an image, mirrored and turned; or with one operation of the preset trivial."""
    resample = InterpolationMode(spec.interpolation)
    image = _random_square(image, spec, magnitude.smallest_crop, resample, rng, padding=padding)
    # Flips come after the crop; the order of draws is part of drawn_views.AUGMENT_VERSION.
    if flip != "none" and rng.random() < 0.5:
        image = F.horizontal_flip(image)
    if flip in ("all", "dihedral") and rng.random() < 0.5:
        image = F.vertical_flip(image)
    if flip == "dihedral" and rng.random() < 0.5:
        image = image.transpose(Image.Transpose.TRANSPOSE)
    if magnitude.trivial:
        image = _trivial(image, rng)
    if magnitude.rotation_degrees:
        angle = rng.uniform(-magnitude.rotation_degrees, magnitude.rotation_degrees)
        image = F.rotate(image, angle, interpolation=InterpolationMode.BILINEAR, fill=_mean_colour(image))
    return image


def _view_of_bands(
    bands: npt.NDArray[Any], spec: InputSpec, magnitude: AugmentationMagnitude, flip: Flip, rng: np.random.Generator
) -> Singles:
    """One random view of values with more bits or more bands, size x size x channels: each band takes the same way."""
    # Each channel has a padding of its own, so letterboxed grey cannot be repeated afterwards.
    count = spec.channels if spec.resize_name == "letterbox" else bands.shape[2]
    state, squares = rng.bit_generator.state, []
    for number in range(count):
        rng.bit_generator.state = state  # the draws of the first band are those of all
        image = Image.fromarray(bands[:, :, number % bands.shape[2]])
        squares.append(_moved(image, spec, magnitude, flip, rng, padding=spec.padding[number] / 255))
    view: Singles = np.clip(np.stack([np.asarray(square, np.float32) for square in squares], axis=2), 0, 1)
    if magnitude.jitter:
        view = _jitter_of_bands(view, magnitude.jitter, rng)
    return np.repeat(view, spec.channels, axis=2) if view.shape[2] == 1 else view


def augmented_input(
    record: ImageRecord, spec: InputSpec, *, preset: PresetName, flip: Flip, rng: np.random.Generator
) -> NetworkInput:
    """One augmented view of an image as the network sees it: read in full, varied, normalised.

    Args:
        record: The image.
        spec: What the network sees.
        preset: Any but none.
        flip: See `training_view`.
        rng: See `view_rng`.

    Raises:
        DataError: it cannot be read; names the file and the reason.
    """
    return scale(training_view(read_values(record, spec), spec, preset=preset, flip=flip, rng=rng), spec)


def _random_square(
    image: Image.Image,
    spec: InputSpec,
    smallest: float,
    resample: InterpolationMode,
    rng: np.random.Generator,
    *,
    padding: Padding,
) -> Image.Image:
    """A random part of an image, made square in the way that evaluation makes the whole of it square."""
    if spec.crop == "center":
        return _random_crop(image, spec, smallest, resample, rng)
    left, top, w, h = _random_part(image.size, smallest, rng)
    if spec.crop == "squash":
        squashed: Image.Image = F.resized_crop(image, top, left, h, w, [spec.size, spec.size], interpolation=resample)
        return squashed
    # The longer side fills the view and the rest is padded, as the evaluation path does it.
    ratio = max(w, h) / spec.size
    wide, high = max(1, round(w / ratio)), max(1, round(h / ratio))
    part = F.resized_crop(image, top, left, h, w, [high, wide], interpolation=resample)
    canvas = Image.new(image.mode, (spec.size, spec.size), padding)
    canvas.paste(part, ((spec.size - wide) // 2, (spec.size - high) // 2))
    return canvas


def _random_part(size: tuple[int, int], smallest: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """(left, top, width, height) of at least the share `smallest` of an image, its shape varied around the image's own.

    The shapes of `_random_crop` are near a square, and of a wide image they would never show more than a part.
    """
    width, height = size
    # Ten tries as in torchvision; then the whole image.
    for _ in range(10):
        area = rng.uniform(smallest, 1.0)
        # Area first, then the aspect ratio, log-uniform so that wide and tall are equally likely.
        ratio = math.exp(rng.uniform(math.log(_ASPECT_RATIO[0]), math.log(_ASPECT_RATIO[1])))
        w, h = round(width * math.sqrt(area * ratio)), round(height * math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h
    return 0, 0, width, height


def _random_crop(
    image: Image.Image, spec: InputSpec, smallest: float, resample: InterpolationMode, rng: np.random.Generator
) -> Image.Image:
    """Random resized crop (Szegedy et al. 2015) whose area varies around that of the evaluation view."""
    width, height = image.size
    # Around, not below: crops of nearly whole images show objects smaller than evaluation does, and a network that is
    # trained on them is biased where the scale tells classes apart (Touvron et al. 2019 found the opposite bias).
    side = min(width, height) * spec.size / spec.resize
    area = side**2 * math.exp(rng.uniform(math.log(smallest), -math.log(smallest)))
    ratio = math.exp(rng.uniform(math.log(_ASPECT_RATIO[0]), math.log(_ASPECT_RATIO[1])))
    w, h = (max(1, round(value)) for value in (math.sqrt(area * ratio), math.sqrt(area / ratio)))
    w, h = min(width, w), min(height, h)
    left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    size = [spec.size, spec.size]
    cropped: Image.Image = F.resized_crop(image, top, left, h, w, size, interpolation=resample)
    return cropped


def _mean_colour(image: Image.Image) -> list[float]:
    """Corners that a rotation uncovers get this: a black wedge is a feature, and one no test image has."""
    if image.mode == "F":
        return [float(np.asarray(image).mean())]
    # From the histogram, in a sixth of the time that NumPy takes for strided channels.
    return [float(round(value)) for value in ImageStat.Stat(image).mean]


def _jitter(image: Image.Image, jitter: float, rng: np.random.Generator) -> Image.Image:
    steps: list[Callable[[Image.Image, float], Image.Image]] = [
        F.adjust_brightness,
        F.adjust_contrast,
        F.adjust_saturation,
    ]
    # Brightness, contrast and saturation do not commute: a random order is part of the augmentation.
    for index in rng.permutation(len(steps)):
        image = steps[index](image, float(rng.uniform(1 - jitter, 1 + jitter)))
    return image


def _jitter_of_bands(view: Singles, jitter: float, rng: np.random.Generator) -> Singles:
    """`_jitter` of values 0..1 with any number of bands; saturation has a meaning for three only."""
    for index in rng.permutation(3):
        factor = np.float32(rng.uniform(1 - jitter, 1 + jitter))
        grey: Any = view.mean(axis=2, keepdims=True) if view.shape[2] != 3 else view @ _LUMA[:, None]
        if index == 0:
            view = view * factor
        elif index == 1:
            mean = np.float32(grey.mean())
            view = mean + (view - mean) * factor
        elif view.shape[2] == 3:
            view = grey + (view - grey) * factor
        view = np.asarray(np.clip(view, 0, 1), np.float32)
    return view


def _erase(values: Singles, rng: np.random.Generator) -> Singles:
    """Random erasing (Zhong et al. 2017): a rectangle becomes noise-free mean colour."""
    size = values.shape[0]
    area = size * size * rng.uniform(*_ERASED_AREA)
    ratio = math.exp(rng.uniform(math.log(0.3), math.log(1 / 0.3)))
    w, h = min(size, round(math.sqrt(area * ratio))), min(size, round(math.sqrt(area / ratio)))
    left, top = int(rng.integers(size - w + 1)), int(rng.integers(size - h + 1))
    # A copy: the values may share memory with the decoded image.
    erased = values.copy()
    erased[top : top + h, left : left + w] = values.mean(axis=(0, 1))
    return erased


def _affine(image: Image.Image, *, shear: tuple[float, float] = (0, 0), shift: tuple[int, int] = (0, 0)) -> Image.Image:
    moved: Image.Image = F.affine(
        image, angle=0, translate=list(shift), scale=1, shear=list(shear), fill=_mean_colour(image)
    )
    return moved


_TRIVIAL: tuple[Callable[[Image.Image, float], Image.Image], ...] = (
    lambda image, m: image,
    lambda image, m: _affine(image, shear=(math.degrees(math.atan(m * 0.99)), 0)),
    lambda image, m: _affine(image, shear=(0, math.degrees(math.atan(m * 0.99)))),
    lambda image, m: _affine(image, shift=(int(m * 32), 0)),
    lambda image, m: _affine(image, shift=(0, int(m * 32))),
    lambda image, m: F.rotate(image, m * 135, fill=_mean_colour(image)),
    lambda image, m: F.adjust_brightness(image, 1 + m * 0.99),
    lambda image, m: F.adjust_saturation(image, 1 + m * 0.99),
    lambda image, m: F.adjust_contrast(image, 1 + m * 0.99),
    lambda image, m: F.adjust_sharpness(image, 1 + m * 0.99),
    lambda image, m: F.posterize(image, 8 - round(abs(m) * 6)),
    lambda image, m: F.solarize(image, 255 - abs(m) * 255),
    lambda image, m: F.autocontrast(image),
    lambda image, m: F.equalize(image),
)
"""The wide space of TrivialAugment: operation of (image, magnitude -1..1)."""


def _trivial(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    operation, magnitude = _TRIVIAL[int(rng.integers(len(_TRIVIAL)))], float(rng.uniform(-1, 1))
    if image.mode != "F":
        return operation(image, magnitude)
    # Half of the operations are defined for bytes only.
    levels = Image.fromarray(np.rint(np.clip(np.asarray(image), 0, 1) * 255).astype(np.uint8))
    return Image.fromarray(np.asarray(operation(levels, magnitude), np.float32) / np.float32(255))
