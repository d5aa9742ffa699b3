"""A .csv, .tsv, .jsonl or .parquet of images and labels -> rows: every cell is text, every image has one row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Protocol

from headstart.data.sources.dataset import LabelPolicy, Location
from headstart.data.sources.source_names import is_url
from headstart.data.sources.stores import StoredImage
from headstart.data.sources.tables.columns import NEEDED, OPTIONAL, TABLE_SHAPE, cells_as_text, meaning_columns
from headstart.data.sources.tables.files import TableFile, open_table
from headstart.data.sources.tables.label_cells import refuse_unclear_labels
from headstart.data.sources.tables.packed_images import holds_images, packed_images
from headstart.errors import DataError
from headstart.files import has_file


@dataclass(frozen=True, slots=True)
class TableRow:
    """One image of a table."""

    image: str
    """Its path as written, with forward slashes; of images in the table their own name or number."""
    label: str
    split: str | None
    """train, val or test; None in a table without splits."""
    group: str | None
    """Images with the same one belong together; None belongs to nobody."""
    file: Path | None
    """None where the image lies at a `location`."""
    sample_weight: float | None = None
    """How much the image counts in training, > 0; None in a table without the column sample_weight."""
    offset: int = 0
    """First byte inside `file`."""
    size: int | None = None
    """Number of bytes; None reads to the end."""
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a table, and an account of what is special about it."""

    rows: list[TableRow]
    unlabelled: tuple[str, ...] = ()
    """Images without a label, which are left out."""
    read_as: dict[str, str] = field(default_factory=dict)
    """Column -> the one it is read as, where it has another name than the usual."""


class ImageFolder(Protocol):
    """Where the paths of a table begin."""

    def find(self, image: str) -> Path | Location | None:
        """The place of an image; None if there is no such file."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A folder on this disk."""

    folder: Path

    def find(self, image: str) -> Path | None:
        """The file of an image; a backslash separates folders unless it is part of a name."""
        file = self.path(image)
        return file if is_listed_file(file) else None

    def path(self, image: str) -> Path:
        """Where the file of an image would be."""
        as_written = self.folder / image
        return as_written if "\\" not in image or is_listed_file(as_written) else self.folder / image.replace("\\", "/")


def read_table(
    table: Path,
    splits: Mapping[str, str],
    *,
    labels: LabelPolicy = "needed",
    folder: ImageFolder | None = None,
    group: str | None = None,
) -> Table:
    """One row for each image, in the table's order; a row that is repeated counts once.

    Rows without a label are left out and named, unless no row has one.

    Args:
        table: A .csv or .tsv (UTF-8, a header), a .jsonl or a .parquet, which may hold the images themselves.
        splits: Value of the column split, in lower case -> split.
        labels: Whether a table without labels is refused.
        folder: Where image paths start; the table's folder if None.
        group: Column that says which images belong together; `group` if None.

    Raises:
        DataError: columns or cells are missing, a file is not there, or an image has several labels.
    """
    opened = _opened(table, ("image",) if labels == "optional" else NEEDED, group=group)
    columns = opened.cells
    nothing = [""] * len(columns["image"])
    if not nothing:
        raise DataError(f"{table} has a header but no rows", expected="one row for each image")
    if not opened.packed:
        _refuse_empty_images(table, columns)
    written = columns.get("label", nothing)
    if not any(map(str.strip, written)):
        if labels == "needed":
            raise DataError(
                f"no row of {table} has a label",
                expected="one label per image",
                remedy="fill in the column label; without labels: headstart embed or predict",
            )
        written = nothing
    # A column that is empty throughout is that of a table which was written without splits.
    in_splits = any(map(str.strip, columns.get("split", ())))
    if in_splits:
        _refuse_unknown_splits(table, columns, splits)
    names = ("split", "group")
    cells = zip(columns["image"], written, *(columns.get(name, nothing) for name in names), strict=True)
    start = folder or LocalFolder(table.parent)
    weights = columns.get("sample_weight")
    rows, unlabelled = [], []
    for at, (image, label, split, together) in enumerate(cells):
        if not label.strip() and written is not nothing:
            unlabelled.append(_name(image))
            continue
        file, offset, size, location = opened.packed[at] if opened.packed else _placed(start, image)
        rows.append(
            TableRow(
                _name(image),
                label,
                splits[split.strip().lower()] if in_splits else None,
                together.strip() or None,
                file,
                _weight(table, image, weights[at]) if weights is not None else None,
                offset,
                size,
                location,
            )
        )
    rows = _one_row_an_image(table, rows)
    refuse_unclear_labels(table, {row.image: row.label for row in rows})
    _refuse_missing_files(table, rows)
    return Table(rows, tuple(unlabelled), opened.read_as)


def image_rows(table: Path) -> list[TableRow]:
    """The images of a table, in its order, those that are not there too; labels are not looked at.

    Args:
        table: With a column of images; its folder is where relative paths start.

    Raises:
        DataError: no such column, a cell of it is empty, or it cannot be read as a table.
    """
    opened = _opened(table, ("image",), others=())
    start = LocalFolder(table.parent)
    if not opened.packed:
        _refuse_empty_images(table, opened.cells)
    rows = []
    for at, image in enumerate(opened.cells["image"]):
        file, offset, size, location = opened.packed[at] if opened.packed else _placed(start, image)
        if file is None and location is None:
            file = start.path(image)
        rows.append(TableRow(image, "", None, None, file, None, offset, size, location))
    return rows


_Place = tuple[Path | None, int, int | None, Location | None]
"""File, first byte, number of bytes, and the location where there is no file."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a table says, column by column."""

    cells: dict[str, list[str]]
    """Column -> cells as text, "" where there is none; only columns that mean something."""
    read_as: dict[str, str]
    packed: list[_Place]
    """Place of each image where the table holds the images themselves."""


def _opened(
    table: Path, needed: Sequence[str], *, others: Sequence[str] = (*NEEDED, *OPTIONAL), group: str | None = None
) -> _Opened:
    """A table, with its needed columns and those of the others that it has.

    Raises:
        DataError: it cannot be read, or lacks a needed column.
    """
    try:
        content = open_table(table)
        found = meaning_columns(table, content.names, needed)
        written = {name: column for name, column in found.items() if name in needed or name in others}
        if group is not None:
            written["group"] = _column(table, content.names, group)
        packed = _packed(table, content, written["image"])
        cells = {
            name: cells_as_text(table, name, content, column) for name, column in written.items() if name != "image"
        }
        cells["image"] = _packed_names(packed) if packed else cells_as_text(table, "image", content, written["image"])
    except (ValueError, OSError) as error:  # pyarrow's errors are kinds of these
        reason = (str(error).splitlines() or [""])[0][:200]
        raise DataError(
            f"{table} cannot be read as a table ({reason})",
            expected=TABLE_SHAPE,
            remedy="save it as UTF-8 with a header" if table.suffix.lower() in (".csv", ".tsv") else "",
        ) from error
    usual = {*NEEDED, *OPTIONAL, "file_name", group}
    read_as = {column: name for name, column in written.items() if column not in usual}
    return _Opened(cells, read_as, [place for _, place in packed])


def _column(table: Path, names: Sequence[str], column: str) -> str:
    if names.count(column) != 1:
        raise DataError(f"{table} has no column {column!r}", expected=f"one of {', '.join(names)}")
    return column


def _packed(table: Path, content: TableFile, column: str) -> list[tuple[str | None, _Place]]:
    """(name, place) of each image that the table holds itself; empty where it holds paths.

    Raises:
        DataError: images are missing.
        ValueError, OSError: see `packed_images`.
    """
    if table.suffix.lower() != ".parquet" or not holds_images(content.kind(column)):
        return []
    found = packed_images(table, column)
    ends = found.offsets.tolist()
    places: list[_Place] = [(found.path, start, end - start, None) for start, end in pairwise(ends)]
    empty = [at for at, (_, _, size, _) in enumerate(places) if not size]
    if empty:
        raise DataError(
            f"{len(empty)} rows of {table} have no image (first: row {empty[0] + 1})",
            expected="the bytes of an image file in every row",
            remedy="fill them in or remove the rows",
        )
    return list(zip(found.names, places, strict=True))


def _packed_names(packed: Sequence[tuple[str | None, _Place]]) -> list[str]:
    """Names of images that the table holds itself: their own where all differ, else numbers, which never repeat."""
    own = [name for name, _ in packed if name is not None]
    if len(set(own)) == len(packed):
        return own
    return [f"{at:07d}" for at in range(len(packed))]


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


def _placed(folder: ImageFolder, image: str) -> _Place:
    """The place of an image; without file and location where there is none."""
    found = StoredImage(image) if is_url(image) else folder.find(image)
    return (found, 0, None, None) if isinstance(found, Path | None) else (None, 0, None, found)


def _name(image: str) -> str:
    return image if is_url(image) else PurePosixPath(image.replace("\\", "/")).as_posix()


def is_listed_file(file: Path) -> bool:
    """Whether it is a file."""
    return has_file(file)


def _refuse_empty_images(table: Path, columns: Mapping[str, Sequence[str]]) -> None:
    empty = [index for index, cell in enumerate(columns["image"]) if not cell.strip()]
    if empty:
        raise DataError(
            f"{len(empty)} rows of {table} have no image (first: {_place(columns, empty[0])})",
            expected="a path to an image",
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


def _refuse_missing_files(table: Path, rows: Sequence[TableRow]) -> None:
    missing = [row.image for row in rows if row.file is None and row.location is None]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(rows)} images of {table} do not exist (first: {missing[0][:200]})",
            expected=f"paths relative to {table.parent}, or absolute ones",
        )
