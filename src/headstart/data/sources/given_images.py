"""Images as callers of the library give them (paths, bytes, PIL images, arrays) -> records, read like any file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from headstart.data.decoders.decoded import Pixels
from headstart.data.sources.image_bytes import (
    BYTES,
    CHANNEL_MODES,
    InputError,
    encoded,
    is_one_image,
    refuse_channels_first,
)
from headstart.data.sources.inputs import image_files
from headstart.data.sources.reading import WHOLE, ImageRecord

GivenImage: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | Pixels
"""One image: a path, the bytes of a file, a PIL image, (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) pixels 0..255, or
(H, W, n) of 2 to 16 bands (`is_band_array`)."""

GivenImages: TypeAlias = Sequence[GivenImage] | npt.NDArray[Any] | GivenImage
"""Some of them, of any kinds mixed; or one array (N, H, W) or (N, H, W, C). Three dimensions are one image of bands
where the last is the shortest."""

_PATH = (str, os.PathLike)


def records_of(images: GivenImages, *, name: str = "images") -> list[ImageRecord]:
    """One record an image, in order; a path of a folder stands for all images in it.

    Args:
        images: One image or several.
        name: What they are called in messages; an image in memory has the id `name[position]`.

    Raises:
        InputError: something is no image, or an array of another type or shape than `GivenImages` says.
        DataError: a path does not exist, or a folder holds no image.
    """
    records: list[ImageRecord] = []
    for position, image in enumerate(_one_by_one(images, name)):
        if isinstance(image, _PATH):
            records += image_files([os.fspath(image)])
        else:
            one = f"{name}[{position}]"
            records.append(ImageRecord(one, "", WHOLE, content=encoded(image, name=one)))
    return records


def _one_by_one(images: Any, name: str) -> Iterator[object]:  # noqa: ANN401 - whatever a caller gives
    """The images of a batch; one image is a batch of one."""
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OUS":
        batch = not is_one_image(images)
        if images.ndim not in (2, 3, 4):
            raise InputError(f"{name} is an array of shape {images.shape}", expected="(N, H, W) or (N, H, W, C)")
        if batch and images.ndim == 3 and images.shape[0] in CHANNEL_MODES:
            refuse_channels_first(images, name)
        yield from images if batch else [images]
    elif isinstance(images, (*_PATH, *BYTES, Image.Image)):
        yield images
    elif isinstance(images, dict) or not hasattr(images, "__iter__") or hasattr(images, "detach"):
        yield from [encoded(images, name=name)]  # raises, and says what it is
    else:
        yield from images
