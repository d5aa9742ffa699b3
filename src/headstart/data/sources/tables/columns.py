"""Columns of a table: which one means what, and its cells as text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.data.sources.tables.files import TableFile
from headstart.errors import DataError

if TYPE_CHECKING:
    import pyarrow

NEEDED = ("image", "label")
OPTIONAL = ("split", "group", "sample_weight")
"""Columns are found by name; all others are ignored."""

IMAGE_COLUMNS = ("file_name", "filename", "filepath", "file_path", "image_path", "image_name", "path", "file", "img")
LABEL_COLUMNS = ("labels", "class", "class_name", "category", "target", "diagnosis")
"""Columns that stand for image and label where those are not there; `file_name` is that of Hugging Face's metadata.csv,
others are those of labelling tools."""

TABLE_SHAPE = (
    "a table with the columns image and label, and if you like split and group (file_name may stand for image)"
)
_SHOWN = 8


def meaning_columns(table: Path, names: Sequence[str], needed: Sequence[str]) -> dict[str, str]:
    """Column that means something -> its name in the table.

    Raises:
        DataError: a needed one is not there, or several could be it.
    """
    written = {name: name for name in (*NEEDED, *OPTIONAL) if name in names}
    for name, others in zip(NEEDED, (IMAGE_COLUMNS, LABEL_COLUMNS), strict=True):
        if name in written:
            continue
        found = [column for column in names if column.strip().lower() in (name, *others)]
        # Hugging Face's name is taken before all others, because it means nothing else.
        found = [column for column in found if column == "file_name"] or found
        if len(set(found)) > 1:
            raise DataError(
                f"{table} has no column {name}, and {' and '.join(map(repr, found))} could both be it",
                expected=TABLE_SHAPE,
                remedy=f"call one of them {name}",
            )
        if found:
            written[name] = found[0]
    missing = [name for name in needed if name not in written]
    if missing:
        shown = ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
        raise DataError(
            f"{table} has no column {' and no column '.join(missing)}, only {shown or 'nothing'}",
            expected=TABLE_SHAPE if "label" in needed else "a table with the column image (or file_name)",
            remedy="rename the columns",
        )
    twice = [column for column, count in Counter(names).items() if count > 1 and column in written.values()]
    if twice:
        raise DataError(f"{table} has several columns {twice[0]}", expected="one", remedy="rename the others")
    return written


def cells_as_text(table: Path, name: str, content: TableFile, written: str) -> list[str]:
    """Cells of one column: text as it is, whole numbers in digits, class numbers by the names that the file gives."""
    import pyarrow as pa

    column = content.column(written)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_floating(kind) and name != "sample_weight" and _all_whole(column):
        # Programs turn whole numbers into decimal ones where cells are missing.
        column = pa.chunked_array([pa.array(_whole_or_none(column.to_pylist()), pa.int64())])
        kind = column.type
    texts: tuple[Callable[..., bool], ...] = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    numbers = (pa.types.is_floating,) if name == "sample_weight" else ()
    if not any(
        is_kind(kind) for is_kind in (*texts, *numbers, pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)
    ):
        raise DataError(
            f"the column {written} of {table} holds values of type {column.type}",
            expected="text or whole numbers" + ("; one label per image" if name == "label" else ""),
            remedy="write the column as text",
        )
    known = content.class_names.get(written)
    if known is not None and pa.types.is_integer(kind):
        return [known[cell] if cell is not None and 0 <= cell < len(known) else "" for cell in column.to_pylist()]
    return [cell or "" for cell in column.cast(pa.string()).to_pylist()]


def _all_whole(column: pyarrow.ChunkedArray) -> bool:
    cells = [cell for cell in column.to_pylist() if cell is not None and not math.isnan(cell)]
    return bool(cells) and all(math.isfinite(cell) and cell.is_integer() and abs(cell) < 2**53 for cell in cells)


def _whole_or_none(cells: Sequence[float | None]) -> list[int | None]:
    return [None if cell is None or math.isnan(cell) else int(cell) for cell in cells]
