"""A folder of images with every fault that a cleaned index repairs."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from near_copies import recompressed, scene


def make_messy(folder: Path, *, per_class: int = 6) -> Path:
    """`train` and `test` of two classes, with broken, blank, equal, near-identical and contradicting files."""
    for split, first in (("train", 0), ("test", 100)):
        for number, label in enumerate(("cats", "dogs")):
            held = folder / split / label
            held.mkdir(parents=True)
            for image in range(per_class):
                scene(first + 1000 * number + image).save(held / f"{image}.png")
    train, test = folder / "train", folder / "test"
    (train / "cats" / "broken.png").write_bytes((train / "cats" / "0.png").read_bytes()[:200])
    Image.new("RGB", (160, 160), (90, 90, 90)).save(train / "dogs" / "blank.png")
    shutil.copy(train / "cats" / "1.png", train / "cats" / "1-again.png")  # twice in its class
    shutil.copy(train / "cats" / "2.png", train / "dogs" / "2-too.png")  # in both classes
    shutil.copy(test / "dogs" / "3.png", train / "dogs" / "3-of-test.png")  # in both splits
    recompressed(scene(104)).save(train / "cats" / "4-of-test.png")  # near-identical, in both splits
    recompressed(scene(1005)).save(train / "dogs" / "5-near.png")  # near-identical, on one side
    return folder
