"""Pictures with structure, and copies of them as cameras, editors and mail programs make them."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance


def scene(seed: int, *, side: int = 160) -> Image.Image:
    """Smooth random structure in colour, at several scales; scenes of different seeds have nothing in common."""
    rng = np.random.default_rng(seed)
    pixels = np.full((side, side, 3), 128.0)
    for cells, strength in ((4, 40), (10, 30), (24, 20)):
        layer = rng.normal(0, 1, (cells, cells, 3))
        for channel in range(3):
            grown = Image.fromarray(layer[:, :, channel].astype(np.float32)).resize(
                (side, side), Image.Resampling.BICUBIC
            )
            pixels[:, :, channel] += strength * np.asarray(grown)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def recompressed(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def rescaled(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2))


def brightened(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.25)


def cropped(image: Image.Image) -> Image.Image:
    left, top = round(0.05 * image.width), round(0.02 * image.height)
    return image.crop((left, top, left + round(0.92 * image.width), top + round(0.92 * image.height)))


def pixels_of(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(image, np.uint8)
