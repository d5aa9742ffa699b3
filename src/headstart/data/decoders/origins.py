"""Where an image comes from, as its file says it: patient and study of a DICOM file, camera and time of a photo.

What identifies a patient is kept as a hash only, to tell patients apart.
"""

from __future__ import annotations

import datetime
import hashlib
import io
from dataclasses import dataclass

from PIL import Image

from headstart.data.decoders.dicom import dicom_text, is_dicom

PATIENT, STUDY = "PatientID", "StudyInstanceUID"
_MAKE, _MODEL, _DETAILS = 271, 272, 0x8769
_TAKEN, _TAKEN_FRACTION, _SERIAL_NUMBER = 36867, 37521, 42033
_TAGS_OF_CAMERA = (_MAKE, _MODEL)
_MARKS = {b"\xff\xd8\xff": b"Exif\0\0", b"\x89PNG": b"eXIf", b"RIFF": b"EXIF"}
"""Start of a file -> what it holds where it has EXIF; without it nothing is parsed."""
_HASH_BYTES = 8
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError)
"""What Pillow raises at tags that nobody meant."""


@dataclass(frozen=True, slots=True)
class ImageOrigin:
    """ImageOrigin of an image; empty where its file does not say it."""

    patient: bytes = b""
    """Hash of the PatientID of a DICOM file."""
    study: bytes = b""
    """Hash of the StudyInstanceUID of a DICOM file."""
    camera: bytes = b""
    """Hash of maker, model and serial number of the camera of a photo."""
    moment: float | None = None
    """When a photo was taken, in seconds by the clock of its camera."""


def origin_of(encoded: bytes) -> ImageOrigin:
    """ImageOrigin of an image by its header; no pixel is decoded.

    Args:
        encoded: The file's bytes.
    """
    if is_dicom(encoded):
        patient, study = (dicom_text(encoded, keyword) for keyword in (PATIENT, STUDY))
        return ImageOrigin(_hashed(patient), _hashed(study))
    taken = _taken(encoded)
    return ImageOrigin() if taken is None else ImageOrigin(camera=_hashed(taken[0]), moment=taken[1])


def _taken(encoded: bytes) -> tuple[str, float] | None:
    """(camera, seconds) of a JPEG, PNG or WebP; None where its EXIF has no time."""
    mark = next((mark for start, mark in _MARKS.items() if encoded.startswith(start)), None)
    if mark is None or mark not in encoded:
        return None
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            exif = image.getexif()
            details = exif.get_ifd(_DETAILS)
        text = str(details[_TAKEN]).strip("\0 ")
        moment = datetime.datetime.strptime(text, "%Y:%m:%d %H:%M:%S").replace(tzinfo=datetime.UTC)
        fraction = str(details.get(_TAKEN_FRACTION, "")).strip("\0 ")
        seconds = moment.timestamp() + (float(f"0.{fraction}") if fraction.isdigit() else 0.0)
        camera = [str(exif.get(tag, "")).strip("\0 ") for tag in _TAGS_OF_CAMERA]
        return "\n".join([*camera, str(details.get(_SERIAL_NUMBER, "")).strip("\0 ")]), seconds
    except (*_BROKEN, Image.DecompressionBombError):
        return None


def _hashed(text: str | None) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES).digest() if text else b""
