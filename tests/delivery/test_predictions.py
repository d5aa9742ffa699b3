"""Predictions as a sequence and as tables: every column, any class name, and the old file stays where writing fails."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest

from headstart.delivery import predictions
from headstart.delivery.predictions import Predictions, refuse_prediction_file
from headstart.errors import DataError
from headstart.prediction.predictor import Prediction

CLASSES = ("bee, honey", "label", "日本")
FIRST = Prediction('a "1".jpg', "label", 0.75, dict(zip(CLASSES, (0.25, 0.75, 0.0), strict=True)))
SECOND = Prediction("folder/ü.png", "日本", 1 / 3, dict(zip(CLASSES, (0.3, 0.2, 1 / 3), strict=True)))
BOTH = Predictions((FIRST, SECOND), CLASSES, {"gone.png": "does not exist"})


def test_it_is_a_sequence_with_a_short_repr():
    assert (len(BOTH), BOTH[1], BOTH[:1], list(BOTH)) == (2, SECOND, (FIRST,), [FIRST, SECOND])
    assert BOTH.labels == ["label", "日本"]
    shown = 'Prediction(a "1".jpg: label 0.750, bee, honey 0.250, 日本 0.000)'
    assert repr(BOTH) == f"Predictions(2 images, 1 left out; first: {shown})"
    assert repr(Predictions((), CLASSES)) == "Predictions(0 images)"


@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "P.CSV"])
def test_a_table_holds_what_was_predicted(name: str, tmp_path: Path):
    assert BOTH.write(str(tmp_path / name)) == tmp_path / name
    table = (pandas.read_parquet if name.endswith("parquet") else pandas.read_csv)(tmp_path / name)
    assert list(table) == ["file", "label", "probability", "bee, honey", "probability of label", "日本"]
    assert table["file"].tolist() == ['a "1".jpg', "folder/ü.png"]
    assert table["probability"].tolist() == [0.75, 1 / 3]
    assert table["probability of label"].tolist() == [0.75, 0.2]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_most_probable_classes_take_the_place_of_all_of_them(tmp_path: Path):
    BOTH.write(tmp_path / "p.csv", top=2)
    table = pandas.read_csv(tmp_path / "p.csv")
    assert list(table) == ["file", "label", "probability", "label_2", "probability_2"]
    assert table["label_2"].tolist() == ["bee, honey", "bee, honey"]
    assert table["probability_2"].tolist() == [0.25, 0.3]
    BOTH.write(tmp_path / "p.csv", top=99)
    assert list(pandas.read_csv(tmp_path / "p.csv"))[-1] == "probability_3"
    assert BOTH.to_dicts(top=1)[1]["top"] == [{"label": "日本", "probability": 1 / 3}]
    assert "top" not in BOTH.to_dicts()[1]


def test_no_image_is_a_table_with_its_columns(tmp_path: Path):
    Predictions((), CLASSES).write(tmp_path / "p.parquet")
    table = pandas.read_parquet(tmp_path / "p.parquet")
    assert (len(table), str(table["probability"].dtype)) == (0, "float64")


def test_what_cannot_be_written_is_refused_first(tmp_path: Path):
    (tmp_path / "folder.csv").mkdir()
    for name, words in (("p.txt", "no table"), ("folder.csv", "is a folder"), ("no/p.csv", "does not exist; make it")):
        with pytest.raises(DataError, match=words):
            refuse_prediction_file(tmp_path / name)


def test_a_file_name_that_is_no_unicode_does_not_lose_the_others(tmp_path: Path):
    odd = Prediction("\udcff.jpg", "label", 0.75, FIRST.probabilities)
    Predictions((odd, SECOND), CLASSES).write(tmp_path / "p.csv")
    assert pandas.read_csv(tmp_path / "p.csv")["file"][0] == r"\udcff.jpg"


def test_a_failure_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "p.csv").write_text("old")

    def fails(path: Path, write: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(predictions, "write_atomically", fails)
    with pytest.raises(DataError, match=r"p\.csv cannot be written \(Permission denied\); choose another -o"):
        BOTH.write(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text() == "old"
