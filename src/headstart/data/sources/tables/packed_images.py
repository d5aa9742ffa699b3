"""Images as bytes in a column of a .parquet -> one file of bytes, in which each can be read alone.

A parquet cannot give one cell without decoding the cells around it, so the column is copied once (see `copies`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headstart.data.sources.copies import file_key, local_copy

if TYPE_CHECKING:
    import pyarrow

_COUNT = struct.Struct("<q")
_ROWS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class PackedImages:
    """Where the images of a column lie."""

    path: Path
    offsets: npt.NDArray[np.int64]
    """(N + 1,) image i is the bytes offsets[i] .. offsets[i + 1]; an empty one is missing."""
    names: list[str | None]
    """(N,) what the column calls them."""


def holds_images(kind: pyarrow.DataType) -> bool:
    """Whether cells of a type are encoded images: bytes, or bytes with a path as Hugging Face's datasets has them."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        fields = {kind.field(at).name: kind.field(at).type for at in range(kind.num_fields)}
        return "bytes" in fields and holds_images(fields["bytes"])
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def packed_images(table: Path, column: str) -> PackedImages:
    """The images of a column, copied at the first call.

    Args:
        table: A .parquet.
        column: Of bytes, or of bytes with paths.

    Raises:
        OSError: the table cannot be read, or the copy not be written.
        DiskFullError: there is no room for the copy.
        ValueError: the table is damaged; pyarrow's errors are of this kind.
    """
    path = local_copy(f"{file_key(table)}\0{column}", lambda aside: _write(table, column, aside), suffix=".images")
    with path.open("rb") as file:
        file.seek(-_COUNT.size, 2)
        (count,) = _COUNT.unpack(file.read(_COUNT.size))
        file.seek(-_COUNT.size - 8 * (count + 1), 2)
        offsets = np.frombuffer(file.read(8 * (count + 1)), "<i8").astype(np.int64)
    return PackedImages(path, offsets, _names(table, column, count))


def _names(table: Path, column: str, count: int) -> list[str | None]:
    import pyarrow as pa
    import pyarrow.parquet

    content = pyarrow.parquet.ParquetFile(table)
    kind = content.schema_arrow.field(column).type
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return [None] * count
    paths: list[Any] = content.read(columns=[f"{column}.path"]).column(0).combine_chunks().field("path").to_pylist()
    return [path if isinstance(path, str) and path else None for path in paths]


def _write(table: Path, column: str, aside: Path) -> None:
    """Images one after the other, then where each begins, then their number."""
    ends = [0]
    with aside.open("wb") as file:
        for content in _cells(table, column):
            file.write(content)
            ends.append(ends[-1] + len(content))
        file.write(np.asarray(ends, "<i8").tobytes())
        file.write(_COUNT.pack(len(ends) - 1))


def _cells(table: Path, column: str) -> Iterator[bytes]:
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(table).iter_batches(batch_size=_ROWS_AT_ONCE, columns=[column]):
        for cell in batch.column(0).to_pylist():
            content = cell.get("bytes") if isinstance(cell, dict) else cell
            yield content or b""
