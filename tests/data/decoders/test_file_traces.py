from __future__ import annotations

import io

import numpy as np
from PIL import Image

from headstart.data.decoders.file_traces import file_traces


def saved(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(buffer, **options)
    return buffer.getvalue()


def test_sides_bytes_and_kind_come_from_the_header():
    encoded = saved(format="PNG")
    found = file_traces(encoded)
    assert (found.width, found.height, found.encoded_bytes) == (10, 10, len(encoded))
    assert found.kind == "PNG RGB"
    assert found.compression == ""


def test_the_quality_of_a_jpeg_tells_it_from_another():
    kinds = {file_traces(saved(format="JPEG", quality=quality)).compression for quality in (75, 75, 76, 90)}
    assert len(kinds) == 3
    assert file_traces(saved(format="JPEG", progressive=True)).compression.endswith("progressive")


def test_resolution_and_program_are_tags():
    exif = Image.Exif()
    exif[305] = "scanner 2"
    assert "scanner 2" in file_traces(saved(format="JPEG", exif=exif)).tags
    assert file_traces(saved(format="JPEG", dpi=(300, 300))).tags != file_traces(saved(format="JPEG")).tags


def test_bytes_that_are_no_image_leave_their_number():
    found = file_traces(b"no image")
    assert (found.encoded_bytes, found.width, found.kind) == (8, 0, "")
