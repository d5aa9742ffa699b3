"""DATA -> Dataset: class folders, split folders, a tar of either, a table, or the embedded digits."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from PIL import Image

from headstart.data.tables import TABLE_SUFFIXES, read_rows
from headstart.errors import DataError, require

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})

SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Folder name, or value of a table's column split, in lower case -> split. Other folders at the top are classes."""

WHOLE = "all"
"""Split of images whose source has none."""

DIGITS = "digits"
"""Name of the embedded set."""

SHAPES = (
    "a folder of class folders, a folder of train/val/test folders of class folders, a .tar of either, "
    "a .csv or .parquet with columns image and label, or digits"
)


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One labelled image and where its encoded bytes lie."""

    id: str
    """Path inside the source (in a table: as written) with forward slashes; unique there, and the name used in every
    message."""
    label: str
    split: str
    """train, val, test, or all."""
    path: Path | None = None
    """File that holds the bytes; None when they are in memory."""
    offset: int = 0
    """First byte inside `path`."""
    size: int | None = None
    """Number of bytes; None reads to the end."""
    content: bytes | None = None
    group: str | None = None
    """Name of the patient, scene or page where the source says it; images with the same one belong together."""

    def read(self) -> bytes:
        """The encoded image.

        Raises:
            OSError: the file is gone or cannot be read.
        """
        if self.content is not None:
            return self.content
        if self.path is None:
            raise FileNotFoundError(self.id)
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read() if self.size is None else file.read(self.size)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled images of one source."""

    name: str
    """Short name for run folders and titles."""
    source: str
    """DATA as given."""
    records: tuple[ImageRecord, ...]
    """In order of id."""
    ignored: dict[str, int] = field(default_factory=dict)
    """File suffix -> number of files that are no images by their name."""

    def classes(self, split: str | None = None) -> tuple[str, ...]:
        """Class names in the one order that is used everywhere: sorted as text."""
        return tuple(sorted({record.label for record in self.records if split in (None, record.split)}))

    def counts(self) -> dict[str, int]:
        """Images per class, in class order."""
        found = Counter(record.label for record in self.records)
        return {name: found[name] for name in self.classes()}

    def splits(self) -> tuple[str, ...]:
        """Splits that hold images, in the order train, val, test."""
        present = {record.split for record in self.records}
        return tuple(name for name in ("train", "val", "test", WHOLE) if name in present)

    def of(self, split: str) -> tuple[ImageRecord, ...]:
        """Images of one split."""
        return tuple(record for record in self.records if record.split == split)


def open_source(source: str) -> Dataset:
    """Find the images of DATA; reads names, not pixels.

    Raises:
        DataError: there is nothing there, or nothing that looks like labelled images.
    """
    if source == DIGITS:
        return _digits()
    path = Path(source)
    if path.is_dir():
        return _dataset(path.resolve().name, source, _folder_members(path), is_archive=False)
    if path.is_file() and path.suffix.lower() in TABLE_SUFFIXES:
        return _table(path, source)
    if path.is_file() and tarfile.is_tarfile(path):
        return _dataset(path.name.split(".")[0], source, _tar_members(path), is_archive=True)
    if path.exists():
        raise DataError(f"{source} is a file headstart cannot open as images", expected=SHAPES)
    raise DataError(f"{source} does not exist", expected=SHAPES)


@dataclass(frozen=True, slots=True)
class _Member:
    """A file inside a source, before it is known to be an image of a class."""

    name: PurePosixPath
    path: Path
    offset: int = 0
    size: int | None = None


def _folder_members(root: Path) -> list[_Member]:
    files = (path for path in root.rglob("*") if path.is_file())
    return [_Member(PurePosixPath(path.relative_to(root).as_posix()), path) for path in files]


def _tar_members(path: Path) -> list[_Member]:
    try:
        with tarfile.open(path, "r:") as archive:
            return [
                _Member(PurePosixPath(member.name.removeprefix("./")), path, member.offset_data, member.size)
                for member in archive
                if member.isfile()
            ]
    except tarfile.ReadError as error:
        raise DataError(
            f"{path} cannot be read as a plain tar ({error})",
            expected="an uncompressed .tar, whose images can be read one by one",
            remedy="unpack it, or decompress it with gunzip, and pass the result",
        ) from error


def _dataset(name: str, source: str, members: list[_Member], *, is_archive: bool) -> Dataset:
    # An archive may hold a name twice: the later one replaced the earlier.
    unique = {m.name: m for m in members if not _is_hidden(m.name)}
    visible = [unique[name] for name in sorted(unique)]
    _refuse_unwritable_names(visible)
    images = [m for m in visible if m.name.suffix.lower() in IMAGE_SUFFIXES]
    suffixes = Counter(m.name.suffix.lower() or "(no suffix)" for m in visible)
    ignored = Counter({suffix: count for suffix, count in suffixes.items() if suffix not in IMAGE_SUFFIXES})
    if not images:
        _refuse_no_images(source, ignored)
    images = _without_wrapper(images, is_archive=is_archive)
    loose = [m for m in images if len(m.name.parts) < 2]
    if loose:
        raise DataError(
            f"{source} has {len(loose)} images outside any class folder (first: {loose[0].name})",
            expected=SHAPES,
            remedy="move each image into a folder named after its class",
        )
    has_splits = _has_splits(source, {m.name.parts[0] for m in images})
    records = [_record(m, has_splits=has_splits) for m in sorted(images, key=lambda m: m.name.as_posix())]
    return Dataset(name, source, tuple(records), dict(sorted(ignored.items())))


def _record(member: _Member, *, has_splits: bool) -> ImageRecord:
    split, label = (SPLIT_FOLDERS[member.name.parts[0].lower()], 1) if has_splits else (WHOLE, 0)
    if has_splits and len(member.name.parts) < 3:
        raise DataError(
            f"{member.name} lies in a split folder but in no class folder",
            expected="SPLIT/CLASS/FILE",
            remedy="move it into a folder named after its class",
        )
    return ImageRecord(member.name.as_posix(), member.name.parts[label], split, member.path, member.offset, member.size)


def _has_splits(source: str, top: set[str]) -> bool:
    splits = {name for name in top if name.lower() in SPLIT_FOLDERS}
    others = sorted(top - splits)
    if splits and others:
        raise DataError(
            f"{source} mixes split folders ({', '.join(sorted(splits))}) with others ({', '.join(others[:5])})",
            expected="either split folders or class folders at the top",
            remedy="move the others away, or rename the split folders if they are classes",
        )
    return bool(splits)


def _without_wrapper(images: list[_Member], *, is_archive: bool) -> list[_Member]:
    """Drop one outer folder that everything lies in, as archives of a folder have it.

    In a folder of the user's own a single folder with subfolders may be a single class, so there the wrapper is
    dropped only if split folders lie inside.
    """
    tops = {m.name.parts[0] for m in images}
    shallowest = min(len(m.name.parts) for m in images)
    if len(tops) > 1 or shallowest < 3 or next(iter(tops)).lower() in SPLIT_FOLDERS:
        return images
    if not is_archive and not all(m.name.parts[1].lower() in SPLIT_FOLDERS for m in images):
        return images
    return [_Member(PurePosixPath(*m.name.parts[1:]), m.path, m.offset, m.size) for m in images]


def _table(path: Path, source: str) -> Dataset:
    records = [
        ImageRecord(row.image, row.label, row.split or WHOLE, row.file, group=row.group)
        for row in read_rows(path, SPLIT_FOLDERS)
    ]
    return Dataset(path.stem, source, tuple(sorted(records, key=lambda record: record.id)))


def _is_hidden(name: PurePosixPath) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.parts)


def _refuse_unwritable_names(members: list[_Member]) -> None:
    """Names that are no Unicode cannot be written into plans, events and JSON."""
    for member in members:
        try:
            member.name.as_posix().encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"the file name {member.name.as_posix()!r} is not valid UTF-8", remedy="rename the file"
            ) from error


def _refuse_no_images(source: str, ignored: Counter[str]) -> None:
    if not ignored:
        raise DataError(f"{source} is empty", expected=SHAPES)
    seen = ", ".join(f"{count} {suffix}" for suffix, count in ignored.most_common(3))
    raise DataError(
        f"{source} holds no images, only {seen}",
        expected=f"files ending in {' '.join(sorted(IMAGE_SUFFIXES))}",
    )


def _digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits (8 x 8 grey, values 0..16), as PNG bytes."""
    bunch = require("sklearn.datasets", extra="train").load_digits()
    records = []
    for index, (values, label) in enumerate(zip(bunch.images, bunch.target, strict=True)):
        buffer = io.BytesIO()
        Image.fromarray((values * (255 / 16)).round().astype("uint8")).save(buffer, "PNG")
        records.append(ImageRecord(f"{label}/{index:04d}.png", str(label), WHOLE, content=buffer.getvalue()))
    return Dataset(DIGITS, DIGITS, tuple(sorted(records, key=lambda record: record.id)))


def image_files(paths: Iterable[str]) -> list[ImageRecord]:
    """Files to predict: each path is an image or a folder of images, searched at any depth.

    Raises:
        DataError: a path does not exist, or a folder holds no image.
    """
    records = []
    for text in paths:
        path = Path(text)
        if path.is_dir():
            files = [p for p in path.rglob("*") if p.is_file() and not _is_hidden(PurePosixPath(p.relative_to(path)))]
            found = sorted(p for p in files if p.suffix.lower() in IMAGE_SUFFIXES)
            if not found:
                _refuse_no_images(text, Counter(p.suffix.lower() or "(no suffix)" for p in files))
            records += [ImageRecord(str(p), "", WHOLE, p) for p in found]
        elif path.is_file():
            records.append(ImageRecord(text, "", WHOLE, path))
        else:
            raise DataError(f"{text} does not exist", expected="an image file or a folder of images")
    return records
