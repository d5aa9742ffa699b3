"""What the wrong mean and std cost, on EfficientNet-Lite0, whose weights want 0.5 / 0.5 and not ImageNet's usual ones.

    HEADSTART_DATA=FOLDER python benchmarks/wrong_statistics.py

Two figures, each with the right and the wrong statistics on the same images: how often the untouched network with its
1,000 classes calls an ant an ant and a bee a bee, and how well a solved head tells the user's classes apart.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from headstart.data.loading import read_pixels
from headstart.data.preprocess import evaluation_view
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.data.splits import deal
from headstart.input_spec import InputSpec
from headstart.measures.intervals import wilson_interval
from headstart.networks.backbone import build_classifier, pretrained
from headstart.networks.cards.finding import find_model
from headstart.solvers.head_solver import head_problem
from headstart.solvers.rows import MatrixRows

RIGHT = find_model("tf_efficientnet_lite0").card.input
SPECS = {
    "its own (0.5, 0.5)": RIGHT,
    "ImageNet's usual": replace(RIGHT, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
}
IMAGENET_CLASS = {"ants": 310, "bees": 309}
BATCH_IMAGES = 32


def views(records: list[ImageRecord], spec: InputSpec) -> torch.Tensor:
    arrays = [evaluation_view(read_pixels(record), spec) for record in records]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)


def row(name: str, statistics: str, correct: np.ndarray) -> str:
    low, high = wilson_interval(int(correct.sum()), len(correct))
    return f"| {name} | {statistics} | {correct.mean():.3f} ({low:.3f}..{high:.3f}) | {len(correct)} |"


def untouched(records: list[ImageRecord], spec: InputSpec) -> np.ndarray:
    network, _ = pretrained(find_model("tf_efficientnet_lite0"))
    truth = np.array([IMAGENET_CLASS[record.label] for record in records])
    found = []
    with torch.inference_mode():
        for start in range(0, len(records), BATCH_IMAGES):
            found.append(network(views(records[start : start + BATCH_IMAGES], spec)).argmax(1).numpy())
    return np.concatenate(found) == truth


def probed(records: list[ImageRecord], spec: InputSpec) -> np.ndarray:
    """Out-of-fold answers of the solved head, five folds."""
    classes = sorted({record.label for record in records})
    classifier = build_classifier(find_model("tf_efficientnet_lite0"), kind="linear", num_classes=len(classes), seed=0)
    classifier.network.eval()
    features = []
    with torch.inference_mode():
        for start in range(0, len(records), BATCH_IMAGES):
            features.append(classifier.features(views(records[start : start + BATCH_IMAGES], spec)).numpy())
    labels = np.array([classes.index(record.label) for record in records])
    folds = deal(records, {record.id: record.id for record in records}, parts=5, seed=0)
    problem = head_problem(MatrixRows(np.concatenate(features)), labels, len(classes))
    return problem.choose(folds).out_of_fold_NK.argmax(1) == labels


def main() -> None:
    data = Path(os.environ["HEADSTART_DATA"])
    print("| what | mean and std | accuracy (95 % interval) | images |\n|---|---|---|---|")
    hymenoptera = list(open_source(str(data / "hymenoptera.tar")).records)
    for statistics, spec in SPECS.items():
        print(row("1,000 classes, untouched: ants and bees", statistics, untouched(hymenoptera, spec)), flush=True)
    for name in ("hymenoptera", "rsscn7"):
        records = list(open_source(str(data / f"{name}.tar")).records)
        for statistics, spec in SPECS.items():
            print(row(f"solved head, out of fold: {name}", statistics, probed(records, spec)), flush=True)


if __name__ == "__main__":
    main()
