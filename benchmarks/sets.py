"""The four real image sets as folders of train/CLASS and val/CLASS, the same files for every side.

The tar files are those of $HEADSTART_DATA, described in its README.md. A folder is made once under build/sets, in one
move, and taken as it is from then on.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np

SetName = Literal["hymenoptera", "cifar10", "rsscn7", "chest_xray"]
SETS: tuple[SetName, ...] = get_args(SetName)
LIMITED: tuple[SetName, ...] = ("rsscn7", "chest_xray")
"""Those of which training images may be left out."""
Sides: TypeAlias = dict[str, list[str]]
"""train and val -> names in the tar file, CLASS/FILE or SPLIT/CLASS/FILE."""

FOLDER = Path(__file__).parents[1] / "build" / "sets"
CIFAR_LABELS_A_CLASS, CIFAR_JUDGED_A_CLASS = 100, 200
HELD_OUT_SHARE = 0.2
SEED = 0
NIH_NAME = re.compile(r"(\d{8})_")
PUBLICATION_LETTERS = 20


def folder_of(name: SetName, *, limit: int | None = None) -> Path:
    """The folder with train and val of one set.

    Args:
        name: Which.
        limit: At most so many training images of the sets in LIMITED, drawn class by class; None takes all.
    """
    folder = FOLDER / (f"{name}-{limit}" if limit and name in LIMITED else name)
    if not folder.is_dir():
        with tarfile.open(Path(os.environ["HEADSTART_DATA"]) / f"{name}.tar") as archive:
            names = sorted(member.name for member in archive.getmembers() if member.isfile())
            sides = DIVIDED[name](names)
            if limit and name in LIMITED:
                sides["train"] = _sampled(sides["train"], limit)
            unpack(archive, sides, folder)
    return folder


def unpack(archive: tarfile.TarFile, sides: Sides, folder: Path) -> None:
    """Write the files of a tar to FOLDER/SIDE/CLASS, in one move."""
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    for side, names in sides.items():
        for name in names:
            file = archive.extractfile(name)
            assert file is not None
            path = aside / side / _class_of(name) / Path(name).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read())
    aside.rename(folder)


def _class_of(name: str) -> str:
    return name.split("/")[-2]


def _by_class(names: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[_class_of(name)].append(name)
    return dict(sorted(found.items()))


def _first(names: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    return [names[i] for i in rng.permutation(len(names))[:count]]


def _sampled(names: Sequence[str], limit: int) -> list[str]:
    """`limit` names or all, every class in its share."""
    if limit >= len(names):
        return list(names)
    rng = np.random.default_rng(SEED)
    return [
        n for group in _by_class(names).values() for n in _first(group, round(limit * len(group) / len(names)), rng)
    ]


def _given(names: Sequence[str]) -> Sides:
    """The split that the tar file comes with."""
    return {side: [n for n in names if n.split("/")[0] == side] for side in ("train", "val")}


def _cifar10(names: Sequence[str]) -> Sides:
    """1,000 labels and 2,000 test images, as many of every class."""
    rng = np.random.default_rng(SEED)
    counts = {"train": CIFAR_LABELS_A_CLASS, "test": CIFAR_JUDGED_A_CLASS}
    drawn = {
        split: [
            n
            for group in _by_class([n for n in names if n.split("/")[0] == split]).values()
            for n in _first(group, count, rng)
        ]
        for split, count in counts.items()
    }
    return {"train": drawn["train"], "val": drawn["test"]}


def _rsscn7(names: Sequence[str]) -> Sides:
    """A fifth of every class is the validation set."""
    return divided({name: name for name in names}, names)


def _chest_xray(names: Sequence[str]) -> Sides:
    """A fifth of every class is held out; no patient, and no publication of the other source, is on both sides."""
    return divided({name: patient_of(name) for name in names}, names)


def patient_of(name: str) -> str:
    """NIH's patient number; of the other source the beginning of the name, which pictures of one publication share."""
    nih = NIH_NAME.match(Path(name).name)
    return nih.group(1) if nih else Path(name).name[:PUBLICATION_LETTERS]


def divided(
    group_of: Mapping[str, str], names: Sequence[str], *, share: float = HELD_OUT_SHARE, seed: int = SEED
) -> Sides:
    """Whole groups in random order go to val while their class has room in its share; a group has its first class."""
    rng = np.random.default_rng(seed)
    members: dict[str, list[str]] = defaultdict(list)
    for name in names:
        members[group_of[name]].append(name)
    held_out: set[str] = set()
    for group in _by_class(names).values():
        wanted = round(share * len(group))
        owned = sorted({group_of[n] for n in group if members[group_of[n]][0] in set(group)})
        for key in _first(owned, len(owned), rng):
            if sum(group_of[n] in held_out for n in group) + len(members[key]) <= wanted:
                held_out.add(key)
    sides: Sides = {"train": [], "val": []}
    for name in names:
        sides["val" if group_of[name] in held_out else "train"].append(name)
    return sides


DIVIDED = {"hymenoptera": _given, "cifar10": _cifar10, "rsscn7": _rsscn7, "chest_xray": _chest_xray}
