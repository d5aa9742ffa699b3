"""Encoded bytes -> RGB pixels, right for every kind of file people have, or a reason why not.

What goes wrong elsewhere and how it is read here: a phone's rotation tag is applied; 16-bit grey keeps its
range instead of being clipped to white; transparency is laid over white instead of showing what was hidden
under it; CMYK goes through Pillow's conversion (which knows Adobe's inverted files); a truncated file is an
error and never becomes grey or black rows.

A large JPEG of which few pixels are needed is decoded at a half, a quarter or an eighth: the decoder then leaves out
most of the inverse transform and all later steps have less to do, while the whole file is still read and checked.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""Height x width x 3, RGB, 0..255."""

SMALLEST_SIDE_PIXELS = 8
"""Below this there is nothing to see."""

LARGEST_PIXELS = 89_478_485
"""Above this a small file can fill the memory; Pillow warns from the same number on."""

DECODE_VERSION = 2
"""Raised whenever the same bytes may become other pixels."""

_EXIF_ORIENTATION = 0x0112
_REDUCTIONS = (8, 4, 2)
"""Powers of two only: for others the decoder has no fast transform."""
_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_BYTES_SCALE = 257  # 65535 / 255: full 16-bit range onto full 8-bit range


_BROKEN = (
    *(OSError, ValueError, SyntaxError, EOFError, MemoryError, LookupError, TypeError, ArithmeticError),
    *(struct.error, zlib.error),
)
"""What Pillow's readers raise at bytes that nobody meant: which of them depends on its version and on the byte."""


class UnreadableImageError(Exception):
    """These bytes are no usable image; the message is the reason, without the file's name."""


def decode(encoded: bytes, *, at_least: int | None = None) -> Pixels:
    """Decode one image to RGB.

    Args:
        encoded: The file's bytes: JPEG, PNG, BMP, GIF (first frame), TIFF (first page), WebP, PPM.
        at_least: Pixels that the shorter side must keep; a JPEG that has twice as many or more is reduced 2, 4 or 8
            times. None keeps all.

    Returns:
        Height x width x 3, uint8. Grey images have three equal channels.

    Raises:
        UnreadableImageError: not an image, truncated, of an unknown kind, too small or dangerously large.
    """
    if not encoded:
        raise UnreadableImageError("the file is empty")
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            _check_size(image)
            return _decode_jpeg(encoded, image, at_least) if _is_plain_jpeg(image) else _decode_any(image)
    except UnidentifiedImageError as error:
        raise UnreadableImageError("not an image that can be decoded") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"too many pixels ({error})") from error
    except _BROKEN as error:
        raise UnreadableImageError(f"broken or truncated ({error})") from error


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > LARGEST_PIXELS:
        raise UnreadableImageError(f"too many pixels ({width} x {height}; at most {LARGEST_PIXELS:,})")
    if min(image.size) < SMALLEST_SIDE_PIXELS:
        raise UnreadableImageError(f"{width} x {height} pixels; each side must have at least {SMALLEST_SIDE_PIXELS}")


def _is_plain_jpeg(image: Image.Image) -> bool:
    """Whether the fast decoder gives the same answer: colour or grey JPEG."""
    return image.format == "JPEG" and image.mode in ("RGB", "L")


def _decode_jpeg(encoded: bytes, image: Image.Image, at_least: int | None) -> Pixels:
    width, height = image.size
    factor = reduction(min(width, height), at_least)
    smaller = {"min_height": -(-height // factor), "min_width": -(-width // factor)} if factor > 1 else {}
    pixels: Pixels = simplejpeg.decode_jpeg(encoded, colorspace="RGB", strict=True, **smaller)
    return _upright(pixels, image.getexif().get(_EXIF_ORIENTATION, 1))


def reduction(shorter: int, at_least: int | None) -> int:
    """The largest of 8, 4, 2 and 1 that leaves `at_least` pixels of the shorter side."""
    if at_least is None:
        return 1
    return next((factor for factor in _REDUCTIONS if shorter >= factor * at_least), 1)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo what a phone's tag says: 2 to 4 mirror or turn, 5 to 8 also exchange the sides."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _decode_any(image: Image.Image) -> Pixels:
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _SIXTEEN_BIT_MODES or upright.mode in ("I", "F"):
        return _decode_deep(upright)
    if "A" in upright.mode or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.array(upright.convert("RGB"))


def _decode_deep(image: Image.Image) -> Pixels:
    """Grey with more than eight bits: the full range of its type, never stretched to the image's own."""
    values = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        if not (values.min() >= 0 and values.max() <= 1):  # also refuses not-a-number
            raise ValueError(f"float pixels {values.min():g}..{values.max():g}; only 0..1 has one meaning")
        values = values * (_BYTES_SCALE * 255)
    if values.min() < 0 or values.max() > _BYTES_SCALE * 255:
        raise ValueError(f"pixels {values.min():g}..{values.max():g} do not fit 16 bits")
    grey = np.rint(values / _BYTES_SCALE).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
