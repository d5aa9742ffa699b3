"""Small image sets for the rule of progressive tuning: four that its numbers were set on, and others that check it.

The tar files are those of $HEADSTART_DATA. Training images are drawn anew by each seed, class by class and, where
images belong together, one of each group; the test images are up to TEST_IMAGES of those that are left.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from sets import patient_of

FOLDER = Path(__file__).parents[1] / "build" / "step-sets"
TEST_IMAGES = 500


@dataclass(frozen=True)
class Picture:
    """An image of a tar file."""

    name: str
    label: str
    group: str
    side: Literal["train", "test", "either"]
    """Where the set puts it."""


@dataclass(frozen=True)
class StepSet:
    """A set of images, and how many of them train."""

    archive: str
    pictures: Callable[[Sequence[str], tarfile.TarFile], list[Picture]]
    a_class: int
    """Training images of each class at most."""
    input_size: int = 96
    part: Literal["set on", "checked on"] = "checked on"
    encode: Callable[[bytes], bytes] | None = None
    """File -> another one; None: as it is."""


def _folders(names: Sequence[str], archive: tarfile.TarFile) -> list[Picture]:
    """CLASS/FILE or SPLIT/CLASS/FILE."""
    found = []
    for name in names:
        parts = name.split("/")
        side: Literal["train", "test", "either"] = "either"
        if len(parts) > 2:
            side = "train" if parts[-3] == "train" else "test"
        found.append(Picture(name, parts[-2], name, side))
    return found


def _patients(names: Sequence[str], archive: tarfile.TarFile) -> list[Picture]:
    return [Picture(p.name, p.label, patient_of(p.name), p.side) for p in _folders(names, archive)]


def _fires(names: Sequence[str], archive: tarfile.TarFile) -> list[Picture]:
    found = _folders(names, archive)
    return [Picture(p.name, p.label, Path(p.name).name.split("_p")[0], p.side) for p in found]


def _vehicles(names: Sequence[str], archive: tarfile.TarFile) -> list[Picture]:
    vehicles = {"airplane", "automobile", "ship", "truck"}
    return [
        Picture(p.name, "vehicle" if p.label in vehicles else "animal", p.group, p.side)
        for p in _folders(names, archive)
    ]


def _table(archive: tarfile.TarFile) -> list[dict[str, str]]:
    file = archive.extractfile("labels.csv")
    assert file is not None
    return list(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8")))


def _grades(names: Sequence[str], archive: tarfile.TarFile) -> list[Picture]:
    return [Picture(row["image"], row["grade"], row["image"], "either") for row in _table(archive)]


def _scenes(names: Sequence[str], archive: tarfile.TarFile) -> list[Picture]:
    return [
        Picture(row["image"], Path(row["image"]).stem.rstrip("0123456789"), row["group"], "either")
        for row in _table(archive)
    ]


def _rgb_of_bands(tiff: bytes) -> bytes:
    """PNG of bands 4, 3, 2 of an uncompressed patch of 64 x 64 x 5: reflectance of 0 to 0.3."""
    bands = np.frombuffer(tiff[-64 * 64 * 5 * 2 :], "<u2").reshape(64, 64, 5)
    return _png(Image.fromarray((np.clip(bands[..., 2::-1] / 3000, 0, 1) * 255).astype(np.uint8)))


def _small(encoded: bytes, side: int) -> bytes:
    """PNG with a longer side of so many pixels."""
    image = Image.open(io.BytesIO(encoded)).convert("RGB")
    image.thumbnail((side, side))
    return _png(image)


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


SETS: dict[str, StepSet] = {
    "rsscn7": StepSet("rsscn7", _folders, 36, part="set on"),
    "cifar10": StepSet("cifar10", _folders, 25, input_size=64, part="set on"),
    "chest_xray": StepSet("chest_xray", _patients, 80, part="set on"),
    "hymenoptera": StepSet("hymenoptera", _folders, 200, part="set on"),
    "wildfire": StepSet("wildfire_s2", _fires, 150, input_size=64, encode=_rgb_of_bands),
    "grades": StepSet("grades", _grades, 64),
    "scenes": StepSet("multilabel", _scenes, 12),
    "documents, 64 px": StepSet("documents", _folders, 80, input_size=64, encode=partial(_small, side=64)),
    "vehicles": StepSet("cifar10", _vehicles, 125, input_size=64),
    "rsscn7, 840": StepSet("rsscn7", _folders, 120, input_size=64, part="set on"),
    "cifar10, 1000": StepSet("cifar10", _folders, 100, input_size=64, part="set on"),
    "chest_xray, all": StepSet("chest_xray", _patients, 1000, input_size=64, part="set on"),
    "grades, 800": StepSet("grades", _grades, 250, input_size=64),
    "scenes, 1050": StepSet("multilabel", _scenes, 50, input_size=64),
    "cifar10, 4000": StepSet("cifar10", _folders, 400, input_size=64, part="set on"),
}


def folder_of(name: str, seed: int) -> Path:
    """The folder with train and test of one set, made once."""
    folder, chosen = FOLDER / f"{name.replace(', ', '-').replace(' ', '')}-{seed}", SETS[name]
    if folder.is_dir():
        return folder
    with tarfile.open(Path(os.environ["HEADSTART_DATA"]) / f"{chosen.archive}.tar") as archive:
        names = sorted(member.name for member in archive.getmembers() if member.isfile())
        pictures = chosen.pictures(names, archive)
        aside = folder.with_name(folder.name + ".part")
        shutil.rmtree(aside, ignore_errors=True)
        for side, some in _drawn(pictures, chosen.a_class, seed).items():
            for picture in some:
                file = archive.extractfile(picture.name)
                assert file is not None
                encoded = file.read()
                path = aside / side / picture.label / picture.name.replace("/", "_")
                if chosen.encode is not None:
                    encoded, path = chosen.encode(encoded), path.with_suffix(".png")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encoded)
    aside.rename(folder)
    return folder


def _drawn(pictures: Sequence[Picture], a_class: int, seed: int) -> dict[str, list[Picture]]:
    """Pictures of train and of test; no group is on both sides."""
    rng = np.random.default_rng(seed)
    shuffled = [pictures[i] for i in rng.permutation(len(pictures))]
    counts: dict[str, int] = defaultdict(int)
    train: list[Picture] = []
    groups: set[str] = set()
    fixed = any(picture.side != "either" for picture in pictures)
    room = {label: _room(pictures, label, fixed=fixed) for label in {p.label for p in pictures}}
    for picture in shuffled:
        if picture.side == "test" or counts[picture.label] >= min(a_class, room[picture.label]):
            continue
        counts[picture.label] += 1
        train.append(picture)
        groups.add(picture.group)
    drawn = {picture.name for picture in train}
    left = [p for p in shuffled if p.name not in drawn and p.group not in groups and (p.side == "test" or not fixed)]
    return {"train": train, "test": left[:TEST_IMAGES]}


def _room(pictures: Sequence[Picture], label: str, *, fixed: bool) -> int:
    """Images of a class that may train: where the set has no test side, three fifths."""
    count = sum(p.label == label and p.side != "test" for p in pictures)
    return count if fixed else count * 3 // 5
