"""A .csv or .parquet of images and labels -> rows: every cell is text, every image has one row and one label."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from headstart.errors import DataError
from headstart.files import has_file

if TYPE_CHECKING:
    import pyarrow

TABLE_SUFFIXES = frozenset({".csv", ".parquet"})

NEEDED = ("image", "label")
OPTIONAL = ("split", "group", "sample_weight")
"""Columns are found by name; all others are ignored."""

ALIASES = {"file_name": "image"}
"""Column that stands for another where that is not there, as Hugging Face's metadata.csv has it."""

_SHAPE = "a table with the columns image and label, and if you like split and group (file_name may stand for image)"
_SEPARATORS = (";", "|", ",", "+", "/", "&", " ")
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_BETWEEN_ITEMS = re.compile(r"""[,;|]|(?<=['"])\s+(?=['"])""")
"""Of a list as Python, JSON or numpy write it."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_WHOLE_WITH_POINT = re.compile(r"[+-]?\d+\.0*")
_MISSING_VALUES = frozenset({"nan", "NaN", "NAN", "null", "NULL", "<NA>", "NaT", "#N/A"})
_MAYBE_MISSING = frozenset({"None", "none", "NONE", "n/a", "N/A"})
"""May be the name of a class, such as `None` for healthy; not where it has few rows."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One image of a table."""

    image: str
    """Its path as written, with forward slashes."""
    label: str
    split: str | None
    """train, val or test; None in a table without splits."""
    group: str | None
    """Images with the same one belong together; None belongs to nobody."""
    file: Path
    sample_weight: float | None = None
    """How much the image counts in training, > 0; None in a table without the column sample_weight."""


def read_rows(table: Path, splits: Mapping[str, str]) -> list[TableRow]:
    """One row for each image, in the table's order; a row that is repeated counts once.

    Args:
        table: A .csv (UTF-8, commas, a header) or a .parquet; its folder is where relative image paths start.
        splits: Value of the column split, in lower case -> split.

    Raises:
        DataError: columns or cells are missing, a file is not there, or an image has several labels.
    """
    columns = _columns(table)
    if not columns["image"]:
        raise DataError(f"{table} has a header but no rows", expected="one row for each image")
    for name in NEEDED:
        _refuse_empty_cells(table, columns, name)
    # A column that is empty throughout is that of a table which was written without splits.
    in_splits = any(map(str.strip, columns.get("split", ())))
    if in_splits:
        _refuse_unknown_splits(table, columns, splits)
    nothing = [""] * len(columns["image"])
    cells = zip(*(columns.get(name, nothing) for name in (*NEEDED, *OPTIONAL)), strict=True)
    rows = [
        TableRow(
            _name(image),
            label,
            splits[split.strip().lower()] if in_splits else None,
            group.strip() or None,
            _file(table.parent, image),
            _weight(table, image, weight) if "sample_weight" in columns else None,
        )
        for image, label, split, group, weight in cells
    ]
    rows = _one_row_an_image(table, rows)
    _refuse_joined_labels(table, rows)
    _refuse_stray_spaces(table, rows)
    _refuse_equal_numbers(table, rows)
    _refuse_missing_files(table, rows)
    return rows


def image_paths(table: Path) -> list[tuple[str, Path]]:
    """(path as written, file) of each row of a table, in its order; labels are not needed, and not looked at.

    Args:
        table: A .csv or .parquet with a column image (or file_name); its folder is where relative paths start.

    Raises:
        DataError: no such column, a cell of it is empty, or it cannot be read as a table.
    """
    columns = _columns(table, ("image",))
    _refuse_empty_cells(table, columns, "image")
    return [(image, _file(table.parent, image)) for image in columns["image"]]


def _columns(table: Path, needed: Sequence[str] = NEEDED) -> dict[str, list[str]]:
    """Column name -> cells as text, "" where there is none; only columns that mean something.

    Args:
        table: The file.
        needed: Columns that must be there; the optional ones are read beside all of NEEDED only.
    """
    read = _read_csv if table.suffix.lower() == ".csv" else _read_parquet
    optional = OPTIONAL if needed is NEEDED else ()
    try:
        names, column = read(table)
        written = {other: name for name, other in ALIASES.items() if name in names and other not in names}
        _refuse_columns(table, [*names, *written], needed)
        wanted = [name for name in (*needed, *optional) if name in names or name in written]
        return {name: _as_text(table, name, column(written.get(name, name))) for name in wanted}
    except (ValueError, OSError) as error:  # pyarrow's errors are kinds of these
        reason = (str(error).splitlines() or [""])[0][:200]
        raise DataError(
            f"{table} cannot be read as a table ({reason})",
            expected=_shape(needed),
            remedy="save it as UTF-8 with commas and a header" if read is _read_csv else "",
        ) from error


def _read_csv(table: Path) -> tuple[list[str], Callable[[str], pyarrow.ChunkedArray]]:
    """(names of all columns, name -> column); what means something is never read as a number."""
    import pyarrow as pa
    import pyarrow.csv

    content = pa.csv.read_csv(
        table,
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in (*NEEDED, *OPTIONAL, *ALIASES)}, strings_can_be_null=False
        ),
    )
    return content.column_names, content.column


def _read_parquet(table: Path) -> tuple[list[str], Callable[[str], pyarrow.ChunkedArray]]:
    """(names of all columns, name -> column)."""
    import pyarrow.parquet

    # Column by column: such tables may hold the images themselves, which are not needed here.
    content = pyarrow.parquet.ParquetFile(table)
    return content.schema_arrow.names, lambda name: content.read(columns=[name]).column(name)


def _as_text(table: Path, name: str, column: pyarrow.ChunkedArray) -> list[str]:
    """Cells of one column: text as it is, whole numbers in digits."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    texts: tuple[Callable[..., bool], ...] = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    numbers = (pa.types.is_floating,) if name == "sample_weight" else ()
    if not any(
        is_kind(kind) for is_kind in (*texts, *numbers, pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)
    ):
        raise DataError(
            f"the column {name} of {table} holds values of type {column.type}",
            expected="text or whole numbers" + ("; one label per image" if name == "label" else ""),
            remedy="write the column as text",
        )
    return [cell or "" for cell in column.cast(pa.string()).to_pylist()]


def _weight(table: Path, image: str, cell: str) -> float:
    """A cell of the column sample_weight.

    Raises:
        DataError: it is no number > 0.
    """
    try:
        weight = float(cell)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise DataError(
            f"the sample_weight of {image} in {table} is {cell!r}",
            expected="a number > 0 in every row",
            remedy="leave an image that is not to count out of the table",
        )
    return weight


def _name(image: str) -> str:
    return PurePosixPath(image.replace("\\", "/")).as_posix()


def _file(folder: Path, image: str) -> Path:
    """Where an image lies; a backslash separates folders unless it is part of a name."""
    as_written = folder / image
    return as_written if "\\" not in image or is_listed_file(as_written) else folder / image.replace("\\", "/")


def is_listed_file(file: Path) -> bool:
    """Whether it is a file."""
    return has_file(file)


def _shape(needed: Sequence[str]) -> str:
    return _SHAPE if needed is NEEDED else "a table with the column image (or file_name)"


def _refuse_columns(table: Path, names: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in names]
    if missing:
        other = len(names) == 1 and next((mark for mark in (";", "\t", "|") if mark in names[0]), None)
        raise DataError(
            f"{table} has no column {' and no column '.join(missing)}, only {', '.join(map(repr, names)) or 'nothing'}",
            expected=_shape(needed),
            remedy=f"separate the columns by commas, not by {other!r}" if other else "rename the columns",
        )
    read = (*NEEDED, *OPTIONAL) if needed is NEEDED else needed
    twice = [name for name, count in Counter(names).items() if count > 1 and name in read]
    if twice:
        raise DataError(f"{table} has several columns {twice[0]}", expected="one", remedy="rename the others")


def _refuse_empty_cells(table: Path, columns: Mapping[str, Sequence[str]], name: str) -> None:
    empty = [index for index, cell in enumerate(columns[name]) if not cell.strip()]
    if empty:
        what = "a path to an image" if name == "image" else "one label per image"
        raise DataError(
            f"{len(empty)} rows of {table} have no {name} (first: {_place(columns, empty[0])})",
            expected=what,
            remedy="fill them in or remove the rows",
        )


def _refuse_unknown_splits(table: Path, columns: Mapping[str, Sequence[str]], splits: Mapping[str, str]) -> None:
    cells = columns["split"]
    unknown = [index for index, cell in enumerate(cells) if cell.strip().lower() not in splits]
    if unknown:
        raise DataError(
            f"{len(unknown)} rows of {table} have an unknown split "
            f"(first: {cells[unknown[0]]!r}, {_place(columns, unknown[0])})",
            expected=f"one of {', '.join(splits)} in every row, or no column split",
        )


def _place(columns: Mapping[str, Sequence[str]], index: int) -> str:
    """Where a row stands, counted from 1, with its image where it names one."""
    image = columns["image"][index]
    return f"row {index + 1} below the header" + (f", {image}" if image.strip() else "")


def _one_row_an_image(table: Path, rows: Sequence[TableRow]) -> list[TableRow]:
    first: dict[str, TableRow] = {}
    # A row that says the same twice is harmless; rows that contradict each other are not.
    differing = [row for row in rows if first.setdefault(row.image, row) != row]
    for name in ("label", *OPTIONAL):
        torn = [row for row in differing if getattr(first[row.image], name) != getattr(row, name)]
        if torn:
            values = f"{getattr(first[torn[0].image], name)!r} and {getattr(torn[0], name)!r}"
            raise DataError(
                f"{len({row.image for row in torn})} images of {table} have several values of {name} "
                f"(first: {torn[0].image}: {values})",
                expected="one label per image; several labels are refused" if name == "label" else "one row an image",
                remedy="keep one row for each image",
            )
    return list(first.values())


def _refuse_joined_labels(table: Path, rows: Sequence[TableRow]) -> None:
    """A cell such as `cat;dog` is refused only where cat and dog are labels of their own: it may be a name."""
    labels = {_unwrapped(row.label) for row in rows}
    joined = [row for row in rows if _is_joined(_unwrapped(row.label), labels)]
    if joined:
        raise DataError(
            f"{len(joined)} rows of {table} hold several labels (first: {joined[0].image}: {joined[0].label!r})",
            expected="one label per image; several labels are refused",
            remedy="keep the one label that matters, leave these images out, or rename the class if it is one",
        )


def _unwrapped(label: str) -> str:
    """A label without the brackets and quotes of a list: `['cat']` -> `cat`."""
    text = label.strip()
    if len(text) < 3 or _BRACKETS.get(text[0]) != text[-1]:
        return label
    return ",".join(part.strip().strip("'\"").strip() for part in _BETWEEN_ITEMS.split(text[1:-1]))


def _is_joined(label: str, labels: set[str]) -> bool:
    """Whether a label is several others with one mark between them."""
    for mark in _SEPARATORS:
        parts = [part.strip() for part in (label.split() if mark == " " else label.split(mark))]
        if len(parts) > 1 and all(part in labels for part in parts):
            return True
    return False


def _refuse_equal_numbers(table: Path, rows: Sequence[TableRow]) -> None:
    """`1` and `1.0` are one number in two spellings; `01` and `1` may be two codes."""
    spellings: dict[float, list[str]] = defaultdict(list)
    for label in sorted({row.label for row in rows}):
        if _NUMBER.fullmatch(label.strip()):
            spellings[float(label)].append(label)
    for labels in spellings.values():
        if len(labels) > 1 and any(not label.strip().lstrip("+-").isdigit() for label in labels):
            raise DataError(
                f"{table} has the labels {' and '.join(map(repr, labels))}, which are the same number",
                expected="one spelling of each label",
                remedy="write whole numbers without a decimal point",
            )


def doubtful_labels(labels: Sequence[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Labels that may be none.

    Args:
        labels: (N,) one for each image.

    Returns:
        (label that programs write for a missing value -> images that have it, labels such as 1.0 if all are so).
    """
    counts = Counter(labels)
    # `none` may be a class of its own; as a missing value it is rarer than half of an average class.
    few = len(labels) / (2 * len(counts)) if counts else 0.0
    missing = {
        label: count
        for label, count in sorted(counts.items())
        if label.strip() in _MISSING_VALUES or (label.strip() in _MAYBE_MISSING and count < few)
    }
    others = sorted(label for label in counts if label not in missing)
    decimal = others if all(_WHOLE_WITH_POINT.fullmatch(label.strip()) for label in others) else []
    return missing, tuple(decimal)


def _refuse_stray_spaces(table: Path, rows: Sequence[TableRow]) -> None:
    labels = {row.label for row in rows}
    stray = sorted(label for label in labels if label != label.strip() and label.strip() in labels)
    if stray:
        raise DataError(
            f"{table} has the labels {stray[0].strip()!r} and {stray[0]!r}, which differ by spaces only",
            expected="one spelling of each label",
            remedy="remove the spaces",
        )


def _refuse_missing_files(table: Path, rows: Sequence[TableRow]) -> None:
    missing = [row.image for row in rows if not is_listed_file(row.file)]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(rows)} images of {table} do not exist (first: {missing[0][:200]})",
            expected=f"paths relative to {table.parent}, or absolute ones",
        )
