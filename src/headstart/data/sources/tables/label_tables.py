"""Tables with labels next to class folders, which may give other labels than the folders."""

from __future__ import annotations

from pathlib import Path

from headstart.data.sources.tables.columns import IMAGE_COLUMNS, LABEL_COLUMNS
from headstart.data.sources.tables.files import TABLE_SUFFIXES, column_names

_FILE_COLUMNS = frozenset({"image", *IMAGE_COLUMNS, "images", "image_id", "name", "id"})
_LABEL_COLUMNS = frozenset({"label", *LABEL_COLUMNS, "classes"})
_MOST_TABLES = 20


def label_tables_next_to(root: Path) -> tuple[str, ...]:
    """Tables at the top of a folder, or in a folder there, with a column of files and a column of labels.

    Returns:
        Their paths inside the folder, in order.
    """
    try:
        tables = sorted(
            {path for suffix in TABLE_SUFFIXES for path in (*root.glob(f"*{suffix}"), *root.glob(f"*/*{suffix}"))}
        )
    except OSError:
        return ()
    found = []
    for table in tables[:_MOST_TABLES]:
        columns = [name.strip().lower() for name in _columns(table)]
        if not _LABEL_COLUMNS.isdisjoint(columns) and not _FILE_COLUMNS.isdisjoint(columns):
            found.append(table.relative_to(root).as_posix())
    return tuple(found)


def table_remedy(table: str) -> str:
    """How to train on the labels of a table."""
    return f"pass {table} as DATA"


def _columns(table: Path) -> list[str]:
    """Names of the columns; none where it cannot be read."""
    try:
        return column_names(table)
    except (OSError, ValueError):  # what pyarrow and json raise are kinds of these; bytes that are no UTF-8 too
        return []
