"""Encoded bytes -> RGB pixels, right for every kind of file people have, or a reason why not.

What goes wrong elsewhere and how it is read here: a phone's rotation tag is applied; 16-bit grey keeps its
range instead of being clipped to white, and a smaller range can be given (`bits`); transparency is laid over white
instead of showing what was hidden under it; CMYK goes through Pillow's conversion (which knows Adobe's inverted
files); a truncated file is an error and never becomes grey or black rows. A JPEG whose picture is complete, but whose
end marker is missing or comes after padding, is read, and the caller is told.

A large JPEG of which few pixels are needed is decoded at a half, a quarter or an eighth: the decoder then leaves out
most of the inverse transform and all later steps have less to do, while the whole file is still read and checked.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from headstart.data.decoders.damage import jpeg_without_noise, refuse_damaged_png

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""Height x width x 3, RGB, 0..255."""

SMALLEST_SIDE_PIXELS = 8
"""Below this there is nothing to see."""

LARGEST_PIXELS = 89_478_485
"""Above this a small file can fill the memory; Pillow warns from the same number on."""

DECODE_VERSION = 3
"""Raised whenever the same bytes may become other pixels."""

_EXIF_ORIENTATION = 0x0112
_REDUCTIONS = (8, 4, 2)
"""Powers of two only: for others the decoder has no fast transform."""
_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_DEEP_BITS = 16
_BITS_PER_SAMPLE = 258
"""A tag of TIFF."""
_SAYS_ITS_RANGE = frozenset({"PPM", "JPEG2000"})
"""Files whose header gives the value of white; Pillow scales them to 16 bits already."""


_BROKEN = (
    *(OSError, ValueError, SyntaxError, EOFError, MemoryError, LookupError, TypeError, ArithmeticError),
    *(struct.error, zlib.error),
)
"""What Pillow's readers raise at bytes that nobody meant: which of them depends on its version and on the byte."""


class UnreadableImageError(Exception):
    """These bytes are no usable image; the message is the reason, without the file's name."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels, and what the file held before they had 8 bits."""

    pixels: Pixels
    kind: str
    """Pillow's name of the file kind, such as PNG."""
    largest: int | None = None
    """Largest value of an image with more than 8 bits a channel, in its own units; None for others. Of a colour image
    Pillow gives the upper 8 bits only: then the largest value that they allow."""
    white: int = 2**_DEEP_BITS - 1
    """The value that becomes 255, in the same units."""
    deep_grey: bool = False
    """Whether `largest` is that of a grey image, which `bits` has a say in."""
    veiled: float = 0.0
    """Share of the pixels that are partly transparent: neither wholly nor not at all; 0..1."""
    noise: str | None = None
    """What the file holds too much or too little although its picture is complete; None for a clean file."""


def decode(encoded: bytes, *, at_least: int | None = None, bits: int | None = None) -> Pixels:
    """Decode one image to RGB.

    Args:
        encoded: The file's bytes: JPEG, PNG, BMP, GIF (first frame), TIFF (first page), WebP, PPM.
        at_least: Pixels that the shorter side must keep; a JPEG that has twice as many or more is reduced 2, 4 or 8
            times. None keeps all.
        bits: Bits that grey values with more than 8 bits use: 2^bits - 1 is white. None takes the full range of the
            file's type.

    Returns:
        Height x width x 3, uint8. Grey images have three equal channels.

    Raises:
        UnreadableImageError: not an image, truncated, of an unknown kind, too small or dangerously large.
    """
    return decode_with_facts(encoded, at_least=at_least, bits=bits).pixels


def decode_with_facts(encoded: bytes, *, at_least: int | None = None, bits: int | None = None) -> Decoded:
    """The pixels of `decode`, and what its file held.

    Raises:
        UnreadableImageError: as `decode`.
    """
    if not encoded:
        raise UnreadableImageError("the file is empty")
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            _check_size(image)
            if _is_plain_jpeg(image):
                return _decode_jpeg(encoded, image, at_least)
            if image.format in ("JPEG", "MPO"):
                return _decode_cmyk_jpeg(encoded, image)
            if image.format == "PNG":
                refuse_damaged_png(encoded)
            return _decode_any(image, encoded, bits)
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
    """Whether the fast decoder gives the same pixels: colour or grey JPEG, also one with further pictures behind."""
    return image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L")


def _decode_jpeg(encoded: bytes, image: Image.Image, at_least: int | None) -> Decoded:
    width, height = image.size
    factor = reduction(min(width, height), at_least)
    # Rounded up: the decoder takes the reduction that still reaches these sides.
    smaller = {"min_height": -(-height // factor), "min_width": -(-width // factor)} if factor > 1 else {}
    noise: str | None = None
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(encoded, colorspace="RGB", strict=True, **smaller)
    except ValueError:
        clean = jpeg_without_noise(encoded)
        if clean is None:
            raise
        pixels = simplejpeg.decode_jpeg(clean.encoded, colorspace="RGB", strict=True, **smaller)
        noise = clean.noise
    return Decoded(_upright(pixels, image.getexif().get(_EXIF_ORIENTATION, 1)), "JPEG", noise=noise)


def _decode_cmyk_jpeg(encoded: bytes, image: Image.Image) -> Decoded:
    """By Pillow, which knows Adobe's inverted files; but it would show what is missing in the middle as grey."""
    try:
        simplejpeg.decode_jpeg(encoded, colorspace="CMYK", strict=True)
    except ValueError:
        clean = jpeg_without_noise(encoded, colours="CMYK")
        if clean is None:
            raise
        with Image.open(io.BytesIO(clean.encoded)) as whole:
            return replace(_decode_any(whole, clean.encoded, None), noise=clean.noise)
    return _decode_any(image, encoded, None)


def reduction(shorter: int, at_least: int | None) -> int:
    """The largest of 8, 4, 2 and 1 that leaves `at_least` pixels of the shorter side."""
    if at_least is None:
        return 1
    return next((factor for factor in _REDUCTIONS if shorter >= factor * at_least), 1)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo what a phone's tag says: 2 to 4 mirror or turn, 5 to 8 also exchange the sides."""
    # Exchanged first, then mirrored: so two mirrorings serve all eight orientations.
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _decode_any(image: Image.Image, encoded: bytes, bits: int | None) -> Decoded:
    kind = image.format or ""
    white = _white(image, bits)
    deep_colour = _is_deep_colour(image, encoded)
    if deep_colour and bits is not None and bits < _DEEP_BITS:
        raise UnreadableImageError(
            f"{_DEEP_BITS} bits a channel in colour, of which only the upper 8 can be read, so that bits {bits} leaves "
            f"{max(1, 2 ** (bits - 8)):.0f} levels; save it with 8 bits a channel"
        )
    # Before anything is asked of the pixels: only this reads them, and finds a file that ends too early.
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _SIXTEEN_BIT_MODES or upright.mode in ("I", "F"):
        return replace(_decode_deep(upright, white), kind=kind)
    veiled = 0.0
    if "A" in upright.mode or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        alpha = np.asarray(layer)[:, :, 3]
        veiled = float(((alpha > 0) & (alpha < 255)).mean())
        # White, as viewers show it: `convert` alone would bring out colours that were hidden.
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    pixels = np.array(upright.convert("RGB"))
    # The lower 8 bits are lost in Pillow: whatever they were, the value was at most this.
    largest = (int(pixels.max()) + 1) * 2 ** (_DEEP_BITS - 8) - 1 if deep_colour else None
    return Decoded(pixels, kind, largest, veiled=veiled)


def _white(image: Image.Image, bits: int | None) -> int:
    """The grey value that becomes 255: as the user says, else as the file says, else the largest of 16 bits."""
    if image.format in _SAYS_ITS_RANGE:
        return int(2**_DEEP_BITS) - 1
    if bits is None and image.format == "TIFF" and image.mode in _SIXTEEN_BIT_MODES:
        bits = max(_tiff_bits(image))
    return int(2 ** (_DEEP_BITS if bits is None else bits)) - 1


def _is_deep_colour(image: Image.Image, encoded: bytes) -> bool:
    """Whether a channel has more than 8 bits although Pillow gives 8: it has no such mode but for grey."""
    if image.mode not in ("RGB", "RGBA", "LA", "RGBX", "RGBa"):
        return False
    if image.format == "PNG":
        return int(encoded[24]) == _DEEP_BITS  # in IHDR, which is always first
    return image.format == "TIFF" and max(_tiff_bits(image)) == _DEEP_BITS


def _tiff_bits(image: Image.Image) -> tuple[int, ...]:
    found: object = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, 8)
    return tuple(int(bits) for bits in found) if isinstance(found, tuple) else (int(str(found)),)


def _decode_deep(image: Image.Image, white: int) -> Decoded:
    """Grey with more than eight bits: never stretched to the image's own range, but mapped from `white` to 255."""
    values = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        if not (values.min() >= 0 and values.max() <= 1):  # also refuses not-a-number
            raise ValueError(f"float pixels {values.min():g}..{values.max():g}; only 0..1 has one meaning")
        white = 2**_DEEP_BITS - 1
        values = values * white
    # A value beyond the given bits would wrap or be clipped without a word.
    if image.mode != "F" and values.min() >= 0 and 2**_DEEP_BITS > values.max() > white:
        raise UnreadableImageError(
            f"its largest value is {values.max():,.0f}, and {white.bit_length()} bits end at {white:,}; give more bits"
        )
    if values.min() < 0 or values.max() > white:
        raise ValueError(f"pixels {values.min():g}..{values.max():g} do not fit {white.bit_length()} bits")
    # By one scale for all images: stretched to its own range, a dark image would look like a bright one.
    grey = np.rint(values / (white / 255)).astype(np.uint8)
    return Decoded(np.repeat(grey[:, :, None], 3, axis=2), "", round(values.max()), white, deep_grey=True)
