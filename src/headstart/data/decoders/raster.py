"""Encoded bytes -> RGB pixels, right for every kind of file people have, or a reason why not.

What goes wrong elsewhere and how it is read here: a phone's rotation tag is applied; 16-bit grey and colour keep their
range instead of being clipped to white, and a smaller range can be given (`bits`); transparency is laid over white
instead of showing what was hidden under it; CMYK goes through Pillow's conversion (which knows Adobe's inverted
files); a truncated file is an error and never becomes grey or black rows. A JPEG whose picture is complete, but whose
end marker is missing or comes after padding, is read, and the result says so.

A large JPEG of which few pixels are needed is decoded at a half, a quarter or an eighth: the decoder then leaves out
most of the inverse transform and all later steps have less to do, while the whole file is still read and checked.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from headstart.data.decoders.contrast import with_contrast
from headstart.data.decoders.damage import jpeg_without_noise, refuse_damaged_png
from headstart.data.decoders.decoded import (
    Bands,
    Decoded,
    FaultKind,
    Pixels,
    UnreadableImageError,
    check_size,
    chosen_bands,
    decoded_bands,
    decoded_integers,
    refuse_other_count,
    upright,
)
from headstart.data.decoders.deep_colour import decode_deep_colour, is_deep_colour
from headstart.data.decoders.dicom import decode_dicom, is_dicom
from headstart.data.decoders.tiff import decode_tiff, is_tiff, pillow_drops_bands
from headstart.input_spec import MOST_BITS, Decoding

_EXIF_ORIENTATION = 0x0112
_REDUCTIONS = (8, 4, 2)
"""Powers of two only: for others the decoder has no fast transform."""
_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_BITS_PER_SAMPLE = 258
"""A tag of TIFF."""
_FRAME_TYPE, _PAGES_BESIDE = 254, 0b101
"""A tag of TIFF, and its bits for smaller copies and masks."""
_SAYS_ITS_RANGE = frozenset({"PPM", "JPEG2000"})
"""Files whose header gives the value of white; Pillow scales them to 16 bits already."""

_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"\0\0\0\x0cjP  ")
"""Of files that Pillow reads if the rest of their header is whole."""

_BROKEN = (
    *(OSError, ValueError, SyntaxError, EOFError, MemoryError, LookupError, TypeError, ArithmeticError),
    *(struct.error, zlib.error),
)
"""What Pillow's readers raise at bytes that nobody meant: which of them depends on its version and on the byte."""


def decode(encoded: bytes, *, at_least: int | None = None, decoding: Decoding = Decoding()) -> Pixels:  # noqa: B008
    """Decode one image to RGB.

    Args:
        encoded: The file's bytes: JPEG, PNG, BMP, GIF (first frame), TIFF (first page), WebP, PPM, DICOM and more.
        at_least: Pixels that the shorter side must keep; a JPEG that has twice as many or more is reduced 2, 4 or 8
            times. None keeps all.
        decoding: Bands, range of values with more than 8 bits, contrast.

    Returns:
        Height x width x 3, uint8. Grey images have three equal channels.

    Raises:
        UnreadableImageError: not an image, truncated, of an unknown kind, too small or dangerously large.
    """
    return decode_with_facts(encoded, at_least=at_least, decoding=decoding).pixels


def decode_with_facts(
    encoded: bytes,
    *,
    at_least: int | None = None,
    decoding: Decoding = Decoding(),  # noqa: B008 - frozen
) -> Decoded:
    """The pixels of `decode`, and what its file held.

    Raises:
        UnreadableImageError: as `decode`.
    """
    found = _decoded(encoded, at_least, decoding)
    refuse_other_count(found.values.shape[2], decoding)
    return with_contrast(found, decoding.contrast)


def _decoded(encoded: bytes, at_least: int | None, decoding: Decoding) -> Decoded:
    if not encoded:
        raise UnreadableImageError("the file is empty", FaultKind.EMPTY)
    try:
        if is_dicom(encoded):
            return decode_dicom(encoded, decoding)
        return _decode_by_pillow(encoded, at_least, decoding)
    except UnidentifiedImageError as error:
        if is_tiff(encoded):
            return decode_tiff(encoded, decoding)
        raise UnreadableImageError(*_unknown(encoded)) from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"too many pixels ({error})", FaultKind.TOO_LARGE) from error
    except _BROKEN as error:
        raise UnreadableImageError(f"broken or truncated ({error})") from error


def _unknown(encoded: bytes) -> tuple[str, FaultKind]:
    """Why bytes that no decoder knows cannot be read."""
    if not encoded.strip(b"\0"):
        return "not an image that can be decoded: all bytes are zero, as after a failed copy", FaultKind.DAMAGED
    if encoded.startswith(_STARTS) or (encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP"):
        return "broken or truncated (its header cannot be read)", FaultKind.DAMAGED
    if encoded[4:8] == b"ftyp" and encoded[8:12] not in (b"avif", b"avis"):
        return "HEIC, which this Pillow cannot read: save it as JPEG or PNG", FaultKind.NEEDS_PACKAGE
    if encoded.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL, which this Pillow cannot read: save it as JPEG or PNG", FaultKind.NEEDS_PACKAGE
    if encoded[:64].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "not an image that can be decoded: a web page, as after a failed download", FaultKind.NOT_AN_IMAGE
    return "not an image that can be decoded", FaultKind.NOT_AN_IMAGE


def _decode_by_pillow(encoded: bytes, at_least: int | None, decoding: Decoding) -> Decoded:
    with Image.open(io.BytesIO(encoded)) as image:
        check_size(*image.size)
        if _is_plain_jpeg(image):
            return _with_bands(_decode_jpeg(encoded, image, at_least), decoding)
        if image.format in ("JPEG", "MPO"):
            return _with_bands(_decode_cmyk_jpeg(encoded, image), decoding)
        if image.format == "PNG":
            refuse_damaged_png(encoded)
        if image.format == "TIFF" and pillow_drops_bands(image, decoding):
            return decode_tiff(encoded, decoding)
        if is_deep_colour(image, encoded):
            found = decode_deep_colour(image, encoded, decoding)
        else:
            found = _decode_any(image, decoding)
        return replace(found, has_more_frames=_has_more_frames(image, encoded))


def _with_bands(found: Decoded, decoding: Decoding) -> Decoded:
    """The chosen bands of an image of three: one of them as grey."""
    if decoding.bands is None:
        return found
    if len(decoding.bands) not in (1, 3):
        return decoded_bands(chosen_bands(_shares(found), decoding), found.kind)
    pixels = chosen_bands(found.pixels, decoding)
    bands = found.bands if found.bands is None or found.bands.shape[2] == 1 else chosen_bands(found.bands, decoding)
    return replace(found, pixels=np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels, bands=bands)


def _shares(found: Decoded) -> Bands:
    """Values of a decoded image as they go into a network, 0..1."""
    return np.asarray(found.pixels / 255, np.float32) if found.bands is None else found.bands


def _has_more_frames(image: Image.Image, encoded: bytes) -> bool:
    """Whether further frames or pages follow the first; smaller copies and masks of a TIFF's first page are none."""
    if image.format not in ("GIF", "TIFF"):
        return bool(getattr(image, "is_animated", False)) and image.format != "MPO"
    # Only going to the second one shows whether it is there, and an image that was read cannot go back.
    with Image.open(io.BytesIO(encoded)) as again:
        try:
            again.seek(1)
        except _BROKEN:  # the first is whole, and only that is read
            return False
        kind = getattr(again, "tag_v2", {}).get(_FRAME_TYPE, 0)
        return not (isinstance(kind, int) and kind & _PAGES_BESIDE)


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
    return Decoded(upright(pixels, image.getexif().get(_EXIF_ORIENTATION, 1)), "JPEG", noise=noise)


def _decode_cmyk_jpeg(encoded: bytes, image: Image.Image) -> Decoded:
    """By Pillow, which knows Adobe's inverted files; but it would show what is missing in the middle as grey."""
    try:
        simplejpeg.decode_jpeg(encoded, colorspace="CMYK", strict=True)
    except ValueError:
        clean = jpeg_without_noise(encoded, colours="CMYK")
        if clean is None:
            raise
        with Image.open(io.BytesIO(clean.encoded)) as whole:
            return replace(_decode_any(whole, Decoding()), noise=clean.noise)
    return _decode_any(image, Decoding())


def reduction(shorter: int, at_least: int | None) -> int:
    """The largest of 8, 4, 2 and 1 that leaves `at_least` pixels of the shorter side."""
    if at_least is None:
        return 1
    return next((factor for factor in _REDUCTIONS if shorter >= factor * at_least), 1)


def _decode_any(image: Image.Image, decoding: Decoding) -> Decoded:
    kind = image.format or ""
    white, bits = _white(image), None if image.format in _SAYS_ITS_RANGE else decoding.bits
    # Before anything is asked of the pixels: only this reads them, and finds a file that ends too early.
    image.load()
    turned = ImageOps.exif_transpose(image)
    if turned.mode in _SIXTEEN_BIT_MODES or turned.mode in ("I", "F"):
        values = np.asarray(turned)[:, :, None]
        return _with_bands(decoded_integers(values, kind, white=white, bits=bits), decoding)
    veiled = 0.0
    if "A" in turned.mode or "transparency" in turned.info:
        layer = turned.convert("RGBA")
        alpha = np.asarray(layer)[:, :, 3]
        veiled = float(((alpha > 0) & (alpha < 255)).mean())
        # White, as viewers show it: `convert` alone would bring out colours that were hidden.
        turned = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return _with_bands(Decoded(np.array(turned.convert("RGB")), kind, veiled=veiled), decoding)


def _white(image: Image.Image) -> int:
    """The grey value that becomes 255: as the file says, else the largest of 16 bits."""
    bits = MOST_BITS
    if image.format == "TIFF" and image.mode in _SIXTEEN_BIT_MODES:
        stated: object = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, MOST_BITS)
        bits = max(map(int, stated)) if isinstance(stated, tuple) else int(str(stated))
    return int(2**bits) - 1
