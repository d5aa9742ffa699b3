"""Result of a check as a value, and its JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.data.checks.check_result import CheckResult, GroupCount, PixelSides, check_result
from headstart.data.checks.image_checks import read_all
from headstart.data.sources.reading import open_source
from headstart.findings import Finding
from headstart.input_spec import InputSpec, ViewFacts

TWINS = Finding("warning", "twins", "two are one", "remove one", (("ant/1.png", "ant/2.png"),))
RESULT = CheckResult(
    source="photos",
    images=3,
    classes={"ant": 2, "bee": 1},
    splits={"train": {"ant": 2}, "val": {"bee": 1}},
    unreadable={},
    pixels=PixelSides((8, 9, 10), (11, 12, 13)),
    view=ViewFacts(224, "crop", None, None),
    findings=(TWINS,),
)


def folder_of(root: Path, counts: dict[str, int], *, width: int, height: int) -> Path:
    rng = np.random.default_rng(len(str(counts)))
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index:03d}.png")
    return root


def test_it_counts_what_is_there(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"train/a": 10, "train/b": 11}, width=20, height=30)
    folder_of(root, {"val/a": 12, "val/b": 10}, width=40, height=10)
    broken = root / "train" / "a" / "000.png"
    broken.write_bytes(broken.read_bytes()[:-100])
    spec = InputSpec(32, 32, "bilinear", (0.5,) * 3, (0.5,) * 3, "squash")
    dataset = open_source(str(root))
    found = check_result(dataset, read_all(dataset.records), spec)
    assert found.images == 42
    assert found.classes == {"a": 21, "b": 21}
    assert found.splits == {"train": {"a": 9, "b": 11}, "val": {"a": 12, "b": 10}}
    assert found.pixels == PixelSides((20, 40, 40), (10, 10, 30))
    assert list(found.unreadable) == ["train/a/000.png"]
    assert [finding.what for finding in found.findings] == ["unreadable", "enlarged"]


def test_json_has_the_keys_of_what_was_requested() -> None:
    usual = ["source", "images", "classes", "splits", "unreadable", "pixels", "view", "findings"]
    raw = RESULT.to_dict()
    assert list(raw) == usual
    assert raw["pixels"] == {"width": [8, 9, 10], "height": [11, 12, 13]}
    assert raw["findings"] == [TWINS.to_dict()]
    raw = replace(RESULT, groups=GroupCount(2, unmatched=1), group_table="g.csv", preview="sheet.png").to_dict()
    assert list(raw) == [*usual, "groups", "group_table", "preview"]
    assert raw["groups"] == {"groups": 2, "unmatched": 1}


def test_one_line_stands_for_it() -> None:
    assert repr(RESULT) == "CheckResult(3 images, 2 classes, 1 finding)"
