"""Predictions as files that other tools read: .csv and .parquet, one row an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.data.sources.listing import writable
from headstart.errors import DataError
from headstart.files import is_folder, write_atomically

PREDICTION_SUFFIXES = (".csv", ".parquet")
COLUMNS = ("file", "label", "probability")


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


def write_predictions(predictions: Sequence[Mapping[str, Any]], classes: Sequence[str], path: Path) -> None:
    """Write a table, whole or not at all: columns file, label, probability, and the probability of each class.

    A class's column has its name; `probability of NAME` where the name is one of the first three.

    Args:
        predictions: What `Prediction.to_dict` gives; bytes of a file name that are no UTF-8 are escaped.
        classes: In the order of the columns.
        path: Ends in .csv (UTF-8, commas, a header) or .parquet; probabilities are doubles.

    Raises:
        DataError: another suffix, or the file cannot be written.
        DiskFullError: no room; an older file is as it was.
    """
    refuse_prediction_file(path)
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    named = [f"probability of {name}" if name in COLUMNS else name for name in classes]
    table = pa.table(
        [
            pa.array([writable(row["file"]) for row in predictions], pa.string()),
            pa.array([row["label"] for row in predictions], pa.string()),
            pa.array([row["probability"] for row in predictions], pa.float64()),
            *(pa.array([row["probabilities"][name] for row in predictions], pa.float64()) for name in classes),
        ],
        names=[*COLUMNS, *named],
    )
    write = pa.csv.write_csv if path.suffix.lower() == ".csv" else pa.parquet.write_table
    try:
        write_atomically(path, lambda aside: write(table, aside))
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror or error})", remedy="choose another -o") from error
