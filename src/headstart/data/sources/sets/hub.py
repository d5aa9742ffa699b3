"""Data sets of the Hugging Face hub, and those that its library `datasets` saved to disk.

`hf:user/name`, and after commas what else is to be said: `hf:user/name,config=plain,label=fine_label,revision=main`.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from headstart.data.sources.dataset import WHOLE, Account, Dataset, ImageRecord, LabelPolicy
from headstart.data.sources.source_names import HUB_PREFIX, name_and_options
from headstart.data.sources.split_names import split_in
from headstart.data.sources.tables.columns import LABEL_COLUMNS
from headstart.errors import DataError, MissingExtraError, require
from headstart.files import is_file, is_folder

_OPTIONS = ("config", "revision", "image", "label", "group")
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class HubImage:
    """One row of a data set."""

    place: str
    """Name on the hub, or a folder."""
    config: str | None
    revision: str | None
    split: str
    column: str
    index: int

    def read(self) -> bytes:
        """The encoded image, as the set holds it.

        Raises:
            OSError: it is missing or cannot be read.
        """
        rows = _encoded_rows(self.place, self.config, self.revision, self.split, self.column)
        cell = rows[self.index][self.column]
        if cell is None:
            raise OSError(f"row {self.index} of {self.split} holds no image")
        if cell.get("bytes") is not None:
            return bytes(cell["bytes"])
        return Path(cell["path"]).read_bytes()


def is_saved_to_disk(folder: Path) -> bool:
    """Whether `datasets` saved a set into a folder."""
    return is_file(folder / "dataset_dict.json") or (
        is_file(folder / "state.json") and is_file(folder / "dataset_info.json")
    )


def open_hub(source: str, *, labels: LabelPolicy = "needed", group: str | None = None) -> Dataset:
    """Images of a set of the hub, or of one that was saved to disk.

    Args:
        source: `hf:NAME` with options, or a folder in which `datasets` saved a set.
        labels: Whether a set without labels is refused.
        group: Column that says which images belong together; `group` if None.

    Raises:
        DataError: it cannot be had, or has no column of images or of labels.
        MissingExtraError: `datasets` is not installed.
    """
    place, given = name_and_options(source.removeprefix(HUB_PREFIX)) if source.startswith(HUB_PREFIX) else (source, {})
    wrong = sorted(set(given) - set(_OPTIONS))
    if wrong:
        raise DataError(f"{source} has the option {wrong[0]!r}", expected=f"one of {', '.join(_OPTIONS)}")
    config, revision = given.get("config"), given.get("revision")
    parts = _parts(place, config, revision)
    splits = {name: split_in(name) for name in parts}
    if len(parts) == 1:
        splits = dict.fromkeys(parts, WHOLE)
    records, unlabelled, left_out = [], [], {}
    for name, split in splits.items():
        rows = parts[name]
        if split is None:
            left_out[name] = len(rows)
            continue
        image = _image_column(source, rows.features, given.get("image"))
        label = _label_column(source, rows.features, given.get("label"), labels)
        classes = _classes(source, rows, label)
        groups = _groups(source, rows, given.get("group") or group)
        digits = len(str(max(0, len(rows) - 1)))
        for at, (text, together) in enumerate(zip(classes, groups, strict=True)):
            location = HubImage(place, config, revision, name, image, at)
            record = ImageRecord(f"{name}/{at:0{digits}d}", text, split, group=together or None, location=location)
            if text or label is None:
                records.append(record)
            else:
                unlabelled.append(record.id)
    records.sort(key=lambda record: record.id)
    account = Account(unlabelled=tuple(sorted(unlabelled)), unread_splits=left_out)
    return Dataset(Path(place).name, source, tuple(records), account)


@lru_cache(maxsize=4)
def _parts(place: str, config: str | None, revision: str | None) -> Mapping[str, Any]:
    """Split, as it is called there -> rows.

    Raises:
        DataError: it cannot be had.
    """
    try:
        datasets = require("datasets", extra="hub")
    except MissingExtraError as error:
        raise MissingExtraError(
            f"datasets, which reads {HUB_PREFIX if not is_folder(place) else ''}{place}, is not installed",
            remedy=error.remedy,
        ) from error
    try:
        if is_folder(place) and is_saved_to_disk(Path(place)):
            found = datasets.load_from_disk(place)
        else:
            # It leaves the files of metadata open, for the collector to close: on Windows nobody could replace them.
            with warnings.catch_warnings(action="ignore", category=ResourceWarning):
                found = datasets.load_dataset(place, config, revision=revision)
                gc.collect()
    except Exception as error:  # of the hub's library, of its transport, of pyarrow
        raise _unavailable(place, error) from error
    return {"all": found} if isinstance(found, datasets.Dataset) else dict(found)


def _unavailable(place: str, error: Exception) -> DataError:
    reason = (str(error) or type(error).__name__).splitlines()[0][:200]
    kind = type(error).__name__
    if is_folder(place):
        return DataError(f"{place} cannot be read as a Hugging Face data set ({reason})")
    if kind in ("DatasetNotFoundError", "RepositoryNotFoundError", "GatedRepoError"):
        return DataError(
            f"the hub has no data set {place!r} that you may read ({reason})",
            expected="hf:USER/NAME",
            remedy="check the name; of a gated set, accept its terms and set HF_TOKEN",
        )
    if kind in ("ConnectionError", "OfflineModeIsEnabled", "ConnectError", "ConnectTimeout", "LocalEntryNotFoundError"):
        name = Path(place).name
        return DataError(
            f"{HUB_PREFIX}{place} is not on this machine, and the hub cannot be reached",
            expected="a network, or a copy",
            remedy=f'where there is a network: datasets.load_dataset("{place}").save_to_disk("{name}"); '
            "copy that folder here and pass it as DATA",
        )
    return DataError(f"{HUB_PREFIX}{place} cannot be read ({reason})")


@lru_cache(maxsize=16)
def _encoded_rows(place: str, config: str | None, revision: str | None, split: str, column: str) -> Any:  # noqa: ANN401
    """Rows of a split, with images as they are encoded and without the other columns."""
    rows = _parts(place, config, revision)[split]
    image = require("datasets", extra="hub").Image(decode=False)
    return rows.select_columns([column]).cast_column(column, image)


def _image_column(source: str, features: Mapping[str, Any], given: str | None) -> str:
    found = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    if given is not None:
        found = [name for name in found if name == given]
    if len(found) > 1:
        found = [name for name in found if name in ("image", "img")] or found
    if len(found) != 1:
        raise DataError(
            f"{source} has {len(found) or 'no'} columns of images; its columns are {_listed(list(features))}",
            expected="one",
            remedy=f"name it: {source},image=COLUMN" if len(found) > 1 else "",
        )
    return found[0]


def _label_column(source: str, features: Mapping[str, Any], given: str | None, labels: LabelPolicy) -> str | None:
    """The column of labels; None where there is none and none is needed.

    Raises:
        DataError: there is none, or several could be it.
    """
    classes = [name for name, feature in features.items() if type(feature).__name__ == "ClassLabel"]
    if given is not None:
        found = [given] if given in features else []
    elif "label" in features:
        found = ["label"]
    else:
        found = classes or [name for name in features if name.lower() in LABEL_COLUMNS]
    if len(found) == 1:
        return found[0]
    if not found and labels == "optional" and given is None:
        return None
    what = f"several columns of labels ({_listed(found)})" if found else "no column of labels"
    raise DataError(
        f"{source} has {what}; its columns are {_listed(list(features))}",
        expected="one label per image",
        remedy=f"name it: {source.partition(',label=')[0]},label={found[0] if found else 'COLUMN'}",
    )


def _classes(source: str, rows: Any, column: str | None) -> list[str]:  # noqa: ANN401 - rows of `datasets`
    """The class of each row by name; empty where there is none.

    Raises:
        DataError: the column holds no classes.
    """
    if column is None:
        return [""] * len(rows)
    feature = rows.features[column]
    names = getattr(feature, "names", None)
    cells = _cells(rows, column)
    if names is not None:
        return [names[cell] if cell is not None and 0 <= cell < len(names) else "" for cell in cells]
    odd = next((cell for cell in cells if not isinstance(cell, str | int | None)), None)
    if odd is not None:
        raise DataError(
            f"the column {column} of {source} holds {odd!r:.60}", expected="text or whole numbers; one label per image"
        )
    return ["" if cell is None else str(cell).strip() for cell in cells]


def _groups(source: str, rows: Any, column: str | None) -> list[str]:  # noqa: ANN401 - rows of `datasets`
    """The group of each row; empty where there is none.

    Raises:
        DataError: there is no such column.
    """
    if column is None and "group" not in rows.features:
        return [""] * len(rows)
    if column is not None and column not in rows.features:
        raise DataError(f"{source} has no column {column!r}", expected=f"one of {_listed(list(rows.features))}")
    return ["" if cell is None else str(cell) for cell in _cells(rows, column or "group")]


def _cells(rows: Any, column: str) -> Sequence[Any]:  # noqa: ANN401 - rows of `datasets`
    return list(rows.select_columns([column]).with_format(None)[:][column])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
