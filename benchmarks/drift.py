"""Drift between splits of real images: how often it is said of random divisions, of planted shifts, of other sources.

    HEADSTART_DATA=FOLDER python benchmarks/drift.py [--parts alarms power sources] [--divisions N] [--write]

- alarms: how often two random parts of a set, whole groups each, are said to differ at the 5 % level;
- power: a share of the test images is brighter, blurred, or shows the same classes from another source;
- sources: sets divided at random, by source and by time, with the same number of images on each side.

What is done is kept in build/drift.jsonl. Writes its section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from drift_sets import (
    TEST_SHARE,
    Features,
    Vector,
    altered_copy,
    book_of,
    cifar_sample,
    features_of,
    fire_of,
    made,
    other_source,
    random_side,
)
from measured import Kept, Row, where
from sections import replace_section

from headstart.inspection.features.drift import FALSE_DRIFT_SHARE
from headstart.inspection.features.split_drift import split_drift
from headstart.measures.intervals import wilson_interval

NAME = "drift"
PARTS = ("alarms", "power", "sources")
SHIFT_SHARES = (0.1, 0.25, 0.5)
TRIALS = 40


def alarm_sets() -> dict[str, tuple[str, str]]:
    """Name -> source and groups."""
    sample = made("cifar10-drift", cifar_sample)
    return {
        "rsscn7": ("rsscn7", "image"),
        "hymenoptera": ("hymenoptera", "image"),
        "cifar10": (str(sample), "image"),
        "chest_xray, by patient": ("chest_xray", "patient"),
        "documents": ("documents", "image"),
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


def section(rows: Sequence[Row]) -> str:
    """The section of docs/benchmarks.md."""
    of = {part: [row for row in rows if row["part"] == part] for part in PARTS}
    return f"""## Drift

Written by `python benchmarks/drift.py`. Features of the default network.

Machine: {where(("numpy", "scipy"))}.

### False alarms

Random divisions, {100 * TEST_SHARE:.0f} % of the groups of each class in the second part, seeds 0 on; how many are said
to differ at the 5 % level, with Wilson's 95 % interval.

{alarms_table(of["alarms"])}

### Power

Sets divided at random ({100 * TEST_SHARE:.0f} % test). A share of the test images of each class is brighter (1.3
times), blurred (deviation of 1/200 of the side), or replaced by images of the same class from another source: UC
Merced, five classes of rsscn7. How often the shift is found, and the median AUROC; 0 % are false alarms.

{power_table(of["power"])}

### Divided by source or time

Every image is a group of its own, as where nobody names groups. Books: early prints and manuscripts, whole books in
test, 20 draws. Random: as many images, drawn.

{sources_table(of["sources"])}
"""


def main() -> None:
    """Measure what is missing, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--divisions", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="only write the section")
    options = parser.parse_args()
    kept = Kept(NAME)
    parts: dict[str, Callable[[], None]] = {
        "alarms": lambda: measure_alarms(kept, options.divisions),
        "power": lambda: measure_power(kept),
        "sources": lambda: measure_sources(kept),
    }
    for part in options.parts if not options.write else ():
        parts[part]()
    replace_section(NAME, section(kept.rows()))


if __name__ == "__main__":
    main()
