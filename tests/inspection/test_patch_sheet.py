"""The sheet of patches: every patch where its row and channel say, pixel for pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from headstart.inspection.patch_sheet import TILE, SheetRow, write_patch_sheet

MARGIN, TITLE, HEADING, CAPTION, GAP, CHANNEL_GAP = 12, 26, 36, 16, 2, 14


def noise(side: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)


def test_patches_stand_side_by_side_in_rows(tmp_path: Path):
    first = [[noise(TILE, 0), noise(TILE, 1)], [noise(TILE, 2)]]
    second = [[noise(TILE, 3)]]
    rows = [SheetRow("stem: edges", "note", ["a", "b"], first), SheetRow("stage1: corners", "note", ["c"], second)]
    write_patch_sheet(tmp_path / "sheet.png", rows, title="what excites")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    top = MARGIN + TITLE + HEADING
    places = {(0, top): first[0][0], (TILE + GAP, top): first[0][1]}
    places[2 * (TILE + GAP) + CHANNEL_GAP, top] = first[1][0]
    places[0, top + HEADING + TILE + CAPTION + MARGIN] = second[0][0]
    for (left, upper), patch in places.items():
        assert np.array_equal(sheet[upper : upper + TILE, MARGIN + left : MARGIN + left + TILE], patch)
    assert (sheet[:MARGIN] == 255).all()
    assert (sheet[MARGIN : MARGIN + TITLE] == 0).any()


def test_small_patches_are_magnified_as_they_are_and_large_ones_reduced(tmp_path: Path):
    small, large = noise(8, 0), np.full((200, 200, 3), 77, np.uint8)
    write_patch_sheet(tmp_path / "sheet.png", [SheetRow("x", "", ["a"], [[small, large]])], title="")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    tiles = sheet[MARGIN + TITLE + HEADING :][:TILE, MARGIN:]
    assert np.array_equal(tiles[:, :TILE], small.repeat(TILE // 8, axis=0).repeat(TILE // 8, axis=1))
    assert (tiles[:, TILE + GAP : 2 * TILE + GAP] == 77).all()


def test_a_group_without_patches_is_a_row_of_text(tmp_path: Path):
    write_patch_sheet(tmp_path / "sheet.png", [SheetRow("stage4: objects", "no positions", [], [])], title="t")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[0] == MARGIN + TITLE + HEADING
    assert (sheet[MARGIN + TITLE :] < 128).any()
