"""Decoded images, and the reasons why a file is none: what every decoder gives back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.errors import MissingExtraError
from headstart.input_spec import MOST_BITS, Decoding

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""Height x width x 3, RGB, 0..255."""
Bands: TypeAlias = npt.NDArray[np.float32]
"""Height x width x bands, 0..1, where 1 is white; one band for grey."""

SMALLEST_SIDE_PIXELS = 8
"""Below this there is nothing to see."""
LARGEST_PIXELS = 89_478_485
"""Above this a small file can fill the memory; Pillow warns from the same number on."""
LARGEST_VALUES = 3 * LARGEST_PIXELS
"""Of all bands together."""
MOST_BANDS = 512
"""More than any sensor of images has."""

DECODE_VERSION = 4
"""Raised whenever the same bytes may become other pixels."""

_EIGHT_BIT_ERROR = 1e-3
"""Of a level of 8 bits: what rounding to float32 leaves, and far less than any level of a deeper file."""


class FaultKind(StrEnum):
    """Kind of reason why a file gives no pixels, as findings name it."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not an image"
    DAMAGED = "damaged"
    TOO_SMALL = "too small"
    TOO_LARGE = "too large"
    BANDS = "number of bands"
    FRAMES = "several frames"
    VALUES = "range of values"
    NEEDS_PACKAGE = "needs a package"
    NOT_READABLE = "cannot be opened"


class UnreadableImageError(Exception):
    """These bytes are no usable image; the message is the reason, without the file's name."""

    def __init__(self, reason: str, kind: FaultKind = FaultKind.DAMAGED) -> None:
        super().__init__(reason)
        self.kind = kind


@contextmanager
def library_faults(needs: str) -> Iterator[None]:
    """Errors of a library that decodes become the reason why there are no pixels.

    Args:
        needs: Which files need a package, where it is missing.

    Raises:
        UnreadableImageError: for whatever the library raised.
    """
    try:
        yield
    except (UnreadableImageError, MemoryError):
        raise
    except MissingExtraError as error:
        raise UnreadableImageError(f"{needs}: {error}", FaultKind.NEEDS_PACKAGE) from error
    except Exception as error:  # bytes that nobody meant make libraries raise nearly anything
        raise UnreadableImageError(f"broken or truncated ({error})") from error


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels, and what the file held before they had 8 bits."""

    pixels: Pixels
    kind: str
    """Name of the file kind, such as PNG; `DICOM raw` for one whose file states no window."""
    bands: Bands | None = None
    """Values of a file with more than 8 bits, not rounded to 8; None where the pixels hold all of them."""
    largest: int | None = None
    """Largest value of an image with more than 8 bits a channel, in its own units; None for others."""
    white: int = 2**MOST_BITS - 1
    """The value that becomes 255, in the same units."""
    deep_grey: bool = False
    """Whether `largest` is that of a grey image."""
    veiled: float = 0.0
    """Share of the pixels that are partly transparent: neither wholly nor not at all; 0..1."""
    noise: str | None = None
    """What the file holds too much or too little although its picture is complete; None for a clean file."""
    has_more_frames: bool = False
    """Whether the file holds further frames or pages, which are not read."""

    @property
    def values(self) -> Pixels | Bands:
        """What a network gets: the bands where there are some, else the pixels."""
        return self.pixels if self.bands is None else self.bands


def check_size(width: int, height: int, bands: int = 1) -> None:
    """Stop before pixels are unpacked if there are too few or too many.

    Raises:
        UnreadableImageError: with the size.
    """
    if width * height > LARGEST_PIXELS:
        raise UnreadableImageError(
            f"too many pixels ({width} x {height}; at most {LARGEST_PIXELS:,})", FaultKind.TOO_LARGE
        )
    if bands > MOST_BANDS or width * height * bands > LARGEST_VALUES:
        raise UnreadableImageError(
            f"too many values ({width} x {height} in {bands:,} bands; at most {LARGEST_VALUES:,} in {MOST_BANDS})",
            FaultKind.TOO_LARGE,
        )
    if min(width, height) < SMALLEST_SIDE_PIXELS:
        raise UnreadableImageError(
            f"{width} x {height} pixels; each side must have at least {SMALLEST_SIDE_PIXELS}", FaultKind.TOO_SMALL
        )


def upright(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Undo what a phone's tag says: 2 to 4 mirror or turn, 5 to 8 also exchange the sides.

    Args:
        pixels: Height x width x channels.
        orientation: EXIF's number, 1..8; others change nothing.
    """
    # Exchanged first, then mirrored: so two mirrorings serve all eight orientations.
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def chosen_bands(values: npt.NDArray[Any], decoding: Decoding) -> npt.NDArray[Any]:
    """The bands that an image is read as: those that were chosen, else all, if there are as many as expected.

    Args:
        values: Height x width x bands.
        decoding: Which bands, or how many are expected; without either, one or three.

    Raises:
        UnreadableImageError: there is no such band, or another number of them.
    """
    count, bands = values.shape[2], decoding.bands
    if bands is not None:
        if max(bands) > count:
            raise UnreadableImageError(f"{_bands(count)}, and band {max(bands)} was chosen", FaultKind.BANDS)
        return values[:, :, [band - 1 for band in bands]]
    if decoding.band_count is not None:
        refuse_other_count(count, decoding)
    elif count not in (1, 3):
        way_out = "--bands 3,2,1" if count > 2 else "--bands 1"
        raise UnreadableImageError(
            f"{_bands(count)}, and the network takes three: choose by number, such as {way_out}", FaultKind.BANDS
        )
    return values


def refuse_other_count(count: int, decoding: Decoding) -> None:
    """Refuse an image with another number of bands than the network was adapted to.

    Raises:
        UnreadableImageError: with both numbers.
    """
    if decoding.band_count not in (None, count):
        raise UnreadableImageError(f"{_bands(count)}, and {decoding.band_count} are expected", FaultKind.BANDS)


def _bands(count: int) -> str:
    return f"{count} band{'s' if count > 1 else ''}"


def shown_bands(count: int) -> list[int]:
    """Positions of the bands that stand for red, green and blue in pictures for people.

    Bands are numbered by rising wavelength as a rule: the third, second and first. Three are these in their order.

    Args:
        count: Number of bands.
    """
    if count == 3:
        return [0, 1, 2]
    return [2, 1, 0] if count > 3 else [0, 0, 0]


def picture_of(shares: npt.NDArray[Any]) -> Pixels:
    """Picture of an image of any number of bands, for people and for comparing images: height x width x 3.

    Reflectance uses a small part of its range: the largest value becomes white.

    Args:
        shares: Height x width x bands, 0..1.
    """
    shown = shares[:, :, shown_bands(shares.shape[2])].astype(np.float64)
    return np.rint(shown * (255 / max(float(shown.max()), 1e-12))).astype(np.uint8)


def over_white(values: npt.NDArray[Any], alpha: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], float]:
    """(values laid over white, share of the pixels that are partly transparent).

    Args:
        values: Height x width x bands, 0..1.
        alpha: Height x width, 0..1.
    """
    cover = alpha[:, :, None].astype(np.float64)
    return values * cover + (1 - cover), float(((alpha > 0) & (alpha < 1)).mean())


def decoded_bands(
    shares: npt.NDArray[Any], kind: str, *, largest: int | None = None, white: int = 2**MOST_BITS - 1
) -> Decoded:
    """Decoded image of values 0..1, with 8 bits where these hold them all.

    A file with more bits that holds the picture of one with 8 so gives the very pixels of that one.

    Args:
        shares: Height x width x bands.
        kind: Name of the file kind.
        largest: Of `Decoded`.
        white: Likewise.
    """
    if shares.shape[2] not in (1, 3):
        # Brightness against the whole range says nothing here: each band is normalised by its own statistics.
        return Decoded(picture_of(shares), kind, np.ascontiguousarray(shares, np.float32))
    levels = shares * 255
    rounded = np.rint(levels)
    is_shallow = bool(np.abs(levels - rounded).max() < _EIGHT_BIT_ERROR)
    pixels = rounded.astype(np.uint8)
    is_grey = pixels.shape[2] == 1
    return Decoded(
        np.repeat(pixels, 3, axis=2) if is_grey else pixels,
        kind,
        None if is_shallow else np.ascontiguousarray(shares, np.float32),
        largest,
        white,
        deep_grey=is_grey and largest is not None,
    )


def decoded_integers(values: npt.NDArray[Any], kind: str, *, white: int, bits: int | None) -> Decoded:
    """Decoded image of values with more than 8 bits: never stretched to its own range, but mapped from `white` to 1.

    Args:
        values: Height x width x bands, integers, or floats that stand for them or lie in 0..1.
        kind: Name of the file kind.
        white: The value of white that the file's type or header gives.
        bits: Bits that the user says are used: 2^bits - 1 is white. None leaves `white`.

    Raises:
        UnreadableImageError: values are negative or beyond white.
    """
    lowest, largest = float(values.min()), float(values.max())
    if values.dtype.kind == "f":
        if not (lowest >= 0 and largest <= 1):  # also refuses not-a-number
            text = f"float pixels {lowest:g}..{largest:g}; only 0..1 has one meaning"
            raise UnreadableImageError(text, FaultKind.VALUES)
        white = 2**MOST_BITS - 1
        return decoded_bands(values, kind, largest=round(largest * white), white=white)
    white = white if bits is None else int(2**bits) - 1
    # A value beyond the given bits would wrap or be clipped without a word.
    if lowest >= 0 and 2**MOST_BITS > largest > white:
        raise UnreadableImageError(
            f"its largest value is {largest:,.0f}, and {white.bit_length()} bits end at {white:,}; give more bits",
            FaultKind.VALUES,
        )
    if lowest < 0 or largest > white:
        text = f"pixels {lowest:g}..{largest:g} do not fit {white.bit_length()} bits"
        raise UnreadableImageError(text, FaultKind.VALUES)
    # By one scale for all images: stretched to its own range, a dark image would look like a bright one.
    return decoded_bands(values / np.float64(white), kind, largest=round(largest), white=white)
