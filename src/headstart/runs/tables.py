"""Tables of a run as typed rows: predictions for the test images, and of every candidate for the validation images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import RunError
from headstart.files import write_atomically
from headstart.runs.upgrade import TABLE_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

PREDICTIONS_FILE = "predictions.parquet"
SELECTION_FILE = "selection.parquet"


@dataclass(frozen=True, slots=True)
class PredictedImage:
    """Prediction of the bundle for one test image: a row of predictions.parquet."""

    image: str
    """Its id."""
    label: str
    """True class."""
    predicted: str
    probabilities: tuple[float, ...]
    """Of each class, in the order of the classes of the run."""
    group: str | None = None
    """Which intervals count; None where it stands alone, and in runs of earlier versions."""

    @property
    def is_correct(self) -> bool:
        """Whether the predicted class is the true one."""
        return self.label == self.predicted

    @property
    def probability(self) -> float:
        """Of the predicted class, 0..1."""
        return max(self.probabilities)


@dataclass(frozen=True, slots=True)
class CandidatePredictions:
    """Predictions of one candidate for the selected checkpoint for the validation images."""

    checkpoint: str
    """`probe` or `PHASE/EPOCH`."""
    images: tuple[str, ...]
    """Ids."""
    labels: tuple[str, ...]
    """True class of each image."""
    correct: tuple[bool, ...]
    """Whether each image is classified correctly."""
    log_losses: tuple[float, ...]
    """Of each image, at the temperature that suits the candidate, in nats."""
    is_selected: bool
    """Whether its weights are in the bundle."""


def read_predictions(path: Path) -> tuple[PredictedImage, ...]:
    """Rows of predictions.parquet.

    Raises:
        RunError: the file is missing or damaged.
    """
    table = _read(path, "image", "label", "predicted", "probabilities")
    rows = table.to_pylist()
    return tuple(
        PredictedImage(row["image"], row["label"], row["predicted"], tuple(row["probabilities"]), row.get("group"))
        for row in rows
    )


def read_selection(path: Path) -> tuple[CandidatePredictions, ...]:
    """Candidates of selection.parquet, in the order of the validation passes.

    Raises:
        RunError: the file is missing or damaged.
    """
    import pyarrow.compute as pc

    table = _read(path, "image", "label", "epoch", "correct", "log_loss", "selected")
    found = []
    for name in table["epoch"].unique().to_pylist():
        mine = table.filter(pc.equal(table["epoch"], name))
        columns = {column: tuple(mine[column].to_pylist()) for column in mine.column_names}
        is_selected = any(columns["selected"])
        found.append(
            CandidatePredictions(
                name, columns["image"], columns["label"], columns["correct"], columns["log_loss"], is_selected
            )
        )
    return tuple(found)


def write_columns(path: Path, columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> None:
    """Write columns as a Parquet file, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from headstart.runs.arrow import arrow_array

    table = pa.table({name: arrow_array(values) for name, values in columns.items()})
    write_atomically(path, lambda aside: pq.write_table(table, aside))


def _read(path: Path, *columns: str) -> pa.Table:
    """A Parquet file with at least these columns, in today's names.

    Raises:
        RunError: the file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = {"expected": "the table as training wrote it", "remedy": "restore it from a copy, or train again"}
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path} cannot be read ({str(error).splitlines()[0]})", **whole) from error
    table = table.rename_columns([TABLE_COLUMNS.get(name, name) for name in table.column_names])
    if missing := [name for name in columns if name not in table.column_names]:
        raise RunError(f"{path} is damaged: the column {missing[0]} is missing", **whole)
    return table
