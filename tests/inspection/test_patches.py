"""Patches are pieces of what the network sees, where its channels answered most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from headstart.advice.probe.by_depth import DepthCurve, GroupProbe
from headstart.data.loading import read_pixels
from headstart.data.preprocess import resize_and_crop
from headstart.data.sources.reading import open_source
from headstart.input_spec import InputSpec
from headstart.inspection.patch_sheet import TILE
from headstart.inspection.patches import draw_patches
from headstart.inspection.strongest_activations import StrongestPositions

SPEC = InputSpec(TILE, TILE, "bicubic", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def curve_of(*names: str) -> DepthCurve:
    groups = tuple(
        GroupProbe(name, i, len(names), "edges", 0.9, "freeze", 0.8, (0.7, 0.9), 0.7, (0.6, 0.8), None, 4)
        for i, name in enumerate(names)
    )
    return DepthCurve(groups, names[0], names[0], None, 0.5, 8, 2, 2)


def test_they_are_cut_out_of_the_view_where_the_peak_is(image_folder: Path, tmp_path: Path):
    records = open_source(str(image_folder)).records[:8]
    strongest, still = StrongestPositions(3, count=2), StrongestPositions(3)
    values = np.zeros((8, 3), np.float32)
    values[[2, 5], 1] = [9.0, 7.0]
    positions = np.zeros((8, 3), np.int64)
    positions[2, 1], positions[5, 1] = 15, 6
    strongest.add(np.arange(8), values, positions)
    still.add(np.arange(8), np.zeros((8, 3), np.float32), positions)
    found = draw_patches(
        tmp_path / "p.png",
        records,
        SPEC,
        {"stem": strongest, "stage1": still},
        grids={"stem": (4, 4), "stage1": (2, 2)},
        sides={"stem": 16, "stage1": 32},
        curve=curve_of("stem", "stage1", "stage2"),
    ).to_dict()
    (channel,) = found["groups"]["stem"]["channels"]
    assert channel["channel"] == 1
    assert channel["patches"] == [
        {"image": records[2].id, "box": [48, 48, 64, 64], "activation": 9.0},
        {"image": records[5].id, "box": [32, 16, 48, 32], "activation": 7.0},
    ]
    assert found["groups"]["stem"]["side"] == 16
    assert "do not respond differently" in found["without"]["stage1"]
    assert "no positions" in found["without"]["stage2"]
    sheet = np.asarray(Image.open(tmp_path / "p.png"))
    for index, (record, box) in enumerate([(records[2], (48, 48)), (records[5], (32, 16))]):
        view = resize_and_crop(read_pixels(record), SPEC)
        expected = view[box[1] : box[1] + 16, box[0] : box[0] + 16].repeat(4, axis=0).repeat(4, axis=1)
        left = 12 + index * (TILE + 2)
        assert np.array_equal(sheet[74 : 74 + TILE, left : left + TILE], expected)
