"""Predictions of many images, and the tables that other tools read: .csv and .parquet, one row an image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from headstart.amounts import count_text
from headstart.data.sources.listing import writable
from headstart.errors import DataError
from headstart.files import is_folder, write_atomically
from headstart.runs.arrow import arrow_array

if TYPE_CHECKING:
    from headstart.prediction.predictor import Prediction

PREDICTION_SUFFIXES = (".csv", ".parquet")
COLUMNS = ("file", "label", "probability")
_Column: TypeAlias = tuple[str, Literal["text", "number"], list[Any]]
"""Title, type and cells."""


@dataclass(frozen=True, repr=False)
class Predictions(Sequence["Prediction"]):
    """Predictions of images, in the order in which they were given: a sequence, and a table to write."""

    rows: tuple[Prediction, ...]
    classes: tuple[str, ...]
    """Names of all classes, in the order of the probabilities."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Path -> reason of everything that was given and has no prediction."""

    @property
    def labels(self) -> list[str]:
        """The most probable class of each image."""
        return [row.label for row in self.rows]

    def write(self, path: str | os.PathLike[str], *, top: int | None = None) -> Path:
        """Write a table, whole or not at all: columns file, label and probability, then the other classes.

        Args:
            path: Ends in .csv (UTF-8, commas, a header) or .parquet; probabilities are doubles.
            top: None writes one column a class, under its name (`probability of NAME` where the name is one of the
                first three). A number writes label_2, probability_2 and so on of the most probable classes instead.

        Raises:
            DataError: another suffix, or the file cannot be written.
            DiskFullError: no room; an older file is as it was.
        """
        path = Path(path)
        refuse_prediction_file(path)
        _write_table(self._columns(top), path)
        return path

    def to_dicts(self, *, top: int | None = None) -> list[dict[str, Any]]:
        """Plain values for JSON, one mapping an image.

        Args:
            top: Adds the most probable classes, best first, under `top`.
        """
        rows = [row.to_dict() for row in self.rows]
        if top is None:
            return rows
        named = [[{"label": name, "probability": value} for name, value in row.top(top)] for row in self.rows]
        return [{**row, "top": best} for row, best in zip(rows, named, strict=True)]

    def _columns(self, top: int | None) -> list[_Column]:
        columns: list[_Column] = [
            ("file", "text", [writable(row.file) for row in self.rows]),
            ("label", "text", [row.label for row in self.rows]),
            ("probability", "number", [row.probability for row in self.rows]),
        ]
        if top is None:
            for name in self.classes:
                title = f"probability of {name}" if name in COLUMNS else name
                columns.append((title, "number", [row.probabilities[name] for row in self.rows]))
            return columns
        best = [row.top(top) for row in self.rows]
        for place in range(1, min(top, len(self.classes))):
            columns.append((f"label_{place + 1}", "text", [row[place][0] for row in best]))
            columns.append((f"probability_{place + 1}", "number", [row[place][1] for row in best]))
        return columns

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Prediction, ...]: ...
    def __getitem__(self, index: int | slice) -> Prediction | tuple[Prediction, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        missing = f", {len(self.left_out)} left out" if self.left_out else ""
        first = f"; first: {self.rows[0]!r}" if self.rows else ""
        return f"Predictions({count_text(len(self.rows), 'image')}{missing}{first})"


def refuse_prediction_file(path: Path) -> None:
    """Refuse a place where predictions cannot be written, before anything is computed.

    Raises:
        DataError: another suffix, a folder, or a folder that is not there.
    """
    if path.suffix.lower() not in PREDICTION_SUFFIXES:
        raise DataError(f"{path} is no table by its suffix", expected=f"one of {', '.join(PREDICTION_SUFFIXES)}")
    if is_folder(path):
        raise DataError(f"{path} is a folder", expected="a file", remedy="choose another -o")
    if not is_folder(path.parent):
        raise DataError(f"the folder {path.parent} does not exist", remedy="make it, or choose another -o")


def _column(values: Sequence[Any], kind: Any) -> Any:  # noqa: ANN401 - an Arrow type and an Arrow array
    found = arrow_array(values)
    return found if found.type == kind else found.cast(kind)  # such as a column without any value


def _write_table(columns: Sequence[_Column], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    kinds = {"text": pa.string(), "number": pa.float64()}
    arrays = [_column(values, kinds[kind]) for _, kind, values in columns]
    table = pa.table(arrays, names=[title for title, _, _ in columns])
    write = pa.csv.write_csv if path.suffix.lower() == ".csv" else pa.parquet.write_table
    try:
        write_atomically(path, lambda aside: write(table, aside))
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror or error})", remedy="choose another -o") from error
