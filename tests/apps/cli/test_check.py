"""`headstart check`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from PIL import Image

from command_line import Call, refused


def test_check_as_json_and_as_text(run: Call, image_folder: Path):
    code, out, _ = run("check", image_folder, "--json")
    assert code == 0
    assert {"images", "classes", "findings"} <= set(json.loads(out))
    code, out, _ = run("check", image_folder, "--preview", "sheet.png", "--input-size", "32")
    assert code == 0
    assert "preview: sheet.png" in out
    with Image.open("sheet.png") as sheet:
        assert sheet.width > 200
    refused(run("check", image_folder, "--preview", "s.jpg"), "the preview is a PNG")
    refused(run("check", image_folder, "--preview", image_folder / "s.png"), "choose a place outside DATA")
    refused(run("check", image_folder, "--input-size", 32, "--seed", 1), "has no effect without --preview", code=2)


def test_empty_folder(run: Call, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for command in ("check", "train"):
        refused(run(command, tmp_path / "empty"), "is empty", "class folders")


def test_several_labels_for_one_image(run: Call, image_folder: Path):
    shutil.copy(image_folder / "blue" / "00.png", image_folder / "green" / "same.png")
    command = f"headstart check {image_folder} --json"
    refused(
        run("train", image_folder), "several labels", "blue/00.png = green/same.png", "one label per image", command
    )
    answer = json.loads(run("check", image_folder, "--json")[1])
    assert [f["images"] for f in answer["findings"] if f["what"] == "several_labels"] == [
        [["blue/00.png", "green/same.png"]]
    ]
