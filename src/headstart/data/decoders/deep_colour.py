"""Colour with 16 bits a channel from PNG and TIFF, of which Pillow alone gives the upper 8 bits only.

Pillow has no mode for such pixels, but its unpackers take one byte of each pair: the first where the raw mode
says big-endian, the second where it says little-endian. Two passes give both bytes of every value.
"""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from headstart.data.decoders.decoded import Decoded, chosen_bands, decoded_integers, over_white, upright
from headstart.input_spec import MOST_BITS, Decoding

_EXIF_ORIENTATION = 0x0112
_BITS_PER_SAMPLE, _PLANAR = 258, 284
"""Tags of TIFF."""
_CONTIGUOUS = 1
_GREY_ALPHA = "LA;16B"
_OTHER_ENDING = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}


def is_deep_colour(image: Image.Image, encoded: bytes) -> bool:
    """Whether a channel has 16 bits although Pillow gives 8.

    Args:
        image: Opened, not loaded.
        encoded: Its file.
    """
    if image.format == "PNG":
        return image.mode in ("RGB", "RGBA", "LA") and int(encoded[24]) == MOST_BITS  # in IHDR, which is always first
    if image.format != "TIFF" or image.mode not in ("RGB", "RGBA"):
        return False
    tags: Any = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, 8)
    deepest = max(bits) if isinstance(bits, tuple) else int(bits)
    return bool(tags.get(_PLANAR, _CONTIGUOUS) == _CONTIGUOUS and deepest == MOST_BITS)


def decode_deep_colour(image: Image.Image, encoded: bytes, decoding: Decoding) -> Decoded:
    """Decoded image of a file of which `is_deep_colour`.

    Args:
        image: Opened, not loaded.
        encoded: Its file.
        decoding: What the values become.

    Raises:
        UnreadableImageError: values do not fit the bits, or a band is chosen that is not there.
        OSError: the file is damaged; so do ValueError and other errors of Pillow.
    """
    samples = _samples(image, encoded)
    white = 2**MOST_BITS - 1
    count, key = samples.shape[2], image.info.get("transparency")
    turn = image.getexif().get(_EXIF_ORIENTATION, 1)
    kind = image.format or ""
    alpha = None
    if decoding.bands is None and count in (2, 4):
        alpha, samples = samples[:, :, -1] / np.float64(white), samples[:, :, :-1]
    elif decoding.bands is None and isinstance(key, tuple):
        alpha = np.any(samples != np.asarray(key), axis=2).astype(np.float64)  # this one colour is transparent
    samples = upright(chosen_bands(samples, decoding), turn)
    if alpha is None:
        return decoded_integers(samples, kind, white=white, bits=decoding.bits)
    top = white if decoding.bits is None else 2**decoding.bits - 1
    shares, veiled = over_white(samples / np.float64(top), upright(alpha[:, :, None], turn)[:, :, 0])
    found = decoded_integers(np.rint(shares * top).astype(np.int64), kind, white=top, bits=None)
    return replace(found, largest=int(samples.max()), veiled=veiled)


def _samples(image: Image.Image, encoded: bytes) -> npt.NDArray[np.uint16]:
    """Height x width x channels as they are stored."""
    raw = _raw_mode(image)
    if raw == _GREY_ALPHA:  # as wide as four channels of 8 bits: one pass gives all bytes
        pairs = _pass(encoded, "RGBA", raw, "RGBA").astype(np.uint16)
        return pairs[:, :, 0::2] * np.uint16(256) + pairs[:, :, 1::2]
    ending = raw[-3:]
    own, other = (
        _pass(encoded, image.mode, raw, raw[:-3] + e).astype(np.uint16) for e in (ending, _OTHER_ENDING[ending])
    )
    # The unpacker of the file's own byte order gives the upper byte.
    return own * np.uint16(256) + other


def _pass(encoded: bytes, mode: str, raw: str, other: str) -> npt.NDArray[np.uint8]:
    """Pixels that Pillow unpacks by another raw mode than the file's."""
    with Image.open(io.BytesIO(encoded)) as image:
        file: Any = image  # of one of the kinds that have tiles
        file._mode = mode
        file.tile = [tile._replace(args=_with_raw_mode(tile.args, raw, other)) for tile in file.tile]
        image.load()
        return np.array(image)


def _with_raw_mode(args: Any, raw: str, other: str) -> Any:  # noqa: ANN401 - what a decoder of Pillow takes
    if isinstance(args, tuple):
        return (other, *args[1:]) if args[0] == raw else args
    return other if args == raw else args


def _raw_mode(image: Image.Image) -> str:
    opened: Any = image  # of a kind that has tiles
    args = opened.tile[0].args
    raw = args[0] if isinstance(args, tuple) else args
    if not isinstance(raw, str) or raw[-3:] not in _OTHER_ENDING:
        raise ValueError(f"raw mode {raw!r} of 16 bits")
    return raw
