"""Features as files that other tools read: .npz for numpy, .parquet for tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.data.sources.reading import ImageRecord
from headstart.engine.store.index import Reader
from headstart.errors import DataError
from headstart.files import is_folder
from headstart.findings import Finding
from headstart.input_spec import ChannelMethod

FILE_SUFFIXES = (".npz", ".parquet")
_OTHER_FILES = frozenset(
    {
        *(".csv", ".tsv", ".json", ".jsonl", ".npy", ".txt", ".h5", ".hdf5", ".pt", ".pth", ".pkl", ".pickle"),
        *(".feather", ".arrow", ".safetensors", ".xlsx", ".zip", ".mat"),
    }
)
"""Suffixes of files in formats that are not written."""
_BLOCK_BYTES = 8 * 2**20


def is_feature_file(out: Path) -> bool:
    """Whether features go to a file; else `out` is the folder of a store.

    Raises:
        DataError: the name is that of a file in a format that is not written.
    """
    suffix = out.suffix.lower()
    if suffix in _OTHER_FILES and not is_folder(out):
        raise DataError(
            f"features are not written as {suffix} ({out})",
            expected=f"a file ending in {' or '.join(FILE_SUFFIXES)}, or a folder",
            remedy=f"write {out.with_suffix('.parquet')}",
        )
    return suffix in FILE_SUFFIXES


@dataclass(frozen=True, slots=True)
class EmbedFigures:
    """Figures of one filling of a cache."""

    store: str
    """Folder of the cache."""
    model: str
    cut_point: str
    """pooled, or the layer group before which the network is cut."""
    images: int
    views: int
    """Augmented views of each image, in addition to the plain one."""
    computed: int
    """Rows that were not cached before."""
    stored_before: int
    bytes: int
    """Of the spaces in which the rows lie."""
    seconds: float
    engine: str | None
    """Engine that computed rows; None where all were cached."""
    unreadable: dict[str, str]
    """Image id -> reason why it was left out."""
    findings: tuple[Finding, ...]
    channels_by: ChannelMethod | None = None
    """How the bands of the images reach the network; None: they have its channels."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "findings": [finding.to_dict() for finding in self.findings]}


@dataclass(frozen=True)
class Filled:
    """Features of all images in a cache."""

    records: tuple[ImageRecord, ...]
    plain: Reader
    augmented: Reader | None
    """All images in the first random view, then in the second, and so on."""
    figures: EmbedFigures


def write_features(filled: Filled, path: Path) -> None:
    """Write features with ids, labels and splits, whole or not at all.

    .npz: arrays features (N, F), ids, labels, splits, and views (V, N, F) if there are any.
    .parquet: columns image, label, split, view (0: plain, 1..V: random) and features, one list of F floats; written in
    blocks, so that memory stays flat.

    Raises:
        DataError: another suffix, or the file cannot be written.
    """
    if path.suffix.lower() not in FILE_SUFFIXES:
        raise DataError(f"{path} has another suffix", expected=f"one of {', '.join(FILE_SUFFIXES)}")
    aside = path.with_name(f".{path.name}.aside")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        (_write_npz if path.suffix.lower() == ".npz" else _write_parquet)(filled, aside)
        aside.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror})", remedy="choose another file") from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def _write_npz(filled: Filled, path: Path) -> None:
    features = matrix_of_reader(filled.plain)
    arrays: dict[str, Any] = {
        "features": features,
        "ids": np.array([record.id for record in filled.records]),
        "labels": np.array([record.label for record in filled.records]),
        "splits": np.array([record.split for record in filled.records]),
    }
    if filled.augmented is not None:
        arrays["views"] = matrix_of_reader(filled.augmented).reshape(-1, *features.shape)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def _write_parquet(filled: Filled, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    records, count = filled.records, len(filled.records)
    width = sum(int(np.prod(tensor.shape)) for tensor in filled.plain.tensors)
    columns = [(name, pa.string()) for name in ("image", "label", "split")]
    schema = pa.schema([*columns, ("view", pa.int32()), ("features", pa.list_(pa.float32(), width))])
    with pa.parquet.ParquetWriter(path, schema) as writer:
        for reader, first_view in ((filled.plain, 0), (filled.augmented, 1)):
            if reader is None:
                continue
            for positions, block in _flat_blocks(reader):
                some = [records[position % count] for position in positions]
                values = pa.array(block.reshape(-1), pa.float32())
                arrays = [
                    pa.array([record.id for record in some]),
                    pa.array([record.label for record in some]),
                    pa.array([record.split for record in some]),
                    pa.array(positions // count + first_view, pa.int32()),
                    pa.FixedSizeListArray.from_arrays(values, width),
                ]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _flat_blocks(reader: Reader) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    width = sum(int(np.prod(tensor.shape)) for tensor in reader.tensors)
    for positions, arrays in reader.blocks(max(1, _BLOCK_BYTES // (4 * width))):
        flat = [np.asarray(array, np.float32).reshape(len(positions), -1) for array in arrays]
        yield positions, flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)


def matrix_of_reader(reader: Reader) -> npt.NDArray[np.float32]:
    """All rows in memory: (N, F), spatial and several tensors flattened side by side."""
    width = sum(int(np.prod(tensor.shape)) for tensor in reader.tensors)
    found = np.empty((len(reader), width), np.float32)
    for positions, block in _flat_blocks(reader):
        found[positions] = block
    return found
