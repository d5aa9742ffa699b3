"""Three against five bands on wildfire_s2, by each way from bands to pretrained weights: five folds of whole fires.

    HEADSTART_DATA=FOLDER python benchmarks/channels.py [--ways learned ...] [--table] [--write]

858 tiles of 64 x 64 pixels and five bands of Sentinel-2 (blue, green, red, near and short-wave infrared), 32 fires,
both splits of the set pooled. Each tile is a test image once. Statistics, probes and heads see the training images of
their fold only. What is done is kept in build/channels.jsonl; --write writes the section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import tifffile
from measured import BUILD, Kept, Row, where
from sections import replace_section

import headstart
from headstart.data.sources.dataset import ImageRecord
from headstart.data.splits import deal
from headstart.measures.intervals import mean_interval, numbered

NAME = "channels"
FOLDS, INPUT_SIZE, BITS = 5, 128, 15
"""15 bits hold the largest reflectance, 21,280 of 10,000."""
FOLDER = BUILD / "sets" / "wildfire_s2"
STATISTICS = "five bands, means and deviations"
CHOSEN = "five bands, auto"
WAYS: dict[str, dict[str, Any]] = {
    "three bands (3,2,1), plain": {"bands": "3,2,1", "channels": "plain"},
    "three bands (3,2,1), band_map": {"bands": "3,2,1", "channels": "band_map"},
    "three bands (5,4,3), band_map": {"bands": "5,4,3", "channels": "band_map"},
    "three bands (3,2,1), random_convolutions": {"bands": "3,2,1", "channels": "random_convolutions"},
    "five bands, repeat": {"channels": "repeat"},
    "five bands, sum": {"channels": "sum"},
    "five bands, learned": {"channels": "learned"},
    "five bands, random_convolutions": {"channels": "random_convolutions"},
    CHOSEN: {"channels": "auto"},
}
BASES = ("three bands (3,2,1), band_map", "three bands (5,4,3), band_map")
"""That the others are compared with: the same statistics, the bands of a photo, and the three that show fires best."""


def prepared() -> list[ImageRecord]:
    """The tiles as files, and a table a fold; their group is the fire."""
    if not FOLDER.is_dir():
        aside = FOLDER.with_name(FOLDER.name + ".part")
        shutil.rmtree(aside, ignore_errors=True)
        with tarfile.open(Path(os.environ["HEADSTART_DATA"]) / "wildfire_s2.tar") as archive:
            archive.extractall(aside, filter="data")
        aside.rename(FOLDER)
    paths = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.tif"))
    assert len(paths) == 858
    records = [ImageRecord(p, Path(p).parent.name, "all", group=_fire(p)) for p in paths]
    fold_of = _folds(records)
    for fold in range(FOLDS):
        with (FOLDER / f"fold{fold}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("image", "label", "split", "group"))
            for record, own in zip(records, fold_of, strict=True):
                writer.writerow((record.id, record.label, "test" if own == fold else "train", record.group))
    return records


def _fire(path: str) -> str:
    found = re.match(r"(.+?)_(?:pre|post)", Path(path).name)
    assert found is not None, path
    return found[1]


def measure(way: str, fold: int, kept: Kept) -> None:
    """Train on all other folds and keep what was predicted for the tiles of this one."""
    if kept.has(way=way, fold=fold):
        return
    with tempfile.TemporaryDirectory() as folder:
        result = headstart.train(
            FOLDER / f"fold{fold}.csv",
            strategy="feature_extraction",
            input_size=INPUT_SIZE,
            bits=BITS,
            out=Path(folder) / "run",
            progress="none",
            **WAYS[way],
        )
        table = pq.read_table(Path(folder) / "run" / "predictions.parquet")
        predicted = dict(zip(table["image"].to_pylist(), table["predicted"].to_pylist(), strict=True))
        plan = (Path(folder) / "run" / "plan.resolved.yaml").read_text(encoding="utf-8")
    selected = re.search(r"^  channels: (\w+)$", plan, re.MULTILINE)
    assert selected is not None
    seconds = result.metrics.seconds["total"]
    kept.add({"way": way, "fold": fold, "selected": selected[1], "seconds": seconds, "predicted": predicted})


def measure_statistics(records: Sequence[ImageRecord], kept: Kept) -> None:
    """Logistic regression on mean and deviation of each band, in the same folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if all(kept.has(way=STATISTICS, fold=fold) for fold in range(FOLDS)):
        return
    tiles = [tifffile.imread(FOLDER / record.id).astype(np.float64) for record in records]
    features = np.array([[*tile.mean(axis=(0, 1)), *tile.std(axis=(0, 1))] for tile in tiles])
    labels = np.array([record.label for record in records])
    fold_of = np.array(_folds(records))
    for fold in range(FOLDS):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        model.fit(features[fold_of != fold], labels[fold_of != fold])
        own = np.flatnonzero(fold_of == fold)
        found = {records[i].id: str(label) for i, label in zip(own, model.predict(features[own]), strict=True)}
        kept.add({"way": STATISTICS, "fold": fold, "selected": "", "predicted": found})


def _folds(records: Sequence[ImageRecord]) -> list[int]:
    return deal(records, {r.id: str(r.group) for r in records}, parts=FOLDS, seed=0)


def weighted(predicted: dict[str, str], records: Sequence[ImageRecord]) -> npt.NDArray[np.float64]:
    """(N,) correct or not, weighted so that the mean is the balanced accuracy."""
    counts = {label: sum(r.label == label for r in records) for label in {r.label for r in records}}
    factor = len(records) / len(counts)
    return np.array([(predicted[r.id] == r.label) * factor / counts[r.label] for r in records])


def section(records: Sequence[ImageRecord], kept: Kept) -> str:
    """The table as Markdown."""
    rows = {(row["way"], row["fold"]): row for row in kept.rows()}
    ways = [way for way in (STATISTICS, *WAYS) if all((way, fold) in rows for fold in range(FOLDS))]
    together = numbered([str(record.group) for record in records])
    values = {}
    for way in ways:
        merged: dict[str, str] = {}
        for fold in range(FOLDS):
            merged |= rows[way, fold]["predicted"]
        values[way] = weighted(merged, records)
    lines = [
        "| bands, way | balanced accuracy | each fold | against (3,2,1) | against (5,4,3) | selected by auto |",
        "|---|---|---|---|---|---|",
    ]
    for way in ways:
        low, high = mean_interval(values[way], together)
        each = [f"{_of_fold(rows[way, fold]['predicted'], records):.2f}" for fold in range(FOLDS)]
        against = [_difference(rows, values, (way, base), records) if base in ways else "" for base in BASES]
        selected = ", ".join(sorted({rows[way, fold]["selected"] for fold in range(FOLDS)})) if way == CHOSEN else ""
        lines.append(
            f"| {way} | {values[way].mean():.3f} ({low:.3f}..{min(1, high):.3f}) | {' '.join(each)} | "
            f"{' | '.join(against)} | {selected} |"
        )
    return _TEXT.format(table="\n".join(lines), where=where())


def _difference(
    rows: Mapping[tuple[str, int], Row],
    values: Mapping[str, npt.NDArray[np.float64]],
    pair: tuple[str, str],
    records: Sequence[ImageRecord],
) -> str:
    """First minus second with its interval, and the number of folds in which it is more."""
    way, base = pair
    if way == base:
        return ""
    gap = values[way] - values[base]
    low, high = mean_interval(gap, numbered([str(record.group) for record in records]))
    more = [
        _of_fold(rows[way, fold]["predicted"], records) > _of_fold(rows[base, fold]["predicted"], records)
        for fold in range(FOLDS)
    ]
    return f"{gap.mean():+.3f} ({low:+.3f}..{high:+.3f}), more in {sum(more)} of {FOLDS}"


def _of_fold(predicted: dict[str, str], records: Sequence[ImageRecord]) -> float:
    own = [record for record in records if record.id in predicted]
    return float(weighted(predicted, own).mean())


_TEXT = """
## Three and five bands

Written by `python benchmarks/channels.py --write`. wildfire_s2: 858 tiles of 64 x 64 pixels and five bands, burned or
not, 32 fires; five folds of whole fires, each tile a test image once. EfficientNet-Lite0 at 128 px, feature extraction.
plain has the statistics of the weights; all others have those of the training images. Balanced accuracy with 95 %
intervals over fires, of all folds together; differences to three bands by band_map are paired by tile, with intervals
over fires, and counted by fold. The first row has no network: logistic regression on mean and deviation of each band.
The goal was 0.88.

{table}

{where}
"""


def main() -> None:
    """Measure what is missing, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--table", action="store_true", help="only print the table of what was measured")
    parser.add_argument("--write", action="store_true", help="write it into docs/benchmarks.md")
    given = parser.parse_args()
    records, kept = prepared(), Kept(NAME)
    if not given.table:
        measure_statistics(records, kept)
        for fold in range(FOLDS):
            for way in given.ways:
                measure(way, fold, kept)
    text = section(records, kept)
    if given.write:
        replace_section(NAME, text)
    print(text)


if __name__ == "__main__":
    main()
