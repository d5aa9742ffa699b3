"""`headstart check`."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from PIL import Image

from command_line import Call, refused
from headstart.apps.cli.check import check_text, train_command
from headstart.data.checks.check_result import CheckResult, GroupCount, PixelSides
from headstart.findings import Finding
from headstart.input_spec import CutShares, ViewFacts


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
    result = run("check", image_folder, "--input-size", 32, "--seed", 1)
    refused(result, "--seed has no effect without --preview", code=2)


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


def test_check_lists_classes_sizes_and_findings():
    answer = CheckResult(
        source="photos",
        images=3,
        classes={"ant": 2, "bee": 1},
        splits={"train": {"ant": 2}, "val": {"bee": 1}},
        unreadable={},
        pixels=PixelSides((8, 9, 10), (11, 12, 13)),
        view=ViewFacts(224, "crop", None, CutShares(0.432, 0.571)),
        findings=(Finding("warning", "x", "seen", "do"),),
        groups=GroupCount(2, unmatched=1),
    )
    command = train_command("my photos", {"--val": None, "--group": r"(\d+)_", "--input-size": 64})
    text = check_text(answer, command=command)
    for words in (
        "3 readable images, 2 classes, splits train, val",
        "(train 2, val 0)",
        "width 8, 9, 10",
        "seen",
        "input 224 px (crop): 43 % of the median image is cut off, 57 % at most",
        "-> do",
    ):
        assert words in text
    assert text.splitlines()[-1] == r"next: headstart train 'my photos' --group '(\d+)_' --input-size 64"
    assert "nothing suspicious was found" in check_text(replace(answer, findings=()), command=command)
    refused = replace(answer, findings=(Finding("error", "x", "seen", "do"),))
    assert "next:" not in check_text(refused, command=command)
    assert "next:" not in check_text(replace(answer, images=0), command=command), "none can be read"


def test_names_do_not_steer_the_terminal_or_stretch_tables():
    odd = {"y" * 200: 1, "esc\x1b[31m": 2, "new\nline": 3}
    view = ViewFacts(224, "crop", None, None)
    answer = CheckResult("photos", 6, odd, {}, {}, PixelSides((), ()), view, findings=())
    lines = check_text(answer, command=("train", "x")).splitlines()
    assert len(lines) == 7
    assert max(map(len, lines)) < 60
    assert "\\u001b[31m" in lines[2]
    assert "new\\nline" in lines[3]
