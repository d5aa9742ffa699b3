"""Results of candidates on the validation images: by column, in a checkpoint, in little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from headstart.data.sources.reading import ImageRecord
from headstart.plan.plan import ProbePhase, TrainPhase
from headstart.runs.folder import Run
from headstart.runs.training_events import EpochDone
from headstart.training.checkpoint_file import write_checkpoint
from headstart.training.validation_predictions import ValidationPredictions, phase_row

RECORDS = [ImageRecord(name, "ant" if name < "c" else "bee", "train", lambda: b"") for name in "abcd"]


def filled() -> ValidationPredictions:
    predictions = ValidationPredictions()
    predictions.add("probe", RECORDS, np.array([True, False, True, True]), np.array([0.1, 2.0, 0.2, 0.3]))
    predictions.add("tune/1", RECORDS, np.array([True, True, True, False]), np.array([0.1, 0.5, 0.2, 1.5]))
    return predictions


def rows_of(predictions: ValidationPredictions, selected: str) -> list[dict[str, Any]]:
    columns = {name: column.tolist() for name, column in predictions.columns(selected).items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def test_one_row_for_each_image_and_candidate():
    rows = rows_of(filled(), "tune/1")
    assert [(row["image"], row["epoch"]) for row in rows][3:5] == [("d", "probe"), ("a", "tune/1")]
    assert [row["correct"] for row in rows] == [True, False, True, True, True, True, True, False]
    assert {row["epoch"] for row in rows if row["selected"]} == {"tune/1"}
    assert rows[1]["label"] == "ant"
    assert rows[1]["log_loss"] == pytest.approx(2.0)


def test_a_run_writes_them(tmp_path: Path):
    Run(tmp_path).write_selection(filled().columns("tune/1"))
    table = pq.read_table(tmp_path / "selection.parquet")
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds == {
        "image": "string",
        "label": "string",
        "epoch": "string",
        "correct": "bool",
        "log_loss": "double",
        "selected": "bool",
    }
    assert table.to_pylist() == rows_of(filled(), "tune/1")


def test_many_images_in_many_epochs_are_no_rows_in_memory(tmp_path: Path):
    """Two dictionaries for each were 400 bytes and more."""
    count, epochs = 10_000, 20
    records = [ImageRecord(f"image {number}", "ant", "train", lambda: b"") for number in range(count)]
    tracemalloc.start()
    predictions = ValidationPredictions()
    for epoch in range(epochs):
        predictions.add(f"tune/{epoch}", records, np.ones(count, bool), np.zeros(count))
    before = tracemalloc.get_traced_memory()[0]
    assert before < 10 * count * epochs
    Run(tmp_path).write_selection(predictions.columns("tune/3"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - before < 60 * count * epochs


def test_it_survives_a_checkpoint(tmp_path: Path):
    write_checkpoint(filled().to_raw(), tmp_path / "x.pt")
    again = ValidationPredictions.from_raw(torch.load(tmp_path / "x.pt", weights_only=True))
    assert rows_of(again, "probe") == rows_of(filled(), "probe")
    assert rows_of(ValidationPredictions.from_raw(None), "probe") == []


def test_candidates_are_predictions_on_the_same_images():
    with pytest.raises(ValueError, match="3 images, not on the 4"):
        filled().add("tune/2", RECORDS[:3], np.ones(3, bool), np.ones(3))


def test_a_row_sums_up_a_phase():
    phase = TrainPhase(name="tune", epochs=2, unfreeze=0, head_lr=1e-3, lr_by_group={"head": 1e-3})
    rows = [EpochDone(name, 1, None, 0.5, 0.5, {}, improved=True, seconds=2.0) for name in ("probe", "tune", "tune")]
    row = phase_row(phase, rows, head="head", reason="done")
    assert (row.epochs_run, row.seconds, row.trained, row.ended) == (2, 4.0, ["head"], "done")
    probe = phase_row(ProbePhase(), rows, head="head", reason="fitted")
    assert (probe.epochs_run, probe.trained, probe.schedule) == (0, ["head"], None)
