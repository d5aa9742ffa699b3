"""A folder whose labels stand in tables: images with a metadata.csv, or tables that hold the images themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from headstart.data.sources.dataset import WHOLE, Account, Dataset, ImageRecord, LabelPolicy
from headstart.data.sources.split_names import SPLIT_FOLDERS, split_in
from headstart.data.sources.tables.label_cells import doubtful_labels
from headstart.data.sources.tables.rows import ImageFolder, Table, read_table
from headstart.errors import DataError


def open_table_file(
    path: Path,
    source: str,
    *,
    labels: LabelPolicy = "needed",
    folder: ImageFolder | None = None,
    name: str = "",
    group: str | None = None,
) -> Dataset:
    """Images of one table.

    Args:
        path: Of the table.
        source: DATA as given.
        labels: Whether a table without labels is refused.
        folder: Where image paths start; the table's folder if None.
        name: Of the data set; that of the table if empty.
        group: Column that says which images belong together; `group` if None.

    Raises:
        DataError: see `read_table`.
    """
    table = read_table(path, SPLIT_FOLDERS, labels=labels, folder=folder, group=group)
    return _dataset(name or path.stem, source, [_records(table, "", None)], [table])


def open_tables(
    root: Path, tables: Sequence[str], source: str, images: Sequence[PurePosixPath], *, group: str | None = None
) -> Dataset:
    """Images of a folder by the tables in it; a table in a split folder, or called like a split, is that split.

    Args:
        root: The folder.
        tables: Paths inside it.
        source: DATA as given.
        images: Names of the image files in the folder; those that no table names are left out and named.
        group: Column that says which images belong together; `group` if None.

    Raises:
        DataError: several tables could be meant, or see `read_table`.
    """
    splits: dict[str, str | None] = dict.fromkeys(tables)
    if len(tables) > 1:
        splits = {name: _split_of(name) for name in tables}
        if None in splits.values() or "train" not in splits.values() or len(set(splits.values())) < 2:
            raise DataError(
                f"{source} holds several tables with labels ({', '.join(tables[:5])})",
                expected="one, or tables called train, val and test",
                remedy=f"pass the one that is meant as DATA: {root / tables[0]}",
            )
    read, records, named = [], [], set()
    for name, split in splits.items():
        table = read_table(root / name, SPLIT_FOLDERS, group=group)
        parent = PurePosixPath(name).parent
        above = "" if parent == PurePosixPath() else f"{parent.as_posix()}/"
        named |= {(root / name).parent / row.image for row in table.rows}
        named |= {(root / name).parent / image for image in table.unlabelled}
        read.append(replace(table, unlabelled=tuple(f"{above}{image}" for image in table.unlabelled)))
        # Images in the tables themselves are called by their numbers, which begin anew in each.
        packed = any(row.offset or row.size is not None for row in table.rows)
        stem = f"{PurePosixPath(name).stem}/" if packed and len(tables) > 1 else ""
        records.append(_records(table, f"{above}{stem}", split))
    without = sorted(image.as_posix() for image in images if root / image not in named)
    short = root.resolve().name
    return _dataset(short, source, records, read, without=without)


def _split_of(name: str) -> str | None:
    """Split of a table by its own name, else by that of its folder."""
    path = PurePosixPath(name)
    return split_in(path.stem) or (split_in(path.parent.name) if path.parent.name else None)


def _records(table: Table, prefix: str, split: str | None) -> list[ImageRecord]:
    return [
        ImageRecord(
            f"{prefix}{row.image}",
            row.label,
            split or row.split or WHOLE,
            row.file,
            row.offset,
            row.size,
            group=row.group,
            weight=row.sample_weight,
            location=row.location,
        )
        for row in table.rows
    ]


def _dataset(
    name: str,
    source: str,
    parts: Sequence[Sequence[ImageRecord]],
    tables: Sequence[Table],
    *,
    without: Sequence[str] = (),
) -> Dataset:
    records = [record for part in parts for record in part]
    missing, decimal = doubtful_labels([record.label for record in records])
    account = Account(
        missing_value_labels=missing,
        decimal_labels=decimal,
        unlabelled=tuple(sorted([*without, *(image for table in tables for image in table.unlabelled)])),
        columns_read_as={column: meant for table in tables for column, meant in table.read_as.items()},
    )
    return Dataset(name, source, tuple(sorted(records, key=lambda record: record.id)), account)
