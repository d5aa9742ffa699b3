"""The contact sheet shows exactly what the network sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.loading import read_pixels
from headstart.data.preprocess import resize_and_crop
from headstart.data.sources.reading import open_source
from headstart.input_spec import InputSpec
from headstart.inspection.contact_sheet import TRAINING_VIEWS, write_contact_sheet

SPEC = InputSpec(32, 36, "bicubic", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(("preset", "columns"), [("standard", 1 + TRAINING_VIEWS), ("none", 1)])
def test_the_first_column_is_the_evaluation_view_pixel_for_pixel(
    image_folder: Path, tmp_path: Path, preset: str, columns: int
):
    records = open_source(str(image_folder)).records[:3]
    write_contact_sheet(tmp_path / "sheet.png", records, SPEC, preset=preset, flip="none", seed=0)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (20 + 3 * (32 + 16 + 6), 6 + columns * 38, 3)
    for row, record in enumerate(records):
        top = 20 + row * 54
        assert np.array_equal(sheet[top : top + 32, 6:38], resize_and_crop(read_pixels(record), SPEC))


def test_training_views_differ_from_the_evaluation_view(image_folder: Path, tmp_path: Path):
    records = open_source(str(image_folder)).records[:1]
    write_contact_sheet(tmp_path / "sheet.png", records, SPEC, preset="standard", flip="none", seed=0)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    views = [sheet[20:52, 6 + c * 38 : 38 + c * 38] for c in range(1 + TRAINING_VIEWS)]
    assert len({view.tobytes() for view in views}) == 1 + TRAINING_VIEWS
