"""Tables of a run as typed rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.errors import RunError
from headstart.runs.tables import CandidatePredictions, PredictedImage, read_predictions, read_selection, write_columns

COLUMNS = {
    "image": ["1.png", "2.png", "1.png", "2.png"],
    "label": ["a", "b", "a", "b"],
    "epoch": ["tune/10", "tune/10", "tune/9", "tune/9"],
    "correct": [True, False, True, True],
    "log_loss": [0.5, 1.5, 0.25, 0.75],
    "selected": [False, False, True, True],
}


def test_candidates_come_in_the_order_of_their_validation_passes(tmp_path: Path):
    write_columns(tmp_path / "s.parquet", COLUMNS)
    images, labels = ("1.png", "2.png"), ("a", "b")
    assert read_selection(tmp_path / "s.parquet") == (
        CandidatePredictions("tune/10", images, labels, (True, False), (0.5, 1.5), is_selected=False),
        CandidatePredictions("tune/9", images, labels, (True, True), (0.25, 0.75), is_selected=True),
    )


def test_columns_of_earlier_versions_are_read_by_their_names_today(tmp_path: Path):
    old = {{"correct": "right", "selected": "kept"}.get(name, name): values for name, values in COLUMNS.items()}
    write_columns(tmp_path / "old.parquet", old)
    write_columns(tmp_path / "new.parquet", COLUMNS)
    assert read_selection(tmp_path / "old.parquet") == read_selection(tmp_path / "new.parquet")


def test_a_prediction_knows_whether_it_is_correct(tmp_path: Path):
    rows = [
        {"image": "1.png", "label": "a", "predicted": "b", "probabilities": [0.25, 0.75]},
        {"image": "2.png", "label": "b", "predicted": "b", "probabilities": [0.5, 0.5]},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    found = read_predictions(tmp_path / "p.parquet")
    assert found[0] == PredictedImage("1.png", "a", "b", (0.25, 0.75))
    assert [(one.is_correct, one.probability) for one in found] == [(False, 0.75), (True, 0.5)]


def test_a_damaged_table_is_named_with_the_way_out(tmp_path: Path):
    write_columns(tmp_path / "s.parquet", {name: values for name, values in COLUMNS.items() if name != "correct"})
    with pytest.raises(RunError, match=r"s\.parquet is damaged: the column correct is missing; expected the table as"):
        read_selection(tmp_path / "s.parquet")
    with pytest.raises(RunError, match=r"none\.parquet cannot be read .*; restore it from a copy, or train again"):
        read_predictions(tmp_path / "none.parquet")
