"""Features of real sets with the origin of each image, and sets that are brighter, blurred, or of another source.

Folders are made once under build/sets.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter
from sets import FOLDER, patient_of

import headstart

Vector: TypeAlias = npt.NDArray[Any]
TEST_SHARE = 0.3
CIFAR_A_CLASS = 100
FIRE = re.compile(r"/([^/]*)_(?:pre|post)")
UC_MERCED = {
    "Field": ("agricultural",),
    "Forest": ("forest",),
    "Resident": ("denseresidential", "mediumresidential"),
    "Parking": ("parkinglot",),
    "RiverLake": ("river",),
}
"""Class of rsscn7 -> scenes of UC Merced that show the same, by the names of its files."""


@dataclass(frozen=True)
class Features:
    """Features of one set."""

    rows: Vector
    labels: Vector
    groups: Vector
    ids: tuple[str, ...]

    @property
    def numbers(self) -> Vector:
        """(N,) class of each."""
        return np.unique(self.labels, return_inverse=True)[1].astype(np.int64)

    @property
    def group_numbers(self) -> Vector:
        """(N,) group of each."""
        return np.unique(self.groups, return_inverse=True)[1].astype(np.int64)


def archive(name: str) -> Path:
    return Path(os.environ["HEADSTART_DATA"]) / f"{name}.tar"


def made(name: str, fill: Callable[[Path], None]) -> Path:
    """A folder under build/sets, filled once in one move."""
    folder = FOLDER / name
    if not folder.is_dir():
        aside = folder.with_name(folder.name + ".part")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        fill(aside)
        aside.replace(folder)
    return folder


def cifar_sample(folder: Path) -> None:
    """The first test images of every class."""
    held: dict[str, int] = defaultdict(int)
    with tarfile.open(archive("cifar10")) as tar:
        for member in sorted(tar.getmembers(), key=lambda one: one.name):
            label = member.name.split("/")[-2] if member.isfile() else ""
            if member.name.startswith("test/") and label and held[label] < CIFAR_A_CLASS:
                held[label] += 1
                write(tar, member, folder / label / Path(member.name).name)


def write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    file = tar.extractfile(member)
    assert file is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.read())


@cache
def features_of(source: str, group: str = "image") -> Features:
    """Features of a set by its name, or of a folder.

    Args:
        source: Name of a tar file without its suffix, or a folder.
        group: image; patient of chest_xray; book of documents; fire of wildfire_s2.
    """
    found = headstart.embed(str(archive(source)) if archive(source).is_file() else source)
    named = {"patient": patient_of, "book": book_of, "fire": fire_of}
    names = [named[group](one) if group in named else one for one in found.ids]
    return Features(found.features, np.array(found.labels), np.array(names), tuple(found.ids))


def book_of(name: str) -> str:
    return name.split("__")[0]


def fire_of(name: str) -> str:
    match = FIRE.search(name)
    assert match is not None, name
    return match.group(1)


def random_side(groups: Vector, labels: Vector, rng: np.random.Generator, share: float = TEST_SHARE) -> Vector:
    """(N,) whether each is of the second part: whole groups, this share of those of each class."""
    side = np.zeros(len(groups), bool)
    _, first = np.unique(groups, return_index=True)
    for label in np.unique(labels[first]):
        own = groups[first][labels[first] == label]
        side |= np.isin(groups, rng.permutation(own)[: max(1, round(share * len(own)))])
    return side


def altered_copy(source: str, kind: str) -> Path:
    """The set with every image brighter or blurred."""

    def fill(folder: Path) -> None:
        with tarfile.open(archive(source)) as tar:
            for member in tar.getmembers():
                if not member.isfile():
                    continue
                file = tar.extractfile(member)
                assert file is not None
                image = Image.open(io.BytesIO(file.read())).convert("RGB")
                if kind == "brighter":
                    image = ImageEnhance.Brightness(image).enhance(1.3)
                elif kind == "blurred":
                    image = image.filter(ImageFilter.GaussianBlur(max(image.size) / 200))
                path = folder / Path(*Path(member.name).parts[-2:])
                path.parent.mkdir(parents=True, exist_ok=True)
                image.save(path.with_suffix(".jpg"), quality=95)

    return made(f"{source}-{kind}", fill)


def other_source(folder: Path) -> None:
    """Scenes of UC Merced in the classes of rsscn7."""
    of_scene = {scene: label for label, scenes in UC_MERCED.items() for scene in scenes}
    with tarfile.open(archive("multilabel")) as tar:
        for member in tar.getmembers():
            scene = Path(member.name).stem.rstrip("0123456789")
            if member.isfile() and scene in of_scene:
                write(tar, member, folder / of_scene[scene] / Path(member.name).name)
