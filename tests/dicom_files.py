"""DICOM files of given pixels, as devices and archives write them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian

SECONDARY_CAPTURE = UID("1.2.840.10008.5.1.4.1.1.7")


def dicom_file(
    pixels: npt.NDArray[Any], *, syntax: UID = ExplicitVRLittleEndian, bits: int | None = None, **elements: Any
) -> bytes:
    """A file with one image.

    Args:
        pixels: (H, W) grey or (H, W, 3) RGB as stored; signed integers where the file is to say so.
        syntax: Byte order or compression.
        bits: Bits stored; all of the type if None.
        elements: Further or other elements by keyword.
    """
    compressed = syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if compressed else syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SECONDARY_CAPTURE
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.Modality = "DX"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data = np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder(order)).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    for name, value in elements.items():
        setattr(dataset, name, value)
    if compressed:
        dataset.compress(syntax, generate_instance_uid=False)
    return encoded_dataset(dataset)


def encoded_dataset(dataset: Dataset) -> bytes:
    """The bytes of a data set."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
