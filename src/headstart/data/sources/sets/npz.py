"""An .npz of arrays -> images: arrays called as by MedMNIST (`train_images`), as by Keras (`x_train`), or plainly."""

from __future__ import annotations

import shutil
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from headstart.data.sources.copies import file_key, local_copy
from headstart.data.sources.dataset import WHOLE, Dataset, ImageRecord, LabelPolicy
from headstart.data.sources.image_bytes import CHANNEL_MODES, InputError, encoded, is_band_array
from headstart.data.sources.source_findings import WITHOUT_LABELS
from headstart.errors import DataError

_SHAPE = (
    "arrays train_images (N, H, W) or (N, H, W, 3) of uint8 and train_labels (N,), val_ and test_ alike; "
    "or x_train and y_train; or images and labels"
)
_NAMES = (
    *((split, f"{split}_images", f"{split}_labels") for split in ("train", "val", "test")),
    *((split, f"x_{split}", f"y_{split}") for split in ("train", "val", "test")),
    (WHOLE, "images", "labels"),
    (WHOLE, "x", "y"),
    (WHOLE, "X", "y"),
)
"""(split, array of images, array of labels)."""
_LOCAL_HEADER = struct.Struct("<26xHH")
"""Of a zip member: how long its name and its extra field are, which follow."""


@dataclass(frozen=True, slots=True)
class ArrayImage:
    """One image of an array in a file."""

    path: Path
    offset: int
    """First byte of its pixels."""
    shape: tuple[int, ...]
    """Height, width and, where there are several, channels."""
    dtype: str = "u1"
    """Of its values, as numpy writes it."""

    def read(self) -> bytes:
        """The image as an uncompressed file.

        Raises:
            OSError: the file is gone or too short.
        """
        with self.path.open("rb") as file:
            file.seek(self.offset)
            content = file.read(bytes_of_image := _bytes_of(self.dtype, self.shape))
        if len(content) < bytes_of_image:
            raise OSError(f"{self.path} ends inside the image")
        try:
            return encoded(np.frombuffer(content, self.dtype).reshape(self.shape), name="the array")
        except InputError as error:
            raise OSError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Where the pixels of an array lie in a file."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: str


def _bytes_of(dtype: str, shape: Sequence[int]) -> int:
    return np.dtype(dtype).itemsize * int(np.prod(shape))


def open_npz(path: Path, source: str, *, labels: LabelPolicy = "needed") -> Dataset:
    """Images of an .npz; its arrays stay on disk.

    Args:
        path: Of the file.
        source: DATA as given.
        labels: Whether images without labels are refused.

    Raises:
        DataError: it cannot be read, or its arrays are not images and labels.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            held = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
            records = []
            for split, images, classes in _NAMES:
                if images in held:
                    records += _records(path, archive, split, images, classes if classes in held else None, labels)
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as an .npz ({error})", expected=_SHAPE) from error
    if not records:
        shown = ", ".join(sorted(held)[:8]) or "nothing"
        raise DataError(f"{path} holds no images, only {shown}", expected=_SHAPE, remedy="rename the arrays")
    splits = {record.split for record in records}
    if not any(record.label for record in records):
        records = [_whole(record) for record in records]
    elif "train" not in splits and splits != {WHOLE}:
        raise DataError(f"{path} has no training images", expected=_SHAPE)
    return Dataset(path.stem, source, tuple(sorted(records, key=lambda record: record.id)))


def _whole(record: ImageRecord) -> ImageRecord:
    return ImageRecord(record.id, "", WHOLE, location=record.location)


def _records(
    path: Path, archive: zipfile.ZipFile, split: str, images: str, classes: str | None, labels: LabelPolicy
) -> list[ImageRecord]:
    """The images of one array.

    Raises:
        DataError: the arrays do not fit each other, or are of another type or shape.
    """
    pixels = _pixels(path, archive, images)
    count, shape = pixels.shape[0], pixels.shape[1:]
    if classes is None and labels == "needed":
        raise DataError(f"{path} has {images} without labels", expected=_SHAPE, remedy=WITHOUT_LABELS)
    names = [""] * count if classes is None else _labels(path, archive, classes)
    if len(names) != count:
        raise DataError(f"{path} has {count:,} {images} and {len(names):,} {classes}", expected="one label per image")
    step = _bytes_of(pixels.dtype, shape)
    digits = len(str(max(0, count - 1)))
    return [
        ImageRecord(
            f"{images}/{at:0{digits}d}",
            name,
            split,
            location=ArrayImage(pixels.path, pixels.offset + at * step, shape, pixels.dtype),
        )
        for at, name in enumerate(names)
    ]


def _pixels(path: Path, archive: zipfile.ZipFile, name: str) -> _Pixels:
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        shape, is_fortran, dtype = _header(file)
        start = file.tell()
    what = f"{name} of {path} is an array of {dtype} with shape {shape}"
    is_photos = dtype == np.uint8 and (len(shape) == 3 or (len(shape) == 4 and shape[3] in CHANNEL_MODES))
    if not (is_photos or is_band_array(dtype, shape[1:])):
        raise DataError(
            what,
            expected="uint8 pixels 0..255 of shape (N, H, W), (N, H, W, 3) or (N, H, W, 4), or bands (N, H, W, n)",
        )
    if info.compress_type == zipfile.ZIP_STORED and not is_fortran:
        with path.open("rb") as packed:
            packed.seek(info.header_offset)
            lengths = _LOCAL_HEADER.unpack(packed.read(_LOCAL_HEADER.size))
        return _Pixels(path, info.header_offset + _LOCAL_HEADER.size + sum(lengths) + start, shape, dtype.str)

    def unpack(aside: Path) -> None:
        with archive.open(info) as file, aside.open("wb") as copy:
            if is_fortran:
                npy.write_array(copy, np.ascontiguousarray(npy.read_array(file, allow_pickle=False)))
            else:
                shutil.copyfileobj(file, copy)

    # Compressed arrays cannot be read image by image.
    unpacked = local_copy(f"{file_key(path)}\0{name}", unpack, suffix=".npy")
    with unpacked.open("rb") as file:
        _header(file)
        return _Pixels(unpacked, file.tell(), shape, dtype.str)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, is_fortran, dtype = read(file)
    return tuple(shape), bool(is_fortran), dtype


def _labels(path: Path, archive: zipfile.ZipFile, name: str) -> list[str]:
    """Labels as text.

    Raises:
        DataError: several labels an image, or values that are no names.
    """
    with archive.open(f"{name}.npy") as file:
        values: npt.NDArray[Any] = npy.read_array(file, allow_pickle=False)
    what = f"{name} of {path} is an array of {values.dtype} with shape {values.shape}"
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(what, expected="one label per image: (N,) or (N, 1)")
    if values.dtype.kind == "f" and (np.isfinite(values) & (values == np.round(values))).all():
        values = values.astype(np.int64)
    if values.dtype.kind not in "iubUS":
        raise DataError(what, expected="class numbers or text")
    return _texts(values.tolist())


def _texts(values: Sequence[object]) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
