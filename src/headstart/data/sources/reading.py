"""DATA -> Dataset: one small adapter for each shape of DATA; whatever comes after asks the records only."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

from PIL import Image

from headstart.data.sources.dataset import WHOLE, Dataset, ImageRecord, LabelPolicy, Links
from headstart.data.sources.layout import SHAPES, UnlabelledError, labelled_dataset
from headstart.data.sources.opened_once import first_opened
from headstart.data.sources.sets.hub import is_saved_to_disk, open_hub
from headstart.data.sources.sets.npz import open_npz
from headstart.data.sources.sets.torchvision_sets import open_torchvision
from headstart.data.sources.shards import open_shards, open_tar
from headstart.data.sources.source_findings import WITHOUT_LABELS
from headstart.data.sources.source_names import (
    DIGITS,
    EMBEDDED_DIGITS,
    HUB_PREFIX,
    TORCHVISION_PREFIX,
    is_digits,
    is_place,
    is_shard_pattern,
    is_url,
)
from headstart.data.sources.stores import copy_of_store_file, store_folder_of, walk_store
from headstart.data.sources.tables.files import TABLE_SUFFIXES
from headstart.data.sources.tables.in_folders import open_table_file, open_tables
from headstart.data.sources.tables.label_tables import label_tables_next_to, table_remedy
from headstart.data.sources.walk import walk_folder
from headstart.errors import DataError, require
from headstart.files import is_file, is_folder, is_there

_FILE_SUFFIXES = TABLE_SUFFIXES | {".tar", ".npz"}
"""Of single files that hold many images."""


def is_source_file(source: str) -> bool:
    """Whether DATA, by its name, is neither a folder nor an image: a tar, shards, an .npz, a store, a set by name."""
    return not is_place(source) or is_shard_pattern(source) or Path(source).suffix.lower() in (".tar", ".npz")


def open_source(
    source: str, *, labels: LabelPolicy = "needed", group: str | None = None, links: Links = "inside"
) -> Dataset:
    """Find the images of DATA; reads names, and the first bytes of files whose name does not say what they are.

    Args:
        source: DATA.
        labels: `optional` takes images without classes too, whose label is empty.
        group: Column that says which images belong together; None takes a column `group`.
        links: Of a folder: see `walk_folder`.

    Raises:
        DataError: there is nothing there, or nothing that looks like labelled images.
        MissingExtraError: a package for this kind of DATA is not installed.
    """
    source = os.fspath(source)
    dataset = first_opened((Path.cwd(), source, labels, group, links), lambda: _opened(source, labels, group, links))
    if labels == "needed" and not dataset.has_labels:
        raise UnlabelledError(
            f"none of {len(dataset.records):,} images of {source} has a label",
            expected="one label per image",
            remedy=WITHOUT_LABELS,
        )
    return dataset


def _opened(source: str, labels: LabelPolicy, group: str | None, links: Links) -> Dataset:
    path = Path(source)
    if is_digits(source):
        if source == DIGITS and is_there(path):
            raise DataError(
                f"{DIGITS} is the name of the embedded set, and {path.resolve()} is there too",
                remedy=f"write ./{DIGITS} for what is there, or {EMBEDDED_DIGITS} for the embedded set",
            )
        return _digits()
    if source.startswith(HUB_PREFIX):
        return open_hub(source, labels=labels, group=group)
    if source.startswith(TORCHVISION_PREFIX):
        return open_torchvision(source, labels=labels)
    if is_url(source):
        return _store(source, labels, group)
    if is_folder(path):
        return _folder(path, source, labels, group, links)
    if is_file(path):
        return _file(path, source, labels, group)
    if is_shard_pattern(source):
        return open_shards(source, labels=labels, group=group)
    if is_there(path):
        raise DataError(f"{source} is a file headstart cannot open as images", expected=SHAPES)
    if path.is_symlink():
        raise DataError(f"{source} is a link that leads nowhere ({path.readlink()})", expected=SHAPES)
    raise DataError(f"{source} does not exist", expected=SHAPES)


def _file(path: Path, source: str, labels: LabelPolicy, group: str | None) -> Dataset:
    suffix = path.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return open_table_file(path, source, labels=labels, group=group)
    if suffix == ".npz":
        return open_npz(path, source, labels=labels)
    if tarfile.is_tarfile(path):
        return open_tar(path, source, labels=labels, group=group)
    raise DataError(f"{source} is a file headstart cannot open as images", expected=SHAPES)


def _folder(path: Path, source: str, labels: LabelPolicy, group: str | None, links: Links) -> Dataset:
    if is_saved_to_disk(path):
        return open_hub(source, labels=labels, group=group)
    tables = label_tables_next_to(path)
    listing = walk_folder(path, links=links)
    name = path.resolve().name
    if not listing.images and tables:  # tables that hold the images themselves
        return open_tables(path, tables, source, [], group=group)
    try:
        dataset = labelled_dataset(name, source, listing, "folder", "needed" if tables else labels)
    except UnlabelledError:
        if not tables:
            raise
        return open_tables(path, tables, source, [member.name for member in listing.images], group=group)
    except DataError as error:
        if not tables:
            raise
        remedies = filter(None, (error.remedy, f"or, if its labels are the ones you mean, {table_remedy(tables[0])}"))
        raise DataError(error.found, expected=error.expected, remedy="; ".join(remedies)) from error
    return replace(dataset, account=replace(dataset.account, label_tables=tables))


def _store(url: str, labels: LabelPolicy, group: str | None) -> Dataset:
    """Images of a remote store: a file that holds many is copied, those of a folder are fetched when they are read."""
    suffix = PurePosixPath(url).suffix.lower()
    if suffix in _FILE_SUFFIXES:
        copy = copy_of_store_file(url)
        name = PurePosixPath(url).stem
        if suffix in TABLE_SUFFIXES:
            return open_table_file(copy, url, labels=labels, folder=store_folder_of(url), name=name, group=group)
        return replace(_file(copy, url, labels, group), name=name)
    listing = walk_store(url)
    name = PurePosixPath(url.rstrip("/")).name or "store"
    return labelled_dataset(name, url, listing, "folder", labels)


def _digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits (8 x 8 grey, values 0..16), as PNG bytes."""
    bunch = require("sklearn.datasets", extra="train").load_digits()
    records = []
    for index, (values, label) in enumerate(zip(bunch.images, bunch.target, strict=True)):
        buffer = io.BytesIO()
        Image.fromarray((values * (255 / 16)).round().astype("uint8")).save(buffer, "PNG")
        records.append(ImageRecord(f"{label}/{index:04d}.png", str(label), WHOLE, content=buffer.getvalue()))
    return Dataset(DIGITS, DIGITS, tuple(sorted(records, key=lambda record: record.id)))


__all__ = ["DIGITS", "EMBEDDED_DIGITS", "WHOLE", "Dataset", "ImageRecord", "is_digits", "is_source_file", "open_source"]
