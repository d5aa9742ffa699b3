from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.data.sources import ImageRecord
from headstart.train.judged import Judged

RECORDS = [ImageRecord(name, "ant" if name < "c" else "bee", "train", lambda: b"") for name in "abcd"]


def filled() -> Judged:
    judged = Judged()
    judged.add("probe", RECORDS, np.array([True, False, True, True]), np.array([0.1, 2.0, 0.2, 0.3]))
    judged.add("tune/1", RECORDS, np.array([True, True, True, False]), np.array([0.1, 0.5, 0.2, 1.5]))
    return judged


def test_one_row_for_each_image_and_candidate():
    rows = filled().rows("tune/1")
    assert [(row["image"], row["epoch"]) for row in rows][3:5] == [("d", "probe"), ("a", "tune/1")]
    assert [row["right"] for row in rows] == [True, False, True, True, True, True, True, False]
    assert {row["epoch"] for row in rows if row["kept"]} == {"tune/1"}
    assert rows[1]["label"] == "ant"
    assert rows[1]["log_loss"] == pytest.approx(2.0)


def test_it_survives_a_checkpoint(tmp_path: Path):
    torch.save(filled().to_raw(), tmp_path / "x.pt")
    again = Judged.from_raw(torch.load(tmp_path / "x.pt", weights_only=True))
    assert again.rows("probe") == filled().rows("probe")
    assert Judged.from_raw(None).rows("probe") == []


def test_candidates_are_judged_on_the_same_images():
    with pytest.raises(ValueError, match="3 images, not on the 4"):
        filled().add("tune/2", RECORDS[:3], np.ones(3, bool), np.ones(3))
