"""DICOM images: stored values, rescale slope, window, and inverted grey, by one rule for all files of a set.

Grey values become 0..1 in three steps (DICOM PS3.3, C.7.6.3, C.11.1 and C.11.2): the rescale slope and intercept, or
the table in their place; the window that `Decoding.window` names; for MONOCHROME1, where the lowest value is white, one
minus the result. Nothing depends on other files, and only `percentiles` depends on the image's own values.
"""

from __future__ import annotations

import functools
import io
import zlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.data.decoders.decoded import (
    Decoded,
    FaultKind,
    UnreadableImageError,
    check_size,
    chosen_bands,
    decoded_bands,
    decoded_integers,
    library_faults,
)
from headstart.errors import require
from headstart.input_spec import Decoding

_MARK_AT, _MARK = 128, b"DICM"
_GROUPS = (b"\x02\0", b"\x08\0")
"""Where a file without the mark may begin: file information, or identification."""
_TYPES = (b"UL", b"OB", b"UI", b"CS", b"SH", b"LO", b"DA", b"TM")
_DEFLATED = "1.2.840.10008.1.2.1.99"
_SYNTAX_ELEMENT = b"\x10\0"
_LONG_TYPES = (b"OB", b"OW", b"OF", b"SQ", b"UT", b"UN", b"UC", b"UR")
"""Types whose length has four bytes, behind two of padding."""
_LARGEST_DATASET_BYTES = 2**31
_PIECE_BYTES = 2**24
_INSTALL = {
    "JPEG-LS": "pip install pyjpegls",
    "JPEG 2000": 'pip install "headstart[medical]"',
    "JPEG Lossless": "pip install python-gdcm",
}
"""Start of the name of a compression -> what brings a decoder with a permissive licence."""
_PERCENTILES = (0.5, 99.5)


def is_dicom(encoded: bytes) -> bool:
    """Whether a file begins as DICOM, with or without its mark."""
    if encoded[_MARK_AT : _MARK_AT + 4] == _MARK:
        return True
    return encoded[:2] in _GROUPS and encoded[4:6] in _TYPES


def decode_dicom(encoded: bytes, decoding: Decoding) -> Decoded:
    """Decoded image of a DICOM file with one frame.

    Args:
        encoded: The file's bytes.
        decoding: Window, and bits of files that state no window.

    Raises:
        UnreadableImageError: as for every image; also for several frames, and where a package is missing.
    """
    with library_faults("a DICOM file, which needs a package"):
        dicom = _pydicom()
        _refuse_bomb(encoded)
        dataset = dicom.dcmread(io.BytesIO(encoded), force=True)
        _refuse(dataset)
        return _decoded(dataset, _stored(dataset), decoding)


def dicom_header(encoded: bytes) -> tuple[int, int, int] | None:
    """(width, height, channels) of a DICOM file without reading its pixels; None where it cannot be understood."""
    try:
        dataset = _pydicom().dcmread(io.BytesIO(encoded), force=True, stop_before_pixels=True)
        return int(dataset.Columns), int(dataset.Rows), int(dataset.get("SamplesPerPixel", 1))
    except Exception:  # as in `decode_dicom`
        return None


def dicom_text(encoded: bytes, keyword: str) -> str | None:
    """Value of a field of a DICOM file, such as PatientID; None where it has none, or cannot be understood."""
    try:
        _refuse_bomb(encoded)
        dataset = _pydicom().dcmread(io.BytesIO(encoded), force=True, stop_before_pixels=True, specific_tags=[keyword])
        return str(dataset.get(keyword, "") or "").strip("\0 ") or None
    except Exception:  # as in `decode_dicom`
        return None


@functools.cache
def _pydicom() -> ModuleType:
    """pydicom, without warnings of values that other programs wrote oddly.

    Raises:
        MissingExtraError: it is not installed.
    """
    module = require("pydicom", extra="medical")
    require("pydicom.pixels", extra="medical")
    # Its warnings would go to the terminal from threads, once for each of thousands of files.
    module.config.settings.reading_validation_mode = module.config.IGNORE
    return module


def _refuse_bomb(encoded: bytes) -> None:
    """Stop at a file that is compressed as a whole and unpacks to more than the memory may hold.

    Raises:
        UnreadableImageError: it does.
    """
    at, syntax = _MARK_AT + len(_MARK), b""
    while encoded[at : at + 2] == _GROUPS[0] and at + 12 <= len(encoded):
        is_long = encoded[at + 4 : at + 6] in _LONG_TYPES
        length = int.from_bytes(encoded[at + 8 : at + 12] if is_long else encoded[at + 6 : at + 8], "little")
        value = at + (12 if is_long else 8)
        if encoded[at + 2 : at + 4] == _SYNTAX_ELEMENT:
            syntax = encoded[value : value + length].rstrip(b"\0 ")
        at = value + length
    if syntax != _DEFLATED.encode():
        return
    stream, rest, size = zlib.decompressobj(-zlib.MAX_WBITS), encoded[at:], 0
    while rest and not stream.eof and size <= _LARGEST_DATASET_BYTES:
        size += len(stream.decompress(rest, _PIECE_BYTES))
        rest = stream.unconsumed_tail
    if size > _LARGEST_DATASET_BYTES:
        text = f"a compressed DICOM file of more than {_LARGEST_DATASET_BYTES:,} bytes unpacked"
        raise UnreadableImageError(text, FaultKind.TOO_LARGE)


def _refuse(dataset: Any) -> None:  # noqa: ANN401 - a data set of pydicom
    """Stop at files without an image, with several frames, or of a dangerous size."""
    if "PixelData" not in dataset:
        if "Rows" in dataset:
            raise UnreadableImageError("broken or truncated (a DICOM file whose pixels are missing)")
        what = dataset.get("Modality", "") or "no modality"
        raise UnreadableImageError(f"a DICOM file without pixels ({what})", FaultKind.NOT_AN_IMAGE)
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    if frames > 1:
        raise UnreadableImageError(
            f"a DICOM file of {frames} frames, and one image has one label: save the frames that show the class as "
            "files of their own",
            FaultKind.FRAMES,
        )
    check_size(int(dataset.Columns), int(dataset.Rows), int(dataset.get("SamplesPerPixel", 1)))


def _stored(dataset: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - a data set of pydicom
    """Height x width x channels as stored, decompressed; colour as RGB."""
    pixels = require("pydicom.pixels", extra="medical")
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        uid = require("pydicom.uid", extra="medical")
        implicit, little = dataset.original_encoding
        syntax = uid.ExplicitVRLittleEndian if not implicit else uid.ImplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = syntax if little else uid.ExplicitVRBigEndian
    plugin = ""
    if syntax.is_compressed and syntax != _DEFLATED:
        try:
            decoder = pixels.get_decoder(syntax)
        except NotImplementedError:  # of films, for one
            decoder = None
        if decoder is None or not decoder.is_available:
            name = syntax.name
            install = next((text for start, text in _INSTALL.items() if start in name), "convert it to another")
            raise UnreadableImageError(f"compressed with {name}: {install}", FaultKind.NEEDS_PACKAGE)
        # One decoder where several are installed, so that a file gives the same values on every machine.
        plugin = "pylibjpeg" if "2000" in syntax.name and "pylibjpeg" in decoder.available_plugins else ""
    values = np.asarray(pixels.pixel_array(dataset, decoding_plugin=plugin))
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        values = np.asarray(pixels.apply_color_lut(values, dataset))
    return values[:, :, None] if values.ndim == 2 else values


def _decoded(dataset: Any, stored: npt.NDArray[Any], decoding: Decoding) -> Decoded:  # noqa: ANN401
    if stored.shape[2] > 1:
        chosen = chosen_bands(stored, decoding)
        if stored.dtype.itemsize == 1 and chosen.shape[2] not in (1, 3):
            return decoded_bands(chosen / np.float64(255), "DICOM")
        if stored.dtype.itemsize == 1:
            return Decoded(np.repeat(chosen, 3, axis=2) if chosen.shape[2] == 1 else chosen, "DICOM")
        is_palette = dataset.PhotometricInterpretation == "PALETTE COLOR"
        white = 2 ** (8 * stored.dtype.itemsize) - 1 if is_palette else _top(dataset)
        return decoded_integers(chosen, "DICOM", white=white, bits=decoding.bits)
    pixels = require("pydicom.pixels", extra="medical")
    values = np.asarray(pixels.apply_modality_lut(stored[:, :, 0], dataset), np.float64)
    is_inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    window = decoding.window or "file"
    grey: npt.NDArray[np.float64] | None
    if window == "percentiles":
        grey = _between(values, *np.percentile(_without_padding(values, stored[:, :, 0], dataset), _PERCENTILES))
    elif window == "file":
        grey = _by_the_file(values, dataset)
    elif window == "full":
        grey = None
    else:
        grey = _by_window(values, *(float(number) for number in window.split(",")), function="LINEAR")
    if grey is None:
        return _full_range(dataset, values, decoding, is_inverted=is_inverted)
    return decoded_bands((1 - grey if is_inverted else grey)[:, :, None], "DICOM")


def _full_range(
    dataset: Any,  # noqa: ANN401 - a data set of pydicom
    values: npt.NDArray[np.float64],
    decoding: Decoding,
    *,
    is_inverted: bool,
) -> Decoded:
    """All values that the stored bits can hold, from 0 to 1; `bits` where they are plain numbers from 0 on."""
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    signed, top = int(dataset.get("PixelRepresentation", 0)), _top(dataset)
    if not signed and "ModalityLUTSequence" not in dataset and (slope, intercept) == (1, 0):
        found = decoded_integers(values.astype(np.int64)[:, :, None], "DICOM raw", white=top, bits=decoding.bits)
        if not is_inverted:
            return found
        shares = found.pixels[:, :, :1] / np.float64(255) if found.bands is None else found.bands.astype(np.float64)
        return decoded_bands(1 - shares, "DICOM raw", largest=found.largest, white=found.white)
    if "ModalityLUTSequence" in dataset:
        low, high = 0.0, float(2 ** int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1)
    else:
        low = -(top + 1) // 2 if signed else 0
        low, high = sorted((low * slope + intercept, (low + top) * slope + intercept))
    grey = _between(values, low, high)
    return decoded_bands((1 - grey if is_inverted else grey)[:, :, None], "DICOM raw")


def _by_the_file(values: npt.NDArray[np.float64], dataset: Any) -> npt.NDArray[np.float64] | None:  # noqa: ANN401
    """Grey 0..1 by the first table or window that the file states; None where it states none."""
    if dataset.get("VOILUTSequence"):
        pixels = require("pydicom.pixels", extra="medical")
        found = np.asarray(pixels.apply_voi(values.astype(np.int64), dataset), np.float64)
        return _between(found, 0, 2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    centre, width = (_first(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or width <= 0:
        return None
    return _by_window(values, centre, width, function=str(dataset.get("VOILUTFunction", "") or "LINEAR"))


def _first(value: Any) -> float | None:  # noqa: ANN401 - a value of pydicom
    if value is None or value == "":
        return None
    if isinstance(value, Sequence) and not isinstance(value, str):
        return float(value[0]) if len(value) else None
    return float(value)


def _by_window(
    values: npt.NDArray[np.float64], centre: float, width: float, *, function: str
) -> npt.NDArray[np.float64]:
    """Grey 0..1 by a window (DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    # The standard's window of one value has no slope.
    return np.clip((values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5, 0, 1)


def _between(values: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    """Values with `low` at 0 and `high` at 1; all 0 where these are one."""
    return np.clip((values - low) / (high - low if high > low else 1), 0, 1)


def _without_padding(
    values: npt.NDArray[np.float64],
    stored: npt.NDArray[Any],
    dataset: Any,  # noqa: ANN401
) -> npt.NDArray[np.float64]:
    """Values of pixels that show something; all where none does."""
    padding = dataset.get("PixelPaddingValue")
    shown = values[stored != padding] if padding is not None else values
    return shown if shown.size else values


def _top(dataset: Any) -> int:  # noqa: ANN401 - a data set of pydicom
    """Largest number that the stored bits can hold without a sign."""
    return int(2 ** int(dataset.get("BitsStored", dataset.BitsAllocated)) - 1)
