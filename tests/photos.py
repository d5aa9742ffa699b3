"""Photos with the EXIF of a camera."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

TAKEN, FRACTION, MAKE, MODEL, DETAILS = 36867, 37521, 271, 272, 0x8769


def photo(taken: str | None, *, camera: str = "X100", fraction: str = "", kind: str = "JPEG", seed: int = 0) -> bytes:
    """A photo of noise.

    Args:
        taken: Such as 2026:05:01 10:00:00; None: EXIF without a time.
        camera: Model.
        fraction: Of a second, as digits.
        kind: Pillow's name of the format.
        seed: Of the noise.
    """
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = "Maker", camera
    if taken is not None:
        exif.get_ifd(DETAILS).update({TAKEN: taken} | ({FRACTION: fraction} if fraction else {}))
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 48, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, kind, exif=exif)
    return buffer.getvalue()
