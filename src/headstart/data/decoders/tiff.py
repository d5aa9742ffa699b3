"""TIFF files of any number of bands and of 8, 16 and 32 bits, where Pillow refuses them or drops bands.

tifffile reads them. Of compressions it knows without further packages none, Deflate, PackBits and LZMA; for the others
rasterio is asked, if it is installed.
"""

from __future__ import annotations

import functools
import io
import logging
import math
import warnings
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from headstart.data.decoders.decoded import (
    Decoded,
    FaultKind,
    UnreadableImageError,
    check_size,
    chosen_bands,
    decoded_integers,
    library_faults,
    over_white,
    upright,
)
from headstart.errors import MissingExtraError, require
from headstart.input_spec import MOST_BITS, Decoding

_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PHOTOMETRIC = 262
_SAMPLES, _EXTRA_SAMPLES, _BITS_PER_SAMPLE, _PLANAR, _ORIENTATION = 277, 338, 258, 284, 274
"""Tags of TIFF."""
# Of more bands than Pillow takes it would write a line to the terminal for each file, before it refuses them.
logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL + 1)
_ALPHA = (1, 2)
"""Extra samples that are transparency, multiplied in or not."""
_MIN_IS_WHITE = 0
_OWN_CHANNELS = {"1": 1, "L": 1, "P": 1, "I": 1, "F": 1, "I;16": 1, "I;16B": 1, "LA": 2, "PA": 2, "RGBA": 4, "CMYK": 4}


def is_tiff(encoded: bytes) -> bool:
    """Whether a file begins as TIFF or BigTIFF."""
    return encoded.startswith(_STARTS)


def pillow_drops_bands(image: Image.Image, decoding: Decoding) -> bool:
    """Whether Pillow opens a TIFF but gives fewer bands than it holds, or other values.

    Args:
        image: Opened, not loaded.
        decoding: Bands that were chosen may be those that Pillow takes for transparency.
    """
    tags: Any = getattr(image, "tag_v2", {})
    samples, extra = tags.get(_SAMPLES, 1), _numbers(tags.get(_EXTRA_SAMPLES, ()))
    bits = max(_numbers(tags.get(_BITS_PER_SAMPLE, 8)))
    planes = tags.get(_PLANAR, 1) != 1 and bits > 8
    inverted = bits > 8 and tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE
    return (
        samples > _OWN_CHANNELS.get(image.mode, 3)
        or (image.mode == "RGBA" and (decoding.bands is not None or not _is_alpha(samples, extra)))
        or (planes and samples > 1)
        or inverted
    )


def _is_alpha(samples: int, extra: tuple[int, ...]) -> bool:
    # Some programs leave the tag out of RGBA; GDAL writes 0 (unspecified) for what is no transparency.
    return not extra or (samples - len(extra) in (1, 3) and extra[0] in (*_ALPHA, 999))


def _numbers(value: Any) -> tuple[int, ...]:  # noqa: ANN401 - a tag's value
    return tuple(int(number) for number in value) if isinstance(value, tuple) else (int(value),)


def band_count_of(encoded: bytes) -> int | None:
    """Number of bands of a TIFF's first page, without transparency; None where it is no such file or damaged."""
    try:
        tifffile = require("tifffile", extra="satellite")
        logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
        with tifffile.TiffFile(io.BytesIO(encoded)) as file:
            page = file.pages.first
            extra = tuple(int(kind) for kind in page.extrasamples)
            count = int(page.samplesperpixel)
            return count - 1 if extra and count in (2, 4) and _is_alpha(count, extra) else count
    except Exception:  # whoever decodes the file says what is wrong with it
        return None


def decode_tiff(encoded: bytes, decoding: Decoding) -> Decoded:
    """Decoded image of the first page of a TIFF.

    Args:
        encoded: The file's bytes.
        decoding: Which bands, and what their values become.

    Raises:
        UnreadableImageError: as for every image; also where a package is missing.
    """
    with library_faults("a TIFF of this kind needs a package"):
        values, white, alpha, turn, further = _read(encoded, decoding)
    chosen = chosen_bands(values, decoding)
    if alpha is not None:
        top = 1 if chosen.dtype.kind == "f" else white
        shares, veiled = over_white(chosen / np.float64(top), alpha / np.float64(top))
        mixed = shares if chosen.dtype.kind == "f" else np.rint(shares * top).astype(np.int64)
        found = replace(decoded_integers(upright(mixed, turn), "TIFF", white=white, bits=None), veiled=veiled)
    elif white == 2**8 - 1 and chosen.shape[2] in (1, 3):
        pixels = upright(chosen, turn)
        found = Decoded(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels, "TIFF")
    else:
        found = decoded_integers(upright(chosen, turn), "TIFF", white=white, bits=decoding.bits)
    return replace(found, has_more_frames=further)


def _read(encoded: bytes, decoding: Decoding) -> tuple[npt.NDArray[Any], int, npt.NDArray[Any] | None, int, bool]:
    """(height x width x bands, value of white, transparency, EXIF's orientation, whether there are further pages)."""
    tifffile = require("tifffile", extra="satellite")
    # What it finds odd goes to its logger and would reach the terminal; the pixels decide here.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        page = file.pages.first
        check_size(page.imagewidth, page.imagelength, page.samplesperpixel)
        _refuse_missing_blocks(page, len(encoded))
        try:
            values = page.asarray(maxworkers=1)
        except (ValueError, ImportError) as error:
            if isinstance(error, ValueError) and "imagecodecs" not in str(error):
                raise
            values = _by_rasterio(encoded, page)
        else:
            values = _bands_last(values, page)
        bits = min(MOST_BITS, int(page.bitspersample)) if values.dtype.kind in "iu" else MOST_BITS
        white = 2**8 - 1 if values.dtype == np.uint8 else 2**bits - 1
        if page.photometric == _MIN_IS_WHITE and values.shape[2] == 1:
            values = (1 if values.dtype.kind == "f" else values.dtype.type(white)) - values
        alpha = None
        extra = tuple(int(kind) for kind in page.extrasamples)
        if decoding.bands is None and extra and values.shape[2] in (2, 4) and _is_alpha(values.shape[2], extra):
            values, alpha = values[:, :, :-1], values[:, :, -1]
        turn = page.tags.get(_ORIENTATION)
        further = any(not (p.is_reduced or p.is_mask) for p in file.pages[1:])
        return values, white, alpha, 1 if turn is None else int(turn.value), further


def _bands_last(values: npt.NDArray[Any], page: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - a page of tifffile
    """Height x width x bands of a page."""
    if page.axes == "YX":
        return values[:, :, None]
    if page.axes == "YXS":
        return values
    if page.axes == "SYX":
        return np.ascontiguousarray(values.transpose(1, 2, 0))
    raise UnreadableImageError(f"a volume with the axes {page.axes}; one image has height, width and bands")


def _refuse_missing_blocks(page: Any, length: int) -> None:  # noqa: ANN401 - a page of tifffile
    """Stop where blocks of pixels lie beyond the end of the file: tifffile would fill them with zeros."""
    counts, offsets = page.databytecounts, page.dataoffsets
    expected = math.prod(page.chunked)
    whole = len(counts) == len(offsets) >= expected and all(counts) and all(offsets)
    if not whole or any(at + count > length for at, count in zip(offsets, counts, strict=True)):
        raise UnreadableImageError("broken or truncated (blocks of pixels are missing)")
    if int(page.compression) == 1 and sum(counts) * 8 < page.size * page.bitspersample:
        raise UnreadableImageError("broken or truncated (fewer bytes than pixels)")


@functools.cache
def _rasterio() -> ModuleType:
    """rasterio, without warnings of tiles that have no place on earth.

    Raises:
        MissingExtraError: it is not installed.
    """
    module = require("rasterio", extra="satellite")
    warnings.filterwarnings("ignore", category=module.errors.NotGeoreferencedWarning)
    return module


def _by_rasterio(encoded: bytes, page: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - a page of tifffile
    """Height x width x bands of a TIFF whose compression tifffile does not know alone."""
    try:
        rasterio = _rasterio()
    except MissingExtraError as error:
        raise UnreadableImageError(
            f"compressed with {page.compression.name}, which needs a package: {error}", FaultKind.NEEDS_PACKAGE
        ) from error
    with rasterio.MemoryFile(encoded) as memory, memory.open() as opened:
        return np.ascontiguousarray(opened.read().transpose(1, 2, 0))
