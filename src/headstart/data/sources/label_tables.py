"""Tables with labels next to class folders, which may give other labels than the folders."""

from __future__ import annotations

import csv
import json
from pathlib import Path, PurePosixPath

from headstart.data.sources.tables import TABLE_SUFFIXES

_FILE_COLUMNS = frozenset(
    {
        *("image", "images", "image_id", "image_path", "img", "file", "filename", "file_name", "filepath"),
        *("path", "name", "id"),
    }
)
_LABEL_COLUMNS = frozenset(
    {
        *("label", "labels", "class", "classes", "category", "target", "diagnosis"),
    }
)
_MOST_TABLES = 20
_LINE_BYTES = 65_536


def label_tables_next_to(root: Path) -> tuple[str, ...]:
    """Tables at the top of a folder, or in a folder there, with a column of files and a column of labels.

    Returns:
        Their paths inside the folder, in order.
    """
    try:
        tables = sorted(
            {path for suffix in _READERS for path in (*root.glob(f"*{suffix}"), *root.glob(f"*/*{suffix}"))}
        )
    except OSError:
        return ()
    found = []
    for table in tables[:_MOST_TABLES]:
        columns = _columns(table)
        label = next((name for name in columns if name.strip().lower() in _LABEL_COLUMNS), None)
        if label is not None and any(name.strip().lower() in _FILE_COLUMNS for name in columns):
            found.append(table.relative_to(root).as_posix())
    return tuple(found)


def table_remedy(table: str) -> str:
    """How to train on the labels of a table."""
    if PurePosixPath(table).suffix in TABLE_SUFFIXES:
        return f"pass {table} as DATA"
    return f"save {table} as a .csv with the columns image and label and pass that as DATA"


def _columns(table: Path) -> list[str]:
    """Names of the columns; none where it cannot be read."""
    try:
        return _READERS[table.suffix](table)
    except (OSError, ValueError):  # what pyarrow and json raise are kinds of these; bytes that are no UTF-8 too
        return []


def _first_line(table: Path) -> str:
    with table.open(encoding="utf-8-sig") as file:
        return file.readline(_LINE_BYTES)


def _csv(table: Path) -> list[str]:
    line = _first_line(table)
    return max((next(csv.reader([line], delimiter=mark), []) for mark in ",;\t|"), key=len)


def _json_lines(table: Path) -> list[str]:
    row = json.loads(_first_line(table))
    return list(row) if isinstance(row, dict) else []


def _parquet(table: Path) -> list[str]:
    import pyarrow.parquet

    return list(pyarrow.parquet.read_schema(table).names)


_READERS = {".csv": _csv, ".tsv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}
