"""Traces that a program or device leaves in an image file besides the picture: format, size, compression, tags.

They are read from the header; no pixel is decoded. What identifies a person is not among them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from headstart.data.decoders.dicom import dicom_text, is_dicom

_DICOM_FIELDS = ("Manufacturer", "ManufacturerModelName", "Modality", "ViewPosition", "PhotometricInterpretation")
"""Fields that name a device or a way of acquisition."""
_ORIENTATION, _SOFTWARE, _MAKE, _MODEL = 274, 305, 271, 272
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError)
"""What Pillow raises at headers that nobody meant."""


@dataclass(frozen=True, slots=True)
class FileTraces:
    """Traces of one file."""

    encoded_bytes: int
    width: int
    """As stored, before a rotation tag is applied; 0 where the header cannot be read."""
    height: int
    kind: str
    """Format and mode, such as `JPEG L`."""
    compression: str
    """Quantisation, subsampling and order of a JPEG; empty for others."""
    tags: str
    """Resolution, colour profile, device and program that the file names."""


def file_traces(encoded: bytes) -> FileTraces:
    """The traces of one file.

    Args:
        encoded: The file's bytes.
    """
    if is_dicom(encoded):
        named = [dicom_text(encoded, field) or "" for field in _DICOM_FIELDS]
        width, height = (_number(dicom_text(encoded, field)) for field in ("Columns", "Rows"))
        return FileTraces(len(encoded), width, height, "DICOM", "", " ".join(named).strip())
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            width, height = image.size
            kind = f"{image.format} {image.mode}"
            return FileTraces(len(encoded), width, height, kind, _compression(image), _tags(image))
    except (*_BROKEN, Image.DecompressionBombError):
        return FileTraces(len(encoded), 0, 0, "", "", "")


def _compression(image: Image.Image) -> str:
    tables: dict[int, list[int]] = getattr(image, "quantization", None) or {}
    if not tables:
        return ""
    # The sum of the first table tells the quality of the usual encoders, and other tables from theirs.
    sums = "/".join(str(sum(table)) for table in tables.values())
    sampling = ",".join(f"{part[1]}x{part[2]}" for part in getattr(image, "layer", ()))
    order = "progressive" if image.info.get("progressive") else "baseline"
    return f"{sums} {sampling} {order}"


def _tags(image: Image.Image) -> str:
    info: dict[Any, Any] = image.info
    exif = image.getexif()
    parts = {
        "dpi": info.get("dpi"),
        "profile": len(info["icc_profile"]) if info.get("icc_profile") else None,
        "adobe": info.get("adobe"),
        "comment": str(info.get("comment", ""))[:40] or None,
        **{str(tag): exif.get(tag) for tag in (_ORIENTATION, _SOFTWARE, _MAKE, _MODEL)},
    }
    return " ".join(f"{name}={value}" for name, value in parts.items() if value is not None)


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0
