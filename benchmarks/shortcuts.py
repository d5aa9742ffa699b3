"""Marks planted into real images: how many `headstart check` names as shortcuts, and false alarms on unmarked ones.

    HEADSTART_DATA=FOLDER python benchmarks/shortcuts.py [--parts marks alarms] [--trials N] [--alarms N] [--write]

A trial draws images of one set, saves all of them anew in one way, and marks a share of one class. The classes are
real ones, or random halves of images whose contents say nothing of them. A mark counts as found where a finding names
the part that carries it. What is done is kept in build/shortcuts.jsonl. Writes its section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import io
import os
import tarfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from measured import Kept, Row, where
from PIL import Image
from scipy.special import betaincinv
from sections import replace_section

import headstart
from headstart.data.checks.image_checks import read_all
from headstart.data.sources.reading import ImageRecord
from headstart.findings import Finding
from headstart.inspection.features.shortcuts import SHORTCUT, find_shortcuts
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan
from headstart.plan.request import DEFAULT_MODEL, Request
from headstart.runs.progress import no_progress
from headstart.workflow.checking.features import checked_features
from headstart.workflow.images import requested_input

NAME = "shortcuts"
INPUT_SIZE = 96
"""Of the features of whole images: a seventh of the time at 224 pixels."""
QUALITY = 90
Pixels: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Magnitude:
    """How much of a mark there is."""

    share: float
    """Of the images of the class that carry it."""
    opacity: float
    """Of a corner, an edge, a stamp: 1 hides what was there."""
    quality: int
    """Of the JPEG of a marked image; the others have QUALITY."""
    gain: float
    """All values are multiplied by it."""


MAGNITUDES = {
    "strong": Magnitude(1.0, 1.0, 60, 2.0),
    "medium": Magnitude(0.8, 0.6, 80, 1.6),
    "weak": Magnitude(0.6, 0.4, 88, 1.4),
    "faint": Magnitude(0.3, 0.2, 89, 1.15),
}
"""The first three should be found; the last shows where finding ends."""
PARTS_OF = {
    "corner": ("top right corner",),
    "edge": ("edge",),
    "stamp": ("bottom left corner", "edge"),
    "compression": ("file format, compression and tags", "size of the file"),
    "brightness": ("brightness and colour", "coarse light and dark"),
}
"""Kind -> parts by which it may be named."""
KINDS = tuple(PARTS_OF)
_LETTER = np.array([[c == "#" for c in row] for row in ("#####", "#...#", "#####", "#.#..", "#..##")])
"""An R as radiographers put it next to the patient."""


@dataclass(frozen=True)
class Base:
    """What a trial draws from."""

    set: str
    classes: str
    """random, or real."""
    per_class: int

    @property
    def name(self) -> str:
        """In tables."""
        return f"{self.set}, {self.classes} classes"


BASES = tuple(Base(name, classes, 120) for name in ("rsscn7", "cifar10") for classes in ("random", "real"))


def blended(pixels: Pixels, where_HW: npt.NDArray[np.bool_], colour: Sequence[int], opacity: float) -> Pixels:  # noqa: N803
    """The image with a colour laid over some of its pixels."""
    found = pixels.astype(np.float32)
    found[where_HW] = (1 - opacity) * found[where_HW] + opacity * np.array(colour, np.float32)
    return np.clip(found.round(), 0, 255).astype(np.uint8)


def marked(pixels: Pixels, kind: str, magnitude: Magnitude) -> Pixels:
    """The image with its mark; a mark of compression is made where the file is saved."""
    height, width = pixels.shape[:2]
    area = np.zeros((height, width), bool)
    if kind == "corner":
        area[: max(1, height // 12), -max(1, width // 12) :] = True
        return blended(pixels, area, (255, 255, 255), magnitude.opacity)
    if kind == "edge":
        line = max(1, min(height, width) // 64)
        area[:line] = area[-line:] = area[:, :line] = area[:, -line:] = True
        return blended(pixels, area, (0, 0, 0), magnitude.opacity)
    if kind == "stamp":
        dot = max(1, min(height, width) // 40)
        letter = np.kron(_LETTER, np.ones((dot, dot), bool))
        area[-letter.shape[0] - dot : -dot, dot : dot + letter.shape[1]] = letter
        return blended(pixels, area, (255, 255, 0), magnitude.opacity)
    if kind == "brightness":
        return np.clip(pixels.astype(np.float32) * magnitude.gain, 0, 255).round().astype(np.uint8)
    return pixels


def saved(pixels: Pixels, quality: int = QUALITY) -> bytes:
    """The JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def pictures(name: str) -> dict[str, list[str]]:
    """Class -> names in the archive of the set."""
    found: dict[str, list[str]] = defaultdict(list)
    with tarfile.open(Path(os.environ["HEADSTART_DATA"]) / f"{name}.tar") as archive:
        for member in archive.getmembers():
            if member.isfile():
                found[member.name.split("/")[-2]].append(member.name)
    return {label: sorted(names) for label, names in sorted(found.items())}


class Archive:
    """Images of one set, read where they are drawn."""

    def __init__(self, name: str) -> None:
        self.by_class = pictures(name)
        self._archive = tarfile.open(Path(os.environ["HEADSTART_DATA"]) / f"{name}.tar")  # noqa: SIM115 - kept open

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def read(self, name: str) -> Pixels:
        """RGB pixels."""
        file = self._archive.extractfile(name)
        assert file is not None
        pixels: Pixels = np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"), np.uint8)
        return pixels


def drawn(archive: Archive, base: Base, seed: int) -> list[tuple[str, str]]:
    """(name, label) of the images of one trial: labels b and a in turn."""
    rng = np.random.default_rng(seed)
    if base.classes == "real":
        pair = rng.permutation(sorted(archive.by_class))[:2].tolist()
        names = [rng.permutation(archive.by_class[one])[: base.per_class].tolist() for one in pair]
        return [(name, label) for both in zip(*names, strict=True) for name, label in zip(both, "ba", strict=True)]
    every = [name for names in archive.by_class.values() for name in names]
    return [(name, "ba"[i % 2]) for i, name in enumerate(rng.permutation(every)[: 2 * base.per_class].tolist())]


def findings_of(
    archive: Archive, images: Sequence[tuple[str, str]], encode: Callable[[Pixels, str, int], bytes]
) -> list[Finding]:
    """Shortcuts among images.

    Args:
        archive: Their set.
        images: (name, label) of each.
        encode: (pixels, label, number in its class) -> file.
    """
    numbers: dict[str, int] = defaultdict(int)
    records = []
    for name, label in images:
        content = encode(archive.read(name), label, numbers[label])
        records.append(
            ImageRecord(f"{label}/{Path(name).parent.name}-{Path(name).name}", label, "all", content=content)
        )
        numbers[label] += 1
    request = Request(DataPlan.from_options(source="made"), input_size=INPUT_SIZE)
    facts = read_all(records)
    groups = {record.id: record.id for record in records}
    seen = checked_features(facts, groups, find_model(DEFAULT_MODEL), requested_input(request), progress=no_progress)
    return find_shortcuts(seen)


def trial(archive: Archive, base: Base, kind: str, magnitude: Magnitude, seed: int) -> Row:
    """What was found where one class is marked."""

    def encode(pixels: Pixels, label: str, number: int) -> bytes:
        if label == "a" or number >= round(magnitude.share * base.per_class):
            return saved(pixels)
        return saved(marked(pixels, kind, magnitude), magnitude.quality if kind == "compression" else QUALITY)

    found = [finding.evidence for finding in findings_of(archive, drawn(archive, base, seed), encode)]
    named = any(evidence.startswith(f"the {part} alone") for evidence in found for part in PARTS_OF[kind])
    return {"found": named, "evidence": found}


def measure_marks(kept: Kept, seeds: range) -> None:
    for seed in seeds:
        for base in BASES:
            archive = Archive(base.set)
            for kind in KINDS:
                for magnitude in MAGNITUDES:
                    cell = {"part": "marks", "base": base.name, "kind": kind, "magnitude": magnitude, "seed": seed}
                    if not kept.has(**cell):
                        kept.add({**cell, **trial(archive, base, kind, MAGNITUDES[magnitude], seed)})


def measure_alarms(kept: Kept, count: int) -> None:
    """Shortcuts that are named among images whose classes are random and which carry no mark."""
    bases = [Base(name, "random", per_class) for name in ("rsscn7", "cifar10") for per_class in (40, 120)]
    for base in bases:
        archive = Archive(base.set)
        for seed in range(count // len(bases)):
            cell = {"part": "alarms", "base": base.name, "per_class": base.per_class, "seed": seed}
            if not kept.has(**cell):
                found = findings_of(archive, drawn(archive, base, 1000 + seed), lambda pixels, *_: saved(pixels))
                kept.add({**cell, "evidence": [finding.evidence for finding in found]})


def measure_sets(kept: Kept) -> None:
    """What is named in whole sets as they are."""
    for name in ("hymenoptera", "rsscn7", "chest_xray"):
        if not kept.has(part="sets", set=name):
            source = str(Path(os.environ["HEADSTART_DATA"]) / f"{name}.tar")
            found = [one.evidence for one in headstart.check(source).findings if one.what == SHORTCUT]
            kept.add({"part": "sets", "set": name, "evidence": found})


def share(found: int, count: int) -> str:
    """`38 of 40 (0.83..0.99)`, by Clopper and Pearson (1934)."""
    low, high = exact_interval(found, count)
    return f"{found} of {count} ({low:.2f}..{high:.2f})"


def exact_interval(found: int, count: int) -> tuple[float, float]:
    """95 %, never too narrow."""
    low = float(betaincinv(found, count - found + 1, 0.025)) if found else 0.0
    high = float(betaincinv(found + 1, count - found, 0.975)) if found < count else 1.0
    return low, high


def mark_table(rows: Sequence[Row], classes: str) -> str:
    """Found marks by kind and magnitude."""
    lines = ["| mark | " + " | ".join(MAGNITUDES) + " |", "|" + " - |" * (1 + len(MAGNITUDES))]
    for kind in KINDS:
        cells = []
        for magnitude in MAGNITUDES:
            cell = [
                r["found"] for r in rows if (r["kind"], r["magnitude"]) == (kind, magnitude) and classes in r["base"]
            ]
            cells.append(share(sum(cell), len(cell)) if cell else "")
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def all_found(rows: Sequence[Row], classes: str, kinds: Sequence[str] = KINDS) -> str:
    """Marks of the three magnitudes that should be found."""
    should = [r["found"] for r in rows if classes in r["base"] and r["magnitude"] != "faint" and r["kind"] in kinds]
    return share(sum(should), len(should))


def section(rows: Sequence[Row]) -> str:
    """The section of docs/benchmarks.md."""
    marks, alarms, sets = ([row for row in rows if row["part"] == part] for part in ("marks", "alarms", "sets"))
    magnitudes = "\n".join(
        f"| {name} | {100 * one.share:.0f} % | {one.opacity} | {one.quality} against {QUALITY} | {one.gain} |"
        for name, one in MAGNITUDES.items()
    )
    named = "\n".join(f"- {row['set']}: {'; '.join(row['evidence']) or 'nothing'}." for row in sets)
    by_size = ", ".join(
        f"{size} images a class {share(sum(bool(row['evidence']) for row in cell), len(cell))}"
        for size in sorted({row["per_class"] for row in alarms})
        if (cell := [row for row in alarms if row["per_class"] == size])
    )
    unbright = [kind for kind in KINDS if kind != "brightness"]
    return f"""## Shortcuts

Written by `python benchmarks/shortcuts.py`. Two classes of {BASES[0].per_class} images each, drawn from rsscn7 or
cifar10 and all saved as JPEG of quality {QUALITY}; a share of one class is marked before. The classes are real ones, or
random halves of images that show the same things. Corner: a white square of a twelfth of the side. Edge: a dark line of
1/64 of the side. Stamp: a yellow letter of an eighth of the side. Compression: another JPEG quality. Brightness: all
values times a gain. A mark is found where a finding names the part that carries it.

| magnitude | share of the class | opacity of corner, edge, stamp | JPEG quality | gain |
| - | - | - | - | - |
{magnitudes}

Machine: {where(("numpy", "scipy", "pillow"))}. Features of whole images at {INPUT_SIZE} pixels. Intervals: 95 %,
Clopper and Pearson.

### Found marks, random classes

{mark_table(marks, "random")}

Of the three magnitudes above faint: {all_found(marks, "random")}.

### Found marks, real classes

{mark_table(marks, "real")}

Of the three magnitudes above faint without brightness: {all_found(marks, "real", unbright)}. The brightness of
real classes may be what they mean; it is named where it tells them as well as the whole image does.

### False alarms

Unmarked images in random classes for which any shortcut is named: {by_size}.

In whole sets as they are:

{named}
"""


def main() -> None:
    """Measure what is missing, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["marks", "alarms", "sets"], choices=["marks", "alarms", "sets"])
    parser.add_argument("--trials", type=int, default=20, help="of each base, kind and magnitude")
    parser.add_argument("--alarms", type=int, default=240)
    parser.add_argument("--write", action="store_true", help="only write the section")
    options = parser.parse_args()
    kept = Kept(NAME)
    if not options.write:
        if "sets" in options.parts:
            measure_sets(kept)
        if "alarms" in options.parts:
            measure_alarms(kept, options.alarms)
        if "marks" in options.parts:
            measure_marks(kept, range(options.trials))
    replace_section(NAME, section(kept.rows()))


if __name__ == "__main__":
    main()
