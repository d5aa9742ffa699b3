"""One image in memory (bytes, a PIL image, an array) -> bytes of an image file, which are read like any file.

An image in memory becomes the bytes of an uncompressed TIFF, which holds every mode without loss. From there on it goes
the way of a file: 16-bit grey, transparency, palettes and sizes are treated in one place (`decode`).
"""

from __future__ import annotations

import io
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from headstart.errors import DataError

EXPECTED = "a path, the bytes of an image file, a PIL image, or an array of uint8 pixels (H, W), (H, W, 3) or (H, W, 4)"
CHANNEL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_TIFF_MODES = frozenset({"1", "L", "RGB", "RGBA", "CMYK", "I", "F", "I;16", "I;16B", "YCbCr", "LAB"})
_ALPHA_MODES = frozenset({"La", "RGBa"})
BYTES = (bytes, bytearray, memoryview)


class InputError(DataError, ValueError):
    """What was given cannot be an image or a label; a ValueError too, because that is what callers catch."""


def is_in_memory(image: object) -> bool:
    """Whether it is one image that no file holds: bytes, a PIL image, or an array with the shape of one."""
    return isinstance(image, (*BYTES, Image.Image)) or (isinstance(image, np.ndarray) and image.ndim in (2, 3))


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
