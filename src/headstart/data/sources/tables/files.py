"""Files of tables (.csv, .tsv, .jsonl, .parquet) -> names of columns, and columns by name."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".parquet"})

_MARKS = (",", ";", "\t", "|")
_HEADER_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class TableFile:
    """An opened table."""

    names: list[str]
    """Of all columns, in order."""
    column: Callable[[str], pyarrow.ChunkedArray]
    """Name -> column."""
    kind: Callable[[str], pyarrow.DataType]
    """Name -> type of its cells; the column is not read where the file says it."""
    class_names: dict[str, list[str]] = field(default_factory=dict)
    """Column of class numbers -> their names, where the file says them, as those of Hugging Face do."""


def open_table(table: Path) -> TableFile:
    """The columns of a table; cells of text files are never read as numbers.

    Args:
        table: The file; a .csv may have commas, semicolons, tabs or bars between its cells.

    Raises:
        ValueError: it cannot be read as a table; pyarrow's errors are of this kind.
        OSError: it cannot be opened.
    """
    suffix = table.suffix.lower()
    if suffix == ".parquet":
        return _parquet(table)
    return _json_lines(table) if suffix == ".jsonl" else _csv(table)


def column_names(table: Path) -> list[str]:
    """Names of the columns; of a .jsonl those of its first line.

    Raises:
        ValueError: it cannot be read as a table.
        OSError: it cannot be opened.
    """
    suffix = table.suffix.lower()
    if suffix == ".parquet":
        import pyarrow.parquet

        return list(pyarrow.parquet.read_schema(table).names)
    header = _header(table)
    if suffix == ".jsonl":
        row = json.loads(header)
        return list(row) if isinstance(row, dict) else []
    return next(csv.reader([header], delimiter=mark_between(header)), [])


def mark_between(header: str) -> str:
    """The mark between the cells of a .csv: the one that divides its header into most names."""
    return max(_MARKS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))


def _header(table: Path) -> str:
    """The first line of text.

    Raises:
        ValueError: it is no UTF-8.
    """
    with table.open(encoding="utf-8-sig") as file:
        return file.readline(_HEADER_BYTES)


def _csv(table: Path) -> TableFile:
    import pyarrow as pa
    import pyarrow.csv

    header = _header(table)
    mark = mark_between(header)
    content = pa.csv.read_csv(
        table,
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, delimiter=mark),
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in next(csv.reader([header], delimiter=mark), [])},
            strings_can_be_null=False,
        ),
    )
    return TableFile(content.column_names, content.column, lambda name: content.column(name).type)


def _json_lines(table: Path) -> TableFile:
    import pyarrow as pa

    rows = []
    with table.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError(f"line {number} is no object")
                rows.append(row)
    # Not by pyarrow's own reader, which turns text that looks like a date into one.
    names = list(dict.fromkeys(name for row in rows for name in row))

    def column(name: str) -> pyarrow.ChunkedArray:
        return pa.chunked_array([pa.array([row.get(name) for row in rows])])

    return TableFile(names, column, lambda name: column(name).type)


def _parquet(table: Path) -> TableFile:
    import pyarrow.parquet

    # Column by column: such tables may hold the images themselves.
    content = pyarrow.parquet.ParquetFile(table)
    schema = content.schema_arrow
    return TableFile(
        list(schema.names),
        lambda name: content.read(columns=[name]).column(name),
        lambda name: schema.field(name).type,
        _class_names(schema.metadata),
    )


def _class_names(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """Names of class numbers, as Hugging Face's datasets writes them into the schema."""
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (KeyError, TypeError, ValueError):
        return {}
