"""Images of noise whose classes mean nothing, some with a mark; and their features."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from headstart.data.checks.image_checks import read_all
from headstart.data.sources.reading import ImageRecord
from headstart.input_spec import Decoding
from headstart.inspection.features.checked_features import CheckedFeatures

Mark = Callable[[np.ndarray], np.ndarray]


def encoded(pixels: np.ndarray, *, quality: int | None = None) -> bytes:
    """The file of some pixels: PNG, or JPEG of a quality."""
    buffer = io.BytesIO()
    if quality is None:
        Image.fromarray(pixels).save(buffer, "PNG")
    else:
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def noise_images(count: int, *, side: int = 64, seed: int = 0) -> list[np.ndarray]:
    """Pictures of coarse noise; none tells more than another."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BILINEAR)) for one in coarse]


def checked_noise(
    make: Callable[[np.ndarray, str], bytes], *, count: int = 160, groups: dict[str, str] | None = None, seed: int = 0
) -> CheckedFeatures:
    """Images of the classes a and b in turn, with features of noise.

    Args:
        make: Pixels and class -> file.
        count: Of images.
        groups: Image id -> group; each image is its own if None.
        seed: Of the pictures.
    """
    labels = ["ab"[index % 2] for index in range(count)]
    pictures = noise_images(count, seed=seed)
    records = tuple(
        ImageRecord(f"{label}/{index}", label, "all", content=make(picture, label))
        for index, (picture, label) in enumerate(zip(pictures, labels, strict=True))
    )
    features = np.random.default_rng(seed + 1).normal(size=(count, 12)).astype(np.float32)
    named = groups or {record.id: record.id for record in records}
    return CheckedFeatures(records, features, read_all(records), named, Decoding())
