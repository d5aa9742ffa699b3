"""Drift between splits of real images: false alarms, planted shifts, other sources, a gap explained, a leak trained.

    HEADSTART_DATA=FOLDER python benchmarks/drift.py [--parts alarms power sources gap leak] [--divisions N] [--write]

- alarms: how often two random parts of a set, whole groups each, are said to differ at the 5 % level;
- power: a share of the test images is brighter, blurred, or shows the same classes from another source;
- sources: sets divided at random, by source and by time, with the same number of images on each side;
- gap: a training whose test images are from another source, and what its result names as the cause of the gap;
- leak: what a split by images inflates, in closed form (as `check` says it) and by training on folds of both kinds.

What is done is kept in build/drift.jsonl. Writes its section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from measured import Kept, Row, where
from PIL import Image, ImageEnhance, ImageFilter
from sections import replace_section
from sets import FOLDER, patient_of

import headstart
from headstart.inspection.features.drift import FALSE_DRIFT_SHARE
from headstart.inspection.features.leak import measure_inflation
from headstart.inspection.features.split_drift import split_drift
from headstart.measures.figure_findings import GAP
from headstart.measures.intervals import mean_interval, wilson_interval
from headstart.runs.tables import PREDICTIONS_FILE, read_predictions

NAME = "drift"
Vector: TypeAlias = npt.NDArray[Any]
TEST_SHARE = 0.3
CIFAR_A_CLASS = 100
SHIFT_SHARES = (0.1, 0.25, 0.5)
TRIALS = 40
NIH_GROUP = r"(\d{8})_"
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


def alarm_sets() -> dict[str, tuple[str, str]]:
    """Name -> source and groups."""
    sample = made("cifar10-drift", cifar_sample)
    return {
        "rsscn7": ("rsscn7", "image"),
        "hymenoptera": ("hymenoptera", "image"),
        "cifar10": (str(sample), "image"),
        "chest_xray, by patient": ("chest_xray", "patient"),
        "documents, by book": ("documents", "book"),
    }


def measure_alarms(kept: Kept, divisions: int) -> None:
    for name, (source, group) in alarm_sets().items():
        if kept.has(part="alarms", set=name, divisions=divisions):
            continue
        found = features_of(source, group)
        chances = []
        for seed in range(divisions):
            side = random_side(found.group_numbers, found.numbers, np.random.default_rng(seed))
            drift = split_drift(found.rows, found.numbers, side, found.group_numbers)
            assert drift is not None
            chances.append(drift.overall.chance)
        alarms = int((np.array(chances) < FALSE_DRIFT_SHARE).sum())
        kept.add({"part": "alarms", "set": name, "divisions": divisions, "images": len(found.rows), "alarms": alarms})


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


def measure_power(kept: Kept) -> None:
    for source in ("rsscn7", "hymenoptera"):
        plain = features_of(str(altered_copy(source, "plain")))
        kinds = {kind: features_of(str(altered_copy(source, kind))) for kind in ("brighter", "blurred")}
        if source == "rsscn7":
            kinds["another source"] = features_of(str(made("uc-merced", other_source)))
        for kind, other in kinds.items():
            for share in (0.0, *SHIFT_SHARES):
                cell = {"part": "power", "set": source, "kind": kind, "share": share}
                if not kept.has(**cell):
                    kept.add({**cell, "trials": TRIALS, **_power(plain, other, share, same_images=kind[0] == "b")})


def _power(plain: Features, other: Features, share: float, *, same_images: bool) -> Row:
    """How often the shift is found, and the median area under the ROC curve."""
    usable = np.flatnonzero(np.isin(plain.labels, np.unique(other.labels)))
    found, areas = 0, []
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        rows, labels = plain.rows[usable].copy(), plain.labels[usable]
        side = random_side(np.arange(len(rows)), np.unique(labels, return_inverse=True)[1], rng)
        for label in np.unique(labels):
            test = np.flatnonzero(side & (labels == label))
            shifted = rng.permutation(test)[: round(share * len(test))]
            # A copy replaces its original; of another source images of the same class do, so that no share changes.
            pool = usable[shifted] if same_images else rng.permutation(np.flatnonzero(other.labels == label))
            shifted = shifted[: len(pool)]
            rows[shifted] = other.rows[pool[: len(shifted)]]
        numbers = np.unique(labels, return_inverse=True)[1].astype(np.int64)
        drift = split_drift(rows, numbers, side, np.arange(len(rows)))
        assert drift is not None
        found += drift.overall.chance < FALSE_DRIFT_SHARE
        areas.append(drift.overall.auroc)
    return {"found": found, "auroc": float(np.median(areas))}


@dataclass(frozen=True)
class Division:
    """A set divided by what its files say of their origin."""

    name: str
    rows: Features
    side_of: Callable[[Sequence[str]], Vector]
    """Ids -> whether each is of the second part."""


def by_books(seed: int) -> Callable[[Sequence[str]], Vector]:
    """Books of each class in random order go to test until it has its share."""

    def side(ids: Sequence[str]) -> Vector:
        rng = np.random.default_rng(seed)
        books = np.array([book_of(one) for one in ids])
        found = np.zeros(len(ids), bool)
        for label in ("early_print", "medieval_manuscript"):
            own = np.array([one.startswith(label) for one in ids])
            for book in rng.permutation(np.unique(books[own])):
                if (found & own).sum() < TEST_SHARE * own.sum():
                    found |= books == book
        return found

    return side


def is_late(ids: Sequence[str]) -> Vector:
    """Fires after the date before which two thirds of the images lie."""
    dates = np.array([int(re.findall(r"\d{8}", fire_of(one))[0]) for one in ids])
    return np.asarray(dates > np.quantile(dates, 1 - TEST_SHARE))


def is_of_a_publication(ids: Sequence[str]) -> Vector:
    """Pictures of COVID-19 cut out of articles, against those that were handed in with a name of hexadecimal digits."""
    handed_in = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}|[0-9a-f]{16}")
    return np.array([handed_in.match(Path(one).name) is None for one in ids])


def chosen(found: Features, which: Vector) -> Features:
    ids = tuple(one for one, is_in in zip(found.ids, which, strict=True) if is_in)
    return Features(found.rows[which], found.labels[which], found.groups[which], ids)


def divisions() -> list[Division]:
    """All that is divided by source or time."""
    documents = features_of("documents")
    old = chosen(documents, np.isin(documents.labels, ("early_print", "medieval_manuscript")))
    chest, fires = features_of("chest_xray"), features_of("wildfire_s2")
    covid = chosen(chest, chest.labels == "covid19")
    books = [Division("documents by book (source)", old, by_books(seed)) for seed in range(20)]
    given = Division("wildfire_s2 as given, by fire", fires, lambda ids: np.array(["test/" in i for i in ids]))
    late = Division("wildfire_s2 by date", fires, is_late)
    return [*books, given, late, Division("chest_xray, covid19 by kind of source", covid, is_of_a_publication)]


def measure_sources(kept: Kept) -> None:
    if kept.has(part="sources"):
        return
    for number, division in enumerate(divisions()):
        found, side = division.rows, division.side_of(division.rows.ids)
        alone = np.arange(len(side))
        drawn = random_side(alone, found.numbers, np.random.default_rng(number), share=float(side.mean()))
        areas = {}
        for how, second in (("divided", side), ("random", drawn)):
            drift = split_drift(found.rows, found.numbers, second, alone)
            assert drift is not None, division.name
            areas[how] = {"auroc": drift.overall.auroc, "chance": drift.overall.chance}
        kept.add({"part": "sources", "division": division.name, "test": int(side.sum()), "images": len(side), **areas})


def measure_gap(kept: Kept) -> None:
    """A small training with test images of another source, and one with test images of the same."""
    plain, other = altered_copy("rsscn7", "plain"), made("uc-merced", other_source)
    for kind in ("another source", "the same source"):
        if kept.has(part="gap", test=kind):
            continue
        with tempfile.TemporaryDirectory() as folder:
            rng = np.random.default_rng(0)
            for label in UC_MERCED:
                files = [Path(one) for one in rng.permutation(sorted(map(str, (plain / label).iterdir())))]
                test = sorted((other / label).iterdir())[:100] if kind == "another source" else files[100:]
                for split, some in (("train", files[:100]), ("test", test)):
                    (Path(folder) / split / label).mkdir(parents=True)
                    for file in some:
                        shutil.copy(file, Path(folder) / split / label / file.name)
            result = headstart.train(
                folder, strategy="feature_extraction", out=Path(folder) / "run", progress="none", seed=1
            )
            gaps = [finding.evidence for finding in result.metrics.findings if finding.what == GAP]
            kept.add({"part": "gap", "test": kind, "accuracy": result.accuracy, "evidence": gaps})


def measure_leak(kept: Kept, seeds: Sequence[int]) -> None:
    """Accuracy over five folds, by image and by group, of real trainings; and the same in closed form."""
    for name, group, pattern in (
        ("chest_xray", "patient", NIH_GROUP),
        ("wildfire_s2", "fire", r"([^/]*)_(?:pre|post)"),
    ):
        found = features_of(name, group)
        if not kept.has(part="leak", set=name, side="closed form"):
            inflation = measure_inflation(found.rows, found.numbers, found.group_numbers)
            closed = {"value": inflation.value, "interval": inflation.interval}
            kept.add({"part": "leak", "set": name, "side": "closed form", **closed})
        for seed in seeds:
            if not kept.has(part="leak", set=name, side="trained", seed=seed):
                correct = [_fold_correct(name, seed, given) for given in (None, pattern)]
                kept.add({"part": "leak", "set": name, "side": "trained", "seed": seed, "correct": correct})


def _fold_correct(name: str, seed: int, group: str | None) -> dict[str, bool]:
    """Image -> whether the training of the other folds predicts it."""
    correct: dict[str, bool] = {}
    for fold in range(1, 6):
        with tempfile.TemporaryDirectory() as folder:
            options: dict[str, Any] = {"group": group} if group else {}
            run = headstart.train(
                str(archive(name)), strategy="feature_extraction", fold=f"{fold}/5", seed=seed, test_seed=seed,
                out=Path(folder) / "run", progress="none", **options,
            )  # fmt: skip
            rows = read_predictions(run.run.folder / PREDICTIONS_FILE)
            correct |= {row.image: row.predicted == row.label for row in rows}
    return correct


def trained_inflation(rows: Sequence[Row], groups: Sequence[str]) -> tuple[float, float, float]:
    """Mean of the accuracy by image less that by group, with its 95 % interval over groups.

    Args:
        rows: Of the seeds.
        groups: Of the images in the order of their names.
    """
    names = sorted(rows[0]["correct"][0])
    gains = np.array([[row["correct"][0][one] - float(row["correct"][1][one]) for one in names] for row in rows])
    numbers = np.unique(list(groups), return_inverse=True)[1].astype(np.int64)
    low, high = mean_interval(gains.mean(axis=0), numbers)
    return float(gains.mean()), low, high


def share(found: int, count: int) -> str:
    """`11 of 200 (0.031..0.096)`, by Wilson (1927)."""
    if not count:
        return "not measured"
    low, high = wilson_interval(found, count)
    return f"{found} of {count} ({low:.3f}..{high:.3f})"


def alarms_table(rows: Sequence[Row]) -> str:
    lines = ["| set | images | divisions said to differ |", "| - | - | - |"]
    lines += [f"| {row['set']} | {row['images']:,} | {share(row['alarms'], row['divisions'])} |" for row in rows]
    whole = share(sum(row["alarms"] for row in rows), sum(row["divisions"] for row in rows))
    return "\n".join([*lines, f"| all | | {whole} |"])


def power_table(rows: Sequence[Row]) -> str:
    shares = (0.0, *SHIFT_SHARES)
    lines = [
        "| set, shift | " + " | ".join(f"{100 * one:.0f} %" for one in shares) + " |",
        "| - |" + " - |" * len(shares),
    ]
    for name, kind in dict.fromkeys((row["set"], row["kind"]) for row in rows):
        cells = {row["share"]: row for row in rows if (row["set"], row["kind"]) == (name, kind)}
        said = [f"{one['found']} of {one['trials']}, {one['auroc']:.2f}" for at in shares if (one := cells.get(at))]
        lines.append(f"| {name}, {kind} | " + " | ".join(said) + " |")
    return "\n".join(lines)


def sources_table(rows: Sequence[Row]) -> str:
    lines = ["| set | divided so: found | AUROC | at random: found | AUROC |", "| - | - | - | - | - |"]
    for name in dict.fromkeys(row["division"] for row in rows):
        cells = [row for row in rows if row["division"] == name]
        parts = []
        for how in ("divided", "random"):
            found = sum(row[how]["chance"] < FALSE_DRIFT_SHARE for row in cells)
            areas = [row[how]["auroc"] for row in cells]
            spread = f" ({min(areas):.2f}..{max(areas):.2f})" if len(areas) > 1 else ""
            parts += [f"{found} of {len(cells)}", f"{fmean(areas):.2f}{spread}"]
        lines.append(f"| {name} | " + " | ".join(parts) + " |")
    return "\n".join(lines)


def leak_table(rows: Sequence[Row]) -> str:
    lines = ["| set | side | seeds | inflation in points (95 %) |", "| - | - | - | - |"]
    for name in dict.fromkeys(row["set"] for row in rows):
        cells = [row for row in rows if row["set"] == name]
        closed = next((row for row in cells if row["side"] == "closed form"), None)
        if closed is not None:
            low, high = closed["interval"]
            lines.append(f"| {name} | closed form | | {in_points(closed['value'], low, high)} |")
        trained = [row for row in cells if row["side"] == "trained"]
        if trained:
            of = patient_of if name == "chest_xray" else fire_of
            groups = [of(one) for one in sorted(trained[0]["correct"][0])]
            seeds = ", ".join(str(row["seed"]) for row in trained)
            lines.append(f"| {name} | trained on both | {seeds} | {in_points(*trained_inflation(trained, groups))} |")
    return "\n".join(lines)


def in_points(value: float, low: float, high: float) -> str:
    return f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def section(rows: Sequence[Row]) -> str:
    """The section of docs/benchmarks.md."""
    of = {part: [row for row in rows if row["part"] == part] for part in PARTS}
    gaps = "\n".join(
        f"- test images of {row['test']}: accuracy {row['accuracy']:.3f}; {' '.join(row['evidence']) or 'no gap'}"
        for row in of["gap"]
    )
    return f"""## Drift and leaks

Written by `python benchmarks/drift.py`. Features of the default network.

Machine: {where(("numpy", "scipy"))}.

### False alarms

Random divisions, {100 * TEST_SHARE:.0f} % of the groups of each class in the second part, seeds 0 on; how many are said
to differ at the 5 % level, with Wilson's 95 % interval.

{alarms_table(of["alarms"])}

### Power

Sets divided at random ({100 * TEST_SHARE:.0f} % test). A share of the test images of each class is brighter (1.3 times),
blurred (deviation of 1/200 of the side), or replaced by images of the same class from another source (UC Merced for
rsscn7, five classes). How often the shift is found, and the median AUROC; 0 % are false alarms.

{power_table(of["power"])}

### Divided by source or time

Every image is a group of its own, as where nobody names groups. Books: early prints and manuscripts, whole books in
test, 20 draws. Random: as many images, drawn.

{sources_table(of["sources"])}

### A gap explained

`headstart train --strategy feature_extraction` on 100 training images of each of five classes of rsscn7.

{gaps}

### What a leaking split inflates

Closed form: as `headstart check` says it, by leaving out. Trained: five folds by image and five by group
(`headstart train --fold`, `feature_extraction`), every image predicted once by each; the difference is paired.

{leak_table(of["leak"])}
"""


PARTS = ("alarms", "power", "sources", "gap", "leak")


def main() -> None:
    """Measure what is missing, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--divisions", type=int, default=200)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--write", action="store_true", help="only write the section")
    options = parser.parse_args()
    kept = Kept(NAME)
    parts: dict[str, Callable[[], None]] = {
        "alarms": lambda: measure_alarms(kept, options.divisions),
        "power": lambda: measure_power(kept),
        "sources": lambda: measure_sources(kept),
        "gap": lambda: measure_gap(kept),
        "leak": lambda: measure_leak(kept, options.seeds),
    }
    for part in options.parts if not options.write else ():
        parts[part]()
    replace_section(NAME, section(kept.rows()))


if __name__ == "__main__":
    main()
