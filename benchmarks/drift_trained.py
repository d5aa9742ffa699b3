"""Trainings with drift and leaks: the cause that a result names for its gap, and what a split by images inflates.

    HEADSTART_DATA=FOLDER python benchmarks/drift_trained.py [--parts gap leak] [--seeds N ...] [--write]

- gap: a training whose test images are from another source, and what its result names as the cause of the gap;
- leak: what a split by images inflates, in closed form (as `check` says it) and by training on folds of both kinds.

What is done is kept in build/drift-trained.jsonl. Writes its section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from drift_sets import UC_MERCED, altered_copy, archive, features_of, fire_of, made, other_source
from measured import Kept, Row, where
from sections import replace_section
from sets import patient_of

import headstart
from headstart.inspection.features.leak import measure_inflation
from headstart.measures.figure_findings import GAP
from headstart.measures.intervals import mean_interval
from headstart.runs.tables import PREDICTIONS_FILE, read_predictions

NAME = "drift-trained"
PARTS = ("gap", "leak")
GROUPS = {"chest_xray": ("patient", r"(\d{8})_", patient_of), "wildfire_s2": ("fire", r"([^/]*)_(?:pre|post)", fire_of)}
"""Set -> its groups: their name, the pattern of `--group`, and the group of an image."""


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
    for name, (group, pattern, _) in GROUPS.items():
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
            groups = [GROUPS[name][2](one) for one in sorted(trained[0]["correct"][0])]
            seeds = ", ".join(str(row["seed"]) for row in trained)
            lines.append(f"| {name} | trained on both | {seeds} | {in_points(*trained_inflation(trained, groups))} |")
    return "\n".join(lines)


def in_points(value: float, low: float, high: float) -> str:
    return f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def section(rows: Sequence[Row]) -> str:
    """The section of docs/benchmarks.md."""
    of = {part: [row for row in rows if row["part"] == part] for part in PARTS}
    gaps = "\n".join(
        f"- test images of {row['test']}: accuracy {row['accuracy']:.3f}; {' '.join(row['evidence']) or 'no gap'}."
        for row in of["gap"]
    )
    return f"""## Gaps and leaks, trained

Written by `python benchmarks/drift_trained.py`. Machine: {where()}.

`headstart train --strategy feature_extraction` on 100 training images each of five classes of rsscn7:

{gaps}

What a split by images inflates. Closed form: as `headstart check` says it, by leaving out. Trained: five folds by image
and five by group (`headstart train --fold`, `feature_extraction`), every image predicted once by each; the difference
is paired, the interval counts groups.

{leak_table(of["leak"])}
"""


def main() -> None:
    """Measure what is missing, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--write", action="store_true", help="only write the section")
    options = parser.parse_args()
    kept = Kept(NAME)
    if not options.write:
        if "gap" in options.parts:
            measure_gap(kept)
        if "leak" in options.parts:
            measure_leak(kept, options.seeds)
    replace_section(NAME, section(kept.rows()))


if __name__ == "__main__":
    main()
