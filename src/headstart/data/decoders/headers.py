"""Width, height, channels and origin of an image from its header, without decoding pixels."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from PIL import Image, UnidentifiedImageError

from headstart.data.decoders.dicom import dicom_header, is_dicom

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_WIDTH, _HEIGHT, _SAMPLES = 256, 257, 277
"""Tags of TIFF."""
_SHORT, _LONG = 3, 4
"""Types of TIFF's values: 2 and 4 bytes."""
_GEOREFERENCES = frozenset({33550, 33922, 34264, 34735})
"""Tags of GeoTIFF: pixel scale, tie points, transformation, coordinate system."""
_ENTRY_BYTES = 12
_MOST_ENTRIES = 4096


FileOrigin = Literal["any", "dicom", "geotiff"]
"""What the kind of file says of the device: dicom is a clinical one, geotiff has a place on a map."""


@dataclass(frozen=True, slots=True)
class Header:
    """Width, height, channels and origin in the header of an image file."""

    width: int
    """Pixels, before a phone's rotation tag."""
    height: int
    channels: int
    """1 for grey, 3 for all kinds of colour (transparency is none), more for bands of a sensor."""
    origin: FileOrigin = "any"

    @property
    def shorter(self) -> int:
        """Shorter side in pixels."""
        return min(self.width, self.height)


def read_header(encoded: bytes) -> Header | None:
    """Read the header of an image; None where it is not one that can be understood.

    What Pillow finds odd is for `headstart check` to say.
    """
    if is_dicom(encoded):
        found = dicom_header(encoded)
        return None if found is None else Header(*found, origin="dicom")
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning), Image.open(io.BytesIO(encoded)) as image:
            origin = _origin(getattr(image, "tag_v2", ()))
            return Header(*image.size, 1 if image.mode in _GREY_MODES else 3, origin)
    except UnidentifiedImageError:
        return _tiff_header(encoded)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None


def _origin(tags: Iterable[int]) -> FileOrigin:
    return "any" if _GEOREFERENCES.isdisjoint(tags) else "geotiff"


def _tiff_header(encoded: bytes) -> Header | None:
    """The first page of a plain TIFF: Pillow refuses those with many bands."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(encoded[:4])
    if order is None:
        return None
    tags: dict[int, int] = {}
    there: set[int] = set()
    try:
        (offset,) = struct.unpack_from(f"{order}I", encoded, 4)
        (count,) = struct.unpack_from(f"{order}H", encoded, offset)
        for entry in range(min(count, _MOST_ENTRIES)):
            at = offset + 2 + entry * _ENTRY_BYTES
            tag, kind, _ = struct.unpack_from(f"{order}HHI", encoded, at)
            there.add(tag)
            if kind in (_SHORT, _LONG):
                (tags[tag],) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", encoded, at + 8)
    except struct.error:
        return None
    if not tags.get(_WIDTH) or not tags.get(_HEIGHT):
        return None
    return Header(tags[_WIDTH], tags[_HEIGHT], tags.get(_SAMPLES, 1), _origin(there))
