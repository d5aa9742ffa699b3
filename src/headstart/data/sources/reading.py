"""DATA -> Dataset: class folders, split folders, a tar of either, a table, or the embedded digits."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

from PIL import Image

from headstart.data.sources.archives import walk_tar
from headstart.data.sources.dataset import WHOLE, Account, Dataset, ImageRecord
from headstart.data.sources.label_tables import label_tables_next_to, table_remedy
from headstart.data.sources.layout import SHAPES, dataset_of
from headstart.data.sources.split_names import SPLIT_FOLDERS
from headstart.data.sources.tables import TABLE_SUFFIXES, doubtful_labels, read_rows
from headstart.data.sources.walk import walk_folder
from headstart.errors import DataError, require
from headstart.files import is_file, is_folder, is_there

DIGITS = "digits"
"""Name of the embedded set."""
EMBEDDED_DIGITS = "headstart:digits"
"""The same where a folder or file is called digits too."""


def is_digits(source: str) -> bool:
    """Whether DATA names the embedded set."""
    return source in (DIGITS, EMBEDDED_DIGITS)


def open_source(source: str) -> Dataset:
    """Find the images of DATA; reads names, and the first bytes of files whose name does not say what they are.

    Raises:
        DataError: there is nothing there, or nothing that looks like labelled images.
    """
    path = Path(source)
    if is_digits(source):
        if source == DIGITS and is_there(path):
            raise DataError(
                f"{DIGITS} is the name of the embedded set, and {path.resolve()} is there too",
                remedy=f"write ./{DIGITS} for what is there, or {EMBEDDED_DIGITS} for the embedded set",
            )
        return _digits()
    if is_folder(path):
        return _folder(path, source)
    if is_file(path) and path.suffix.lower() in TABLE_SUFFIXES:
        return _table(path, source)
    if is_file(path) and tarfile.is_tarfile(path):
        return dataset_of(path.name.split(".")[0], source, walk_tar(path), "archive")
    if is_there(path):
        raise DataError(f"{source} is a file headstart cannot open as images", expected=SHAPES)
    if path.is_symlink():
        raise DataError(f"{source} is a link that leads nowhere ({path.readlink()})", expected=SHAPES)
    raise DataError(f"{source} does not exist", expected=SHAPES)


def _folder(path: Path, source: str) -> Dataset:
    tables = label_tables_next_to(path)
    try:
        dataset = dataset_of(path.resolve().name, source, walk_folder(path), "folder")
    except DataError as error:
        if not tables:
            raise
        remedies = filter(None, (error.remedy, f"or, if its labels are the ones you mean, {table_remedy(tables[0])}"))
        raise DataError(error.found, expected=error.expected, remedy="; ".join(remedies)) from error
    return replace(dataset, account=replace(dataset.account, label_tables=tables))


def _table(path: Path, source: str) -> Dataset:
    rows = read_rows(path, SPLIT_FOLDERS)
    records = [
        ImageRecord(row.image, row.label, row.split or WHOLE, row.file, group=row.group, weight=row.sample_weight)
        for row in rows
    ]
    missing, decimal = doubtful_labels([row.label for row in rows])
    account = Account(missing_value_labels=missing, decimal_labels=decimal)
    return Dataset(path.stem, source, tuple(sorted(records, key=lambda record: record.id)), account)


def _digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits (8 x 8 grey, values 0..16), as PNG bytes."""
    bunch = require("sklearn.datasets", extra="train").load_digits()
    records = []
    for index, (values, label) in enumerate(zip(bunch.images, bunch.target, strict=True)):
        buffer = io.BytesIO()
        Image.fromarray((values * (255 / 16)).round().astype("uint8")).save(buffer, "PNG")
        records.append(ImageRecord(f"{label}/{index:04d}.png", str(label), WHOLE, content=buffer.getvalue()))
    return Dataset(DIGITS, DIGITS, tuple(sorted(records, key=lambda record: record.id)))


__all__ = ["DIGITS", "EMBEDDED_DIGITS", "WHOLE", "Dataset", "ImageRecord", "is_digits", "open_source"]
