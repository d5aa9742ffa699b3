"""Images as callers of the library give them (paths, bytes, PIL images, arrays) -> records, read like any file.

An image in memory becomes the bytes of an uncompressed TIFF, which holds every mode without loss. From there on it goes
the way of a file: 16-bit grey, transparency, palettes and sizes are treated in one place (`decode`).
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from headstart.data.decoders.raster import Pixels
from headstart.data.sources.inputs import image_files
from headstart.data.sources.reading import WHOLE, ImageRecord
from headstart.errors import DataError

GivenImage: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | Pixels
"""One image: a path, the bytes of a file, a PIL image, or (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) pixels 0..255."""

GivenImages: TypeAlias = Sequence[GivenImage] | npt.NDArray[Any] | GivenImage
"""Some of them, of any kinds mixed; or one array (N, H, W) or (N, H, W, C)."""

EXPECTED = "a path, the bytes of an image file, a PIL image, or an array of uint8 pixels (H, W), (H, W, 3) or (H, W, 4)"
_CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}
_TIFF_MODES = frozenset({"1", "L", "RGB", "RGBA", "CMYK", "I", "F", "I;16", "I;16B", "YCbCr", "LAB"})
_ALPHA_MODES = frozenset({"La", "RGBa"})
_PATH = (str, os.PathLike)
_BYTES = (bytes, bytearray, memoryview)


class InputError(DataError, ValueError):
    """What was given cannot be an image or a label; a ValueError too, because that is what callers catch."""


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


def is_in_memory(image: object) -> bool:
    """Whether it is one image that no file holds: bytes, a PIL image, or an array with the shape of one."""
    return isinstance(image, (*_BYTES, Image.Image)) or (isinstance(image, np.ndarray) and image.ndim in (2, 3))


def encoded(image: object, *, name: str) -> bytes:
    """The bytes of an image file with these pixels; bytes are returned as they are.

    Args:
        image: Bytes, a PIL image or an array of one image.
        name: What it is called in messages.

    Raises:
        InputError: it is none of these, or an array of another type or shape.
    """
    if isinstance(image, _BYTES):
        return bytes(image)
    if isinstance(image, np.ndarray):
        _refuse_array(image, name)
        pixels = np.ascontiguousarray(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image)
        return _tiff(Image.fromarray(pixels), name)
    if isinstance(image, Image.Image):
        return _tiff(image, name)
    if hasattr(image, "detach") and hasattr(image, "numpy"):
        way_out = f"{name}.permute(1, 2, 0).numpy() is the array of a tensor (C, H, W) of uint8"
        raise InputError(f"{name} is a tensor", expected=EXPECTED, remedy=way_out)
    raise InputError(f"{name} is {type(image).__qualname__} {image!r:.60}", expected=EXPECTED)


def _one_by_one(images: Any, name: str) -> Iterator[object]:  # noqa: ANN401 - whatever a caller gives
    """The images of a batch; one image is a batch of one."""
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OUS":
        batch = images.ndim == 4 or (images.ndim == 3 and images.shape[2] not in _CHANNELS)
        if not batch and images.ndim not in (2, 3):
            raise InputError(f"{name} is an array of shape {images.shape}", expected="(N, H, W) or (N, H, W, 3)")
        if batch and images.ndim == 3 and images.shape[0] in _CHANNELS:
            _refuse_channels_first(images, name)
        yield from images if batch else [images]
    elif isinstance(images, (*_PATH, *_BYTES, Image.Image)):
        yield images
    elif isinstance(images, dict) or not hasattr(images, "__iter__") or hasattr(images, "detach"):
        yield from [encoded(images, name=name)]  # raises, and says what it is
    else:
        yield from images


def _refuse_array(image: npt.NDArray[Any], name: str) -> None:
    """An array that is not one image of uint8 pixels.

    Raises:
        InputError: with the way out.
    """
    what = f"{name} is an array of {image.dtype} with shape {image.shape}"
    if image.dtype != np.uint8:
        raise InputError(what, expected="uint8 pixels 0..255", remedy=_type_remedy(image))
    if image.ndim == 3 and image.shape[0] in _CHANNELS and image.shape[2] not in _CHANNELS:
        _refuse_channels_first(image, name)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in _CHANNELS):
        raise InputError(
            what,
            expected="(H, W) grey, (H, W, 3) RGB or (H, W, 4) RGB with transparency",
            remedy="of more bands choose three" if image.ndim == 3 else "a batch goes to predict_many",
        )


def _type_remedy(image: npt.NDArray[Any]) -> str:
    kind = image.dtype.kind
    if kind == "f":
        return "(255 * x).round().astype('uint8') if the values are 0..1; normalised values must be turned back first"
    if kind == "b":
        return "x.astype('uint8') * 255"
    if kind in "iu":
        return "x.astype('uint8') if the values are 0..255; (x // 257).astype('uint8') if they are 0..65535"
    return ""


def _refuse_channels_first(image: npt.NDArray[Any], name: str) -> None:
    raise InputError(
        f"{name} is an array of shape {image.shape}",
        expected="the channels last: (H, W, 3)",
        remedy=f"x.transpose(1, 2, 0) if this is (C, H, W), list(x) if these are {image.shape[0]} grey images",
    )


def _tiff(image: Image.Image, name: str) -> bytes:
    """An uncompressed TIFF; rotation tags and palettes, which TIFF cannot hold, are applied before."""
    try:
        image.load()
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data or upright.mode in _ALPHA_MODES:
            upright = upright.convert("RGBA")
        elif upright.mode not in _TIFF_MODES:
            upright = upright.convert("RGB")
        buffer = io.BytesIO()
        plain = Image.frombytes(upright.mode, upright.size, upright.tobytes())  # without tags of the file it came from
        plain.save(buffer, "TIFF")
    except (OSError, ValueError, SyntaxError, TypeError) as error:
        raise InputError(f"{name} is a PIL image that cannot be read ({error})") from error
    return buffer.getvalue()
