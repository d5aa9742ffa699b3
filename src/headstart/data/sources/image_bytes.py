"""One image in memory (bytes, a PIL image, an array) -> bytes of an image file, which are read like any file.

An image in memory becomes the bytes of an uncompressed TIFF, which holds every mode without loss. From there on it goes
the way of a file: 16-bit grey, transparency, palettes, bands and sizes are treated in one place (`decode`).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from headstart.errors import DataError, require
from headstart.input_spec import MOST_ADAPTED_BANDS

EXPECTED = (
    "a path, the bytes of an image file, a PIL image, an array of uint8 pixels (H, W), (H, W, 3) or (H, W, 4), or one "
    f"of 2 to {MOST_ADAPTED_BANDS} bands (H, W, n)"
)
CHANNEL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_TIFF_MODES = frozenset({"1", "L", "RGB", "RGBA", "CMYK", "I", "F", "I;16", "I;16B", "YCbCr", "LAB"})
_ALPHA_MODES = frozenset({"La", "RGBa"})
BYTES = (bytes, bytearray, memoryview)


class InputError(DataError, ValueError):
    """What was given cannot be an image or a label; a ValueError too, because that is what callers catch."""


def is_in_memory(image: object) -> bool:
    """Whether it is one image that no file holds: bytes, a PIL image, or an array with the shape of one."""
    return isinstance(image, (*BYTES, Image.Image)) or (isinstance(image, np.ndarray) and image.ndim in (2, 3))


def is_band_array(dtype: np.dtype[Any], shape: Sequence[int]) -> bool:
    """Whether an array is one image of 2 to 16 bands: of uint8, or of uint16 or 0..1 as reflectance is kept.

    Four channels of uint8 are red, green, blue and transparency. Any range will do for bands: they are normalised by
    the statistics of the training images, but pixels of photos by those of the weights.

    Args:
        dtype: Of the array.
        shape: Likewise; height, width, bands.
    """
    if len(shape) != 3 or not 2 <= shape[2] <= MOST_ADAPTED_BANDS or shape[2] == 3:
        return False
    if shape[0] in CHANNEL_MODES:  # channels first, for which there is a message
        return False
    if dtype == np.uint8:
        return shape[2] not in CHANNEL_MODES
    return dtype.kind == "f" or (dtype.kind == "u" and dtype.itemsize == 2)


def is_one_image(images: npt.NDArray[Any]) -> bool:
    """Whether an array is one image and no batch of grey ones.

    Args:
        images: (H, W), (H, W, C), (N, H, W) or (N, H, W, C).
    """
    if images.ndim != 3:
        return images.ndim == 2
    # Grey images are not taken for bands: they are wider than sixteen pixels, or as wide as high, such as digits.
    is_narrow = images.shape[2] < images.shape[1]
    return images.shape[2] in CHANNEL_MODES or (is_narrow and is_band_array(images.dtype, images.shape))


def encoded(image: object, *, name: str) -> bytes:
    """The bytes of an image file with these pixels; bytes are returned as they are.

    Args:
        image: Bytes, a PIL image or an array of one image.
        name: What it is called in messages.

    Raises:
        InputError: it is none of these, or an array of another type or shape.
    """
    if isinstance(image, BYTES):
        return bytes(image)
    if isinstance(image, np.ndarray):
        if is_band_array(image.dtype, image.shape):
            return _tiff_of_bands(image)
        _refuse_array(image, name)
        pixels = np.ascontiguousarray(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image)
        return _tiff(Image.fromarray(pixels), name)
    if isinstance(image, Image.Image):
        return _tiff(image, name)
    if hasattr(image, "detach") and hasattr(image, "numpy"):
        way_out = f"{name}.permute(1, 2, 0).numpy() is the array of a tensor (C, H, W) of uint8"
        raise InputError(f"{name} is a tensor", expected=EXPECTED, remedy=way_out)
    raise InputError(f"{name} is {type(image).__qualname__} {image!r:.60}", expected=EXPECTED)


def _refuse_array(image: npt.NDArray[Any], name: str) -> None:
    """An array that is not one image of uint8 pixels.

    Raises:
        InputError: with the way out.
    """
    what = f"{name} is an array of {image.dtype} with shape {image.shape}"
    if image.dtype != np.uint8:
        raise InputError(what, expected="uint8 pixels 0..255", remedy=_type_remedy(image))
    if image.ndim == 3 and image.shape[0] in CHANNEL_MODES and image.shape[2] not in CHANNEL_MODES:
        refuse_channels_first(image, name)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in CHANNEL_MODES):
        raise InputError(
            what,
            expected="(H, W) grey, (H, W, 3) RGB, (H, W, 4) RGB with transparency or (H, W, n) of 2 to "
            f"{MOST_ADAPTED_BANDS} bands",
            remedy="choose some of the bands" if image.ndim == 3 else "a batch goes to predict_many",
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


def refuse_channels_first(image: npt.NDArray[Any], name: str) -> NoReturn:
    """An array whose channels come first.

    Raises:
        InputError: always.
    """
    raise InputError(
        f"{name} is an array of shape {image.shape}",
        expected="the channels last: (H, W, 3)",
        remedy=f"x.transpose(1, 2, 0) if this is (C, H, W), list(x) if these are {image.shape[0]} grey images",
    )


def _tiff_of_bands(image: npt.NDArray[Any]) -> bytes:
    """An uncompressed TIFF of the bands as they are; floats in single precision.

    Raises:
        MissingExtraError: the extra `satellite` is not installed.
    """
    tifffile = require("tifffile", extra="satellite")
    values = image.astype(np.float32 if image.dtype.kind == "f" else image.dtype.newbyteorder("="))
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.ascontiguousarray(values), photometric="minisblack", planarconfig="contig")
    return buffer.getvalue()


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
