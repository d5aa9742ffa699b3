"""Predictions as tables: every column, any class name, and the old file stays whole where writing fails."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest

from headstart.delivery import predictions
from headstart.delivery.predictions import refuse_prediction_file, write_predictions
from headstart.errors import DataError

CLASSES = ["bee, honey", "label", "日本"]
ROWS = [
    {
        "file": 'a "1".jpg',
        "label": "label",
        "probability": 0.75,
        "probabilities": dict(zip(CLASSES, (0.25, 0.75, 0.0), strict=True)),
    },
    {"file": "folder/ü.png", "label": "日本", "probability": 1 / 3, "probabilities": dict.fromkeys(CLASSES, 1 / 3)},
]


@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "P.CSV"])
def test_a_table_holds_what_was_predicted(name: str, tmp_path: Path):
    write_predictions(ROWS, CLASSES, tmp_path / name)
    table = (pandas.read_parquet if name.endswith("parquet") else pandas.read_csv)(tmp_path / name)
    assert list(table) == ["file", "label", "probability", "bee, honey", "probability of label", "日本"]
    assert table["file"].tolist() == ['a "1".jpg', "folder/ü.png"]
    assert table["probability"].tolist() == [0.75, 1 / 3]
    assert table["probability of label"].tolist() == [0.75, 1 / 3]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_cannot_be_written_is_refused_first(tmp_path: Path):
    (tmp_path / "folder.csv").mkdir()
    for name, words in (("p.txt", "no table"), ("folder.csv", "is a folder"), ("no/p.csv", "does not exist; make it")):
        with pytest.raises(DataError, match=words):
            refuse_prediction_file(tmp_path / name)


def test_a_file_name_that_is_no_unicode_does_not_lose_the_others(tmp_path: Path):
    write_predictions([ROWS[0] | {"file": "\udcff.jpg"}, *ROWS[1:]], CLASSES, tmp_path / "p.csv")
    assert pandas.read_csv(tmp_path / "p.csv")["file"][0] == r"\udcff.jpg"


def test_a_failure_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "p.csv").write_text("old")

    def fails(path: Path, write: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(predictions, "write_atomically", fails)
    with pytest.raises(DataError, match=r"p\.csv cannot be written \(Permission denied\); choose another -o"):
        write_predictions(ROWS, CLASSES, tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text() == "old"
