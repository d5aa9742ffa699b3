"""A preview is a PNG outside DATA that shows what the network sees, of bands three."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from headstart.errors import DataError
from headstart.inspection.contact_sheet import TRAINING_VIEWS
from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.workflow.checking.preview import refuse_preview, write_preview


def test_preview_writes_a_picture(image_folder: Path, tmp_path: Path):
    write_preview(Request(DataPlan(source=str(image_folder)), input_size=32), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_a_preview_is_a_png_outside_data(image_folder: Path, tmp_path: Path):
    for name, words in (("sheet.jpg", r"is a PNG.*write .*sheet\.png"), ("sheet", "is a PNG")):
        with pytest.raises(DataError, match=words):
            refuse_preview(str(image_folder), tmp_path / name)
    link = tmp_path / "link"
    link.symlink_to(image_folder)
    for inside in (image_folder / "sheet.png", image_folder / "blue" / "sheet.png", link / "sheet.png"):
        with pytest.raises(DataError, match=r"would lie in .* choose a place outside DATA"):
            refuse_preview(str(image_folder), inside)
    refuse_preview(str(image_folder), tmp_path / "sheet.PNG")
    refuse_preview("digits", Path("sheet.png"))


def test_of_bands_three_are_shown_and_what_cannot_be_read_is_passed_over(tmp_path: Path):
    rng = np.random.default_rng(0)
    for label, level in (("a", 1000), ("b", 3000)):
        (tmp_path / "tiles" / label).mkdir(parents=True)
        for index in range(6):
            values = rng.integers(0, 500, (40, 40, 5)).astype(np.uint16)
            values[:, :, 2] += level  # the third band is shown as red
            tifffile.imwrite(
                tmp_path / "tiles" / label / f"{index}.tif", values, photometric="minisblack", planarconfig="contig"
            )
    (tmp_path / "tiles" / "a" / "0.tif").write_bytes(b"no image")
    request = Request(DataPlan(source=str(tmp_path / "tiles")), input_size=32)
    write_preview(request, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(float)
    assert sheet.shape == (36 + 4 * 54, 6 + (1 + TRAINING_VIEWS) * 38, 3)  # a line that names the bands, four images
    dark, light = (sheet[36 + row * 54 : 68 + row * 54, 6:38].mean(axis=(0, 1)) for row in (0, 2))
    assert dark[0] < 90 < 165 < light[0]  # a deviation below its mean and one above
    assert dark[1:] == pytest.approx(light[1:], abs=15)
