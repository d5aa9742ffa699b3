"""Ways to balance classes of unequal size: balanced accuracy and what it costs, with a class thinned to a twentieth.

    HEADSTART_DATA=FOLDER python benchmarks/imbalance.py [--parts whole tuned fits] [--seeds 1 2 3] [--strategies ...]

- whole: `headstart train` on chest_xray with one class thinned to 5 % in training, each way of `--imbalance`. A seed
  divides the images anew, by patient, and is the seed of the training.
- tuned: the same on CIFAR-10 with sizes that fall exponentially to 1:20, where tuning is selected.
- fits: the linear probe alone on features of rsscn7 and CIFAR-10, with one class thinned or sizes that fall
  exponentially to 1:100.

What is done is kept in build/imbalance.jsonl. Writes its section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt
from measured import BUILD, Kept, Row, in_new_process, where
from paired import Z95
from sections import replace_section
from sets import divided, patient_of, unpack

from headstart.arrays import Labels
from headstart.measures.class_means import class_mean
from headstart.solvers.head_solver import head_problem
from headstart.solvers.rows import MatrixRows

NAME = "imbalance"
CLASSES = ("covid19", "no_findings", "pneumonia")
TUNED = ("pneumonia",)
"""Thinned classes of the strategies that tune, which take minutes."""
WAYS = ("none", "logit_adjustment", "class_weight", "balanced_sampling")
THINNED, TEST_SHARE = 0.05, 0.3
GROUP = r"/(\d{8}(?=_)|[^/]{1,20})[^/]*$"
MEDICAL = ("--domain", "medical", "--group", GROUP)
FALLING, TESTED = (200, 10), 100
"""Training images of the largest and of the smallest class of CIFAR-10, and test images of every class."""
SETS = {"rsscn7": (150, 50), "cifar10": (500, 200)}
"""Training images of the largest class, and test images of every class."""
RATIOS = (3, 5, 10, 20, 100)


def thinned_folder(rare: str, seed: int) -> Path:
    """chest_xray divided by patient, with a class thinned in training; made once."""
    folder = BUILD / "sets" / f"chest_xray-{rare}-{seed}"
    if not folder.is_dir():
        with tarfile.open(Path(os.environ["HEADSTART_DATA"]) / "chest_xray.tar") as archive:
            names = sorted(member.name for member in archive.getmembers() if member.isfile())
            sides = divided({name: patient_of(name) for name in names}, names, share=TEST_SHARE, seed=seed)
            of_class = [name for name in sides["train"] if name.split("/")[-2] == rare]
            order = np.random.default_rng(seed).permutation(len(of_class))
            left_out = {of_class[at] for at in order[round(THINNED * len(of_class)) :]}
            sides["train"] = [name for name in sides["train"] if name not in left_out]
            unpack(archive, sides, folder)
    return folder


def measure_whole(kept: Kept, seeds: Sequence[int], strategies: Sequence[str], ways: Sequence[str]) -> None:
    """One training for each way, class, seed and strategy."""
    for strategy in strategies:
        for rare in CLASSES if strategy == "feature_extraction" else TUNED:
            for seed in seeds:
                for way in ways:
                    what = {"part": "whole", "strategy": strategy, "rare": rare, "seed": seed, "way": way}
                    if not kept.has(**what):
                        kept.add({**what, **_trained(thinned_folder(rare, seed), strategy, way, seed)})


def falling_folder(seed: int) -> Path:
    """CIFAR-10 whose classes fall exponentially from 200 to 10 training images, in random order; made once."""
    folder = BUILD / "sets" / f"cifar10-falling-{seed}"
    if not folder.is_dir():
        rng = np.random.default_rng(seed)
        with tarfile.open(Path(os.environ["HEADSTART_DATA"]) / "cifar10.tar") as archive:
            by_class: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
            for name in sorted(member.name for member in archive.getmembers() if member.isfile()):
                side, label, _ = name.split("/")[-3:]
                by_class[label][side].append(name)
            sides: dict[str, list[str]] = {"train": [], "val": []}
            for place, label in enumerate(rng.permutation(sorted(by_class))):
                count = round(FALLING[0] * (FALLING[1] / FALLING[0]) ** (place / (len(by_class) - 1)))
                sides["train"] += list(rng.permutation(by_class[label]["train"])[:count])
                sides["val"] += list(rng.permutation(by_class[label]["test"])[:TESTED])
            unpack(archive, sides, folder)
    return folder


def measure_tuned(kept: Kept, seeds: Sequence[int], ways: Sequence[str]) -> None:
    """The default strategy on CIFAR-10."""
    for seed in seeds:
        for way in ways:
            what = {"part": "tuned", "seed": seed, "way": way}
            if not kept.has(**what):
                kept.add({**what, **_trained(falling_folder(seed), "progressive", way, seed, ())})


def _trained(folder: Path, strategy: str, way: str, seed: int, more: Sequence[str] = MEDICAL) -> Row:
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as aside:
        out = Path(aside) / "run"
        options = ["--strategy", strategy, "--imbalance", way, "--seed", str(seed), *more]
        command = ["-m", "headstart", "train", str(folder), *options, "--out", str(out), "--json"]
        found, seconds = in_new_process(command)
        predicted = pq.read_table(out / "predictions.parquet", columns=["image", "predicted"]).to_pydict()
    test = found["test"]
    figures = {name: test[name] for name in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")}
    return {
        **figures,
        "interval": test["balanced_accuracy_interval"],
        "recall": {name: row["recall"] for name, row in test["per_class"].items()},
        "confidence": test["mean_confidence"],
        "selected": found["selected"]["checkpoint"],
        "seconds": seconds,
        "predicted": dict(zip(predicted["image"], predicted["predicted"], strict=True)),
    }


def balanced_difference(ours: Sequence[Row], theirs: Sequence[Row]) -> tuple[float, float, float]:
    """(mean, low, high) difference of balanced accuracy over seeds, -1..1, with its 95 % interval over patients.

    An image deviates from the mean difference of its class and seed; deviations of a patient add up over images and
    seeds, because they are alike (cluster-robust).

    Args:
        ours: Rows of the seeds, with predictions.
        theirs: Of the same seeds, on the same images.
    """
    means, of_patient = list[float](), defaultdict[str, float](float)
    for one, other in zip(ours, theirs, strict=True):
        images = sorted(one["predicted"])
        labels = np.array([image.split("/")[-2] for image in images])
        right = [np.array([row["predicted"][image] for image in images]) == labels for row in (one, other)]
        gap = right[0].astype(float) - right[1]
        classes = np.unique(labels)
        means.append(class_mean(gap, labels))
        for name in classes:
            inside = np.flatnonzero(labels == name)
            share = 1 / (len(ours) * len(classes) * len(inside))
            for at in inside:
                of_patient[patient_of(images[at])] += share * (gap[at] - gap[inside].mean())
    count = len(of_patient)
    half = Z95 * math.sqrt(sum(part**2 for part in of_patient.values()) * count / (count - 1))
    return fmean(means), fmean(means) - half, fmean(means) + half


def features_of(name: str) -> tuple[npt.NDArray[np.float64], Labels, npt.NDArray[np.bool_]]:
    """(N, F) features, classes, and whether each may be trained on; computed once into build/."""
    file = BUILD / f"imbalance-{name}.npz"
    most, tested = SETS[name]
    if not file.is_file():
        with (
            tempfile.TemporaryDirectory() as aside,
            tarfile.open(Path(os.environ["HEADSTART_DATA"]) / f"{name}.tar") as archive,
        ):
            names = sorted(member.name for member in archive.getmembers() if member.isfile())
            by_class: dict[tuple[str, ...], list[str]] = defaultdict(list)
            for one in names:
                by_class[tuple(one.split("/")[-3:-1])].append(one)
            some = [
                one for key, group in by_class.items() for one in group[: tested if key[0] == "test" else most + tested]
            ]
            unpack(archive, {"all": some}, Path(aside) / "set")
            for one in sorted((Path(aside) / "set" / "all").iterdir()):
                one.rename(Path(aside) / one.name)
            (Path(aside) / "set" / "all").rmdir()
            in_new_process(["-m", "headstart", "embed", aside, "-o", str(file), "--precision", "float32", "--json"])
    found = np.load(file, allow_pickle=False)
    labels = np.unique(found["labels"], return_inverse=True)[1].astype(np.int64)
    rng = np.random.default_rng(0)
    trains = np.ones(len(labels), bool)
    for label in np.unique(labels):
        trains[rng.permutation(np.flatnonzero(labels == label))[:tested]] = False
    return found["features"].astype(np.float64), labels, trains


def sizes_of(classes: int, largest: int, rng: np.random.Generator) -> Iterator[tuple[str, int, list[int]]]:
    """(kind, ratio, images of each class): one class thinned, or sizes that fall exponentially in random order."""
    order = rng.permutation(classes)
    for ratio in RATIOS:
        thin = [largest] * classes
        thin[order[0]] = max(2, round(largest / ratio))
        yield "one class", ratio, thin
        falling = [0] * classes
        for at, label in enumerate(order):
            falling[label] = max(2, round(largest * ratio ** (-at / (classes - 1))))
        yield "exponential", ratio, falling


def measure_fits(kept: Kept, seeds: Sequence[int]) -> None:
    """The linear probe with each way on the same features."""
    for name, (most, _) in SETS.items():
        features, labels, trains = features_of(name)
        for seed in seeds:
            rng = np.random.default_rng(seed)
            for kind, ratio, sizes in sizes_of(int(labels.max()) + 1, most, rng):
                what = {"part": "fits", "set": name, "kind": kind, "ratio": ratio, "seed": seed}
                if kept.has(**what):
                    continue
                drawn = [
                    rng.permutation(np.flatnonzero(trains & (labels == at)))[:count] for at, count in enumerate(sizes)
                ]
                train, test = np.concatenate(drawn), np.flatnonzero(~trains)
                for way in WAYS[:3]:
                    kept.add({**what, "way": way, **_fitted(features, labels, train, test, way, seed)})


def _fitted(features: npt.NDArray[np.float64], labels: Labels, train: Labels, test: Labels, way: str, seed: int) -> Row:
    """Figures of one probe; accuracy and log loss with the classes in their shares of the training images."""
    own, classes = labels[train], int(labels.max()) + 1
    shares = np.bincount(own, minlength=classes) / len(own)
    problem = head_problem(
        MatrixRows(features[train]),
        own,
        classes,
        weights_N=1 / shares[own] if way == "class_weight" else None,
        log_shares_K=np.log(shares) if way == "logit_adjustment" else None,
    )
    folds = np.empty(len(own), np.int64)
    for label in range(classes):
        members = np.flatnonzero(own == label)
        folds[np.random.default_rng(seed).permutation(members)] = np.arange(len(members)) % 5
    chosen = problem.choose(folds)
    found = problem.solve(chosen.l2_penalty).probabilities(features[test])
    truth, predicted = labels[test], found.argmax(axis=1)
    natural = shares[truth] / shares[truth].sum()
    losses = -np.log(np.clip(found[np.arange(len(truth)), truth], 1e-12, 1))
    right = predicted == truth
    return {
        "balanced_accuracy": class_mean(right, truth),
        "accuracy": float(natural @ right),
        "log_loss": float(natural @ losses),
        "balanced_log_loss": class_mean(losses, truth),
        "smallest_recall": float(right[truth == shares.argmin()].mean()),
        "confidence": float(natural @ found.max(axis=1)),
    }


def whole_table(rows: Sequence[Row]) -> list[str]:
    """Lines of the table of trainings."""
    lines = [
        "| strategy | thinned class | way | balanced accuracy by seed | mean | against none (95 %) | accuracy | "
        "macro F1 | recall of the thinned class | log loss |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    cells: dict[tuple[str, str], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(rows, key=lambda one: int(one["seed"])):
        cells[row["strategy"], row["rare"]][row["way"]].append(row)
    for (strategy, rare), ways in cells.items():
        for way in (one for one in WAYS if one in ways):
            found = ways[way]
            both = [row for row in ways["none"] if row["seed"] in {one["seed"] for one in found}]
            mean, low, high = balanced_difference(found[: len(both)], both)
            gain = "" if way == "none" else f"{100 * mean:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
            seeds = ", ".join(
                f"{row['balanced_accuracy']:.3f} ({row['interval'][0]:.2f}-{row['interval'][1]:.2f})" for row in found
            )
            lines.append(
                f"| {strategy} | {rare} | {way} | {seeds} | {_mean(found, 'balanced_accuracy')} | {gain} | "
                f"{_mean(found, 'accuracy')} | {_mean(found, 'macro_f1')} | "
                f"{fmean(row['recall'][rare] for row in found):.3f} | {_mean(found, 'log_loss')} |"
            )
    return lines


def tuned_table(rows: Sequence[Row]) -> list[str]:
    """Lines of the table of tuned networks."""
    ways: dict[str, list[Row]] = defaultdict(list)
    whole = [seed for seed in {row["seed"] for row in rows} if sum(row["seed"] == seed for row in rows) == len(WAYS)]
    for row in rows:
        if row["seed"] in whole:  # means are compared, so of the same seeds
            ways[row["way"]].append(row)
    lines = [
        "| way | seeds | selected | balanced accuracy by seed | mean | macro F1 | lowest recall | log loss |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way, found in ways.items():
        by_seed = ", ".join(
            f"{row['balanced_accuracy']:.3f} ({row['interval'][0]:.2f}-{row['interval'][1]:.2f})" for row in found
        )
        selected = ", ".join(dict.fromkeys(row["selected"] for row in found))
        lowest = fmean(min(row["recall"].values()) for row in found)
        lines.append(
            f"| {way} | {len(found)} | {selected} | {by_seed} | {_mean(found, 'balanced_accuracy')} | "
            f"{_mean(found, 'macro_f1')} | {lowest:.3f} | {_mean(found, 'log_loss')} |"
        )
    return lines


def fits_table(rows: Sequence[Row]) -> list[str]:
    """Lines of the table of fits: differences against none in points."""
    lines = [
        "| set | sizes | ratio | balanced accuracy, none | logit_adjustment | class_weight | accuracy, none | "
        "logit_adjustment | class_weight | log loss, none | logit_adjustment | class_weight |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    cells: dict[tuple[str, str, int], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        cells[row["set"], row["kind"], row["ratio"]][row["way"]].append(row)
    for (name, kind, ratio), ways in cells.items():
        parts = []
        for figure in ("balanced_accuracy", "accuracy"):
            parts += [_mean(ways["none"], figure), *(_points(ways, way, figure) for way in WAYS[1:3])]
        parts += [_mean(ways[way], "log_loss") for way in WAYS[:3]]
        lines.append(f"| {name} | {kind} | 1:{ratio} | {' | '.join(parts)} |")
    return lines


def _points(ways: Mapping[str, Sequence[Row]], way: str, figure: str) -> str:
    gaps = [100 * (one[figure] - other[figure]) for one, other in zip(ways[way], ways["none"], strict=True)]
    return f"{fmean(gaps):+.1f} ({min(gaps):+.1f} to {max(gaps):+.1f})"


def _mean(rows: Sequence[Row], figure: str) -> str:
    return f"{fmean(row[figure] for row in rows):.3f}"


def section(kept: Kept) -> str:
    """The section of docs/benchmarks.md."""
    rows = kept.rows()
    whole, tuned, fits = ([row for row in rows if row["part"] == part] for part in ("whole", "tuned", "fits"))
    parts = [
        "## Imbalance",
        "`python benchmarks/imbalance.py`. chest_xray with one class thinned to 5 % of its training images; the test "
        f"set, {TEST_SHARE:.0%} of the patients, keeps all of its images. A seed divides the images anew by patient, "
        "and is the seed of the training. `none` selects by accuracy, the others by balanced accuracy, as each does by "
        "default. Brackets behind a seed: its own 95 % interval; differences in points, over patients.",
        "\n".join(whole_table(whole)),
        "The default strategy on CIFAR-10 with sizes that fall exponentially from 200 to 10 training images, 100 test "
        "images of every class. The smallest class has two validation images, too few to show that a tuned step is "
        "better where every class counts the same.",
        "\n".join(tuned_table(tuned)),
        "The linear probe alone, three seeds, on features of images with as many test images of every class. Accuracy "
        "and log loss are for classes in their shares of the training images; differences in points, mean and range "
        "over seeds.",
        "\n".join(fits_table(fits)),
        f"Measured on: {where()}.",
    ]
    return "\n\n".join(part for part in parts if part)


def main() -> None:
    """Measure what is missing, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="*", default=["whole", "tuned", "fits"], choices=["whole", "tuned", "fits"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--strategies", nargs="+", default=["feature_extraction", "progressive"])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    asked = parser.parse_args()
    kept = Kept(NAME)
    if "whole" in asked.parts:
        measure_whole(kept, asked.seeds, asked.strategies, asked.ways)
    if "tuned" in asked.parts:
        measure_tuned(kept, asked.seeds, asked.ways)
    if "fits" in asked.parts:
        measure_fits(kept, asked.seeds)
    replace_section(NAME, section(kept))
    print(json.dumps({"rows": len(kept.rows())}))


if __name__ == "__main__":
    main()
