"""Default values of the domains against those of photos, and each value by itself: three sets, half of each trains.

    HEADSTART_DATA=FOLDER python benchmarks/domain_defaults.py [--seeds 3] [--sets ...] [--variants ...] [--table-only]

A seed divides the images anew, so that no patient and no book is on both sides, and is the seed of the training. Seeds
are the outer loop, so that an interrupted run has a first figure of everything. All runs share one $HEADSTART_HOME
under build/, because only accuracies count. Every run is one line of build/domain_defaults.jsonl. Writes its section
of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from measured import BUILD, Kept, Row, in_new_process, where
from sections import replace_section
from sets import divided, patient_of, unpack

from headstart.knowledge.domain import Domain
from headstart.measures.paired import Crossed, crossed, spread_of_difference
from headstart.measures.seed_variance import half_width

FOLDER = BUILD / "domain-sets"
STRATEGIES = ("progressive", "feature_extraction")
HALF = 0.5
UNSEEN_OF_PAIR = 1.0


def book_of(name: str) -> str:
    """The book, the paper or the receipt that a page belongs to."""
    file = Path(name).name
    return file.split("__")[0] if "__" in file else file.split(".gz_")[0]


@dataclass(frozen=True)
class DomainSet:
    """A set of images of one domain."""

    domain: Domain
    group_of: Callable[[str], str]
    a_class: int | None = None
    """Training images of each class at most; None: all of the half."""
    archive: str | None = None
    """Of the set, where it is another one's."""


SETS: dict[str, DomainSet] = {
    "chest_xray": DomainSet("medical", patient_of),
    "rsscn7": DomainSet("satellite", lambda name: name),
    "documents": DomainSet("document", book_of),
    "documents, 8 a class": DomainSet("document", book_of, 8, "documents"),
}


@dataclass(frozen=True)
class Variant:
    """Options of `headstart train` that stand for one set of values."""

    name: str
    says: str
    arguments: tuple[str, ...]
    sets: tuple[str, ...] = tuple(SETS)


PHOTO = Variant("photo", "photo", ("--domain", "photo"))
VARIANTS = (
    PHOTO,
    Variant("domain", "its domain", ()),
    Variant("clahe", "photo, `--contrast clahe`", ("--domain", "photo", "--contrast", "clahe")),
    Variant("squash", "photo, `--resize squash`", ("--domain", "photo", "--resize", "squash")),
    Variant("letterbox", "photo, `--resize letterbox`", ("--domain", "photo", "--resize", "letterbox")),
    Variant("256", "photo, `--input-size 256`", ("--domain", "photo", "--input-size", "256")),
    Variant("320", "photo, `--input-size 320`", ("--domain", "photo", "--input-size", "320"), ("rsscn7",)),
    Variant("strong", "photo, `--augmentation strong`", ("--domain", "photo", "--augmentation", "strong")),
    Variant(
        "pages",
        "photo, weights of pages (`scripts/convert_wheel_weights.py pages build/pages.safetensors`)",
        ("--domain", "photo", "--model", f"lcnet_100:file:{BUILD / 'pages.safetensors'}"),
        ("documents", "documents, 8 a class"),
    ),
)


def folder_of(name: str, seed: int) -> Path:
    """The folder with train and val of one set, made once."""
    chosen = SETS[name]
    folder = FOLDER / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    if not folder.is_dir():
        with tarfile.open(Path(os.environ["HEADSTART_DATA"]) / f"{chosen.archive or name}.tar") as archive:
            names = sorted(member.name for member in archive.getmembers() if member.isfile())
            sides = divided({one: chosen.group_of(one) for one in names}, names, share=HALF, seed=seed)
            if chosen.a_class is not None:
                sides["train"] = _some(sides["train"], chosen, seed)
            unpack(archive, sides, folder)
    return folder


def _some(names: Sequence[str], chosen: DomainSet, seed: int) -> list[str]:
    """At most `a_class` names of each class, each of another group where there are enough groups."""
    rng = np.random.default_rng(seed)
    found: list[str] = []
    for label in sorted({name.split("/")[-2] for name in names}):
        own = [name for name in names if name.split("/")[-2] == label]
        own = [own[index] for index in rng.permutation(len(own))]
        firsts = list({chosen.group_of(name): name for name in own}.values())
        rest = [name for name in own if name not in firsts]
        found += (firsts + rest)[: chosen.a_class]
    return sorted(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    names = [variant.name for variant in VARIANTS]
    parser.add_argument("--variants", nargs="+", default=names, choices=names)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=STRATEGIES)
    parser.add_argument("--table-only", action="store_true", help="measure nothing, write the section")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "benchmarks.md")
    options = parser.parse_args()
    failed = 0 if options.table_only else measured(options)
    if rows := Kept("domain_defaults").rows():
        replace_section("domain-defaults", section(rows), options.out)
    return min(failed, 1)


def measured(options: argparse.Namespace) -> int:
    """Do what is not done; the number of runs that failed."""
    kept, failed = Kept("domain_defaults"), 0
    for seed in range(1, options.seeds + 1):
        cells = itertools.product(options.strategies, VARIANTS, options.sets)
        for strategy, variant, name in cells:
            key = {"strategy": strategy, "set": name, "variant": variant.name, "seed": seed}
            if variant.name not in options.variants or name not in variant.sets or kept.has(**key):
                continue
            arguments = variant.arguments or ("--domain", SETS[name].domain)
            try:
                kept.add({**key, **run(folder_of(name, seed), seed, ("--strategy", strategy, *arguments))})
            except RuntimeError as error:
                print(error, file=sys.stderr, flush=True)
                failed += 1
    return failed


def run(folder: Path, seed: int, arguments: Sequence[str]) -> Row:
    """One training: accuracy, selected checkpoint, and by test image whether it was classified correctly.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        command = ["-m", "headstart", "train", str(folder), *arguments, "--seed", str(seed), "--json", "--out"]
        answer, seconds = in_new_process([*command, str(out)], home=BUILD / "domain-home")
        predictions = pq.read_table(out / "predictions.parquet").to_pylist()
    return {
        "accuracy": answer["test"]["accuracy"],
        "selected": answer["selected"]["checkpoint"],
        "seconds": seconds,
        "correct": {row["image"].split("/", 1)[1]: row["predicted"] == row["label"] for row in predictions},
    }


def section(rows: Sequence[Row]) -> str:
    """The text of the section: a row a set and variant."""
    lines = [
        "## Default values of the domains",
        "",
        "Written by `python benchmarks/domain_defaults.py`.",
        f"{where()}. `headstart train` with EfficientNet-Lite0; half of the images train, the other half is the test "
        "set, divided anew by each seed: chest_xray by patient, documents by book. Differences are against the values "
        "of photos on the same images and seeds, in points of test accuracy with a 95 % interval over patients or "
        "books, images and seeds; no difference: the interval holds 0.",
        "",
        "| set | training images | strategy | values | seeds | accuracy | minus photo | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, strategy in itertools.product(SETS, STRATEGIES):
        own = [row for row in rows if (row["set"], row["strategy"]) == (name, strategy)]
        base = _by_seed(own, PHOTO.name)
        for variant in VARIANTS:
            if found := _by_seed(own, variant.name):
                mean = np.mean([row["accuracy"] for row in found.values()])
                values = SETS[name].domain if variant.name == "domain" else variant.says
                start = f"| {name} | {_trained(name, found)} | {strategy} | {values} | {len(found)} | {mean:.3f} |"
                seeds = sorted(base.keys() & found.keys())
                compared = variant is not PHOTO and bool(seeds)
                lines.append(f"{start} {_against(name, base, found, seeds)}" if compared else f"{start} | |")
    return "\n".join(lines)


def _by_seed(rows: Sequence[Row], variant: str) -> dict[int, Row]:
    return {row["seed"]: row for row in rows if row["variant"] == variant}


def _trained(name: str, found: dict[int, Row]) -> int:
    return sum(1 for _ in (folder_of(name, min(found)) / "train").glob("*/*"))


def _against(name: str, base: dict[int, Row], found: dict[int, Row], seeds: Sequence[int]) -> str:
    """Two cells: the difference with its interval, and what it means."""
    a, b = (_table(name, [side[seed]["correct"] for seed in seeds], base, seeds) for side in (found, base))
    half = half_width(spread_of_difference(a, b, UNSEEN_OF_PAIR))
    gain = a.mean - b.mean
    verdict = "no difference" if abs(gain) <= half else ("better" if gain > 0 else "worse")
    return f"{100 * gain:+.1f} ({100 * (gain - half):+.1f}..{100 * (gain + half):+.1f}) | {verdict} |"


def _table(name: str, correct: Sequence[dict[str, bool]], base: dict[int, Row], seeds: Sequence[int]) -> Crossed:
    images = sorted(set().union(*(base[seed]["correct"] for seed in seeds)))
    values = np.array([[float(one.get(image, np.nan)) for image in images] for one in correct])
    keys = [SETS[name].group_of(image) for image in images]
    groups = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    return crossed(values, np.zeros(len(images), np.int64), groups)


if __name__ == "__main__":
    sys.exit(main())
