"""Encoded bytes -> RGB pixels, right for every kind of file people have, or a reason why not.

What goes wrong elsewhere and how it is read here: a phone's rotation tag is applied; 16-bit grey keeps its
range instead of being clipped to white; transparency is laid over white instead of showing what was hidden
under it; CMYK goes through Pillow's conversion (which knows Adobe's inverted files); a truncated file is an
error and never becomes grey or black rows.
"""

from __future__ import annotations

import io
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

_EXIF_ORIENTATION = 0x0112
_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_BYTES_SCALE = 257  # 65535 / 255: full 16-bit range onto full 8-bit range


class UnreadableImageError(Exception):
    """These bytes are no usable image; the message is the reason, without the file's name."""


def decode(encoded: bytes) -> Pixels:
    """Decode one image to RGB.

    Args:
        encoded: The file's bytes: JPEG, PNG, BMP, GIF (first frame), TIFF (first page), WebP, PPM.

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
            return _decode_jpeg(encoded) if _is_plain_jpeg(image) else _decode_any(image)
    except UnidentifiedImageError as error:
        raise UnreadableImageError("not an image that can be decoded") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"too many pixels ({error})") from error
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise UnreadableImageError(f"broken or truncated ({error})") from error


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > LARGEST_PIXELS:
        raise UnreadableImageError(f"too many pixels ({width} x {height}; at most {LARGEST_PIXELS:,})")
    if min(image.size) < SMALLEST_SIDE_PIXELS:
        raise UnreadableImageError(f"{width} x {height} pixels; each side must have at least {SMALLEST_SIDE_PIXELS}")


def _is_plain_jpeg(image: Image.Image) -> bool:
    """Whether the fast decoder gives the same answer: colour or grey JPEG that nobody rotated."""
    return image.format == "JPEG" and image.mode in ("RGB", "L") and image.getexif().get(_EXIF_ORIENTATION, 1) == 1


def _decode_jpeg(encoded: bytes) -> Pixels:
    pixels: Pixels = simplejpeg.decode_jpeg(encoded, colorspace="RGB", strict=True)
    return pixels


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
