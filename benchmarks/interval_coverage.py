"""How often the interval of an accuracy holds the truth, and how often equal sets raise a false alarm, by simulation.

    python benchmarks/interval_coverage.py [--draws 200]

Images of a group share their chance of being correct (beta-binomial model; the correlation is that between two images
of one group). Beside the interval over groups stands Wilson's over images, which is right only without correlation.
Prints the tables of docs/guide/figures.md; takes about two minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from headstart.measures.figure_findings import Sample, overconfidence, validation_gap
from headstart.measures.intervals import share_interval, wilson_interval

Groups = npt.NDArray[np.int64]

IMAGES = (100, 400, 2000)
ACCURACIES = (0.5, 0.8, 0.95, 0.99)
CORRELATIONS = (0.0, 0.3, 0.8)


def repeated(sizes: list[int]) -> Groups:
    return np.repeat(np.arange(len(sizes)), sizes).astype(np.int64)


def uneven(images: int, rng: np.random.Generator) -> Groups:
    """Mostly small groups and a few large ones, five images on average."""
    sizes: list[int] = []
    while sum(sizes) < images:
        sizes.append(min(int(rng.geometric(0.2)), images - sum(sizes)))
    return repeated(sizes)


SIZES: dict[str, Callable[[int, np.random.Generator], Groups]] = {
    "pairs": lambda images, rng: repeated([2] * (images // 2)),
    "uneven, mean 5": uneven,
    "tens": lambda images, rng: repeated([10] * (images // 10)),
    "20 groups": lambda images, rng: repeated([images // 20] * 20),
    "5 groups": lambda images, rng: repeated([images // 5] * 5),
    "half of all in one group": lambda images, rng: repeated([images // 2] + [1] * (images - images // 2)),
}


def drawn(groups: Groups, accuracy: float, correlation: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Whether each image is correct."""
    count = int(groups.max()) + 1
    skill = np.full(count, accuracy)
    if correlation:
        spread = (1 - correlation) / correlation
        skill = rng.beta(spread * accuracy, spread * (1 - accuracy), count)
    return np.asarray(rng.random(len(groups)) < skill[groups])


def coverage(draws: int) -> list[str]:
    """Rows of the table: the least and the mean coverage over images and accuracies."""
    rows = []
    for name, sizes in SIZES.items():
        for correlation in CORRELATIONS:
            cells = []
            for images in IMAGES:
                for accuracy in ACCURACIES:
                    rng = np.random.default_rng(images)
                    held, width = np.zeros(2), np.zeros(2)
                    for _ in range(draws):
                        groups = sizes(images, rng)
                        right = drawn(groups, accuracy, correlation, rng)
                        ends = share_interval(right, groups), wilson_interval(int(right.sum()), len(right))
                        held += [low <= accuracy <= high for low, high in ends]
                        width += [high - low for low, high in ends]
                    cells.append((*held / draws, *width / draws))
            least, mean = np.min(cells, axis=0), np.mean(cells, axis=0)
            rows.append(
                f"| {name} | {correlation:g} | {mean[0]:.3f} | {least[0]:.3f} | {mean[2]:.3f} "
                f"| {mean[1]:.3f} | {least[1]:.3f} | {mean[3]:.3f} |"
            )
            print(rows[-1], flush=True)
    return rows


def out_of_fold(
    features: npt.NDArray[np.float64], signs: npt.NDArray[np.float64], folds: Groups
) -> npt.NDArray[np.float64]:
    """Scores of a ridge head that has not seen the image, nor another one of its group."""
    scores = np.empty(len(signs))
    for fold in np.unique(folds):
        held = folds == fold
        scores[held] = features[held] @ ridge(features[~held], signs[~held])
    return scores


def ridge(features: npt.NDArray[np.float64], signs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    gram = features.T @ features + 10.0 * np.eye(features.shape[1])
    return np.asarray(np.linalg.solve(gram, features.T @ signs))


def calibrated(groups: Groups, rng: np.random.Generator) -> Sample:
    """Predictions whose confidence is the chance of being correct; half of the images follow their group."""
    count = int(groups.max()) + 1
    confidence, own = rng.uniform(0.5, 1, count)[groups], rng.random(count)[groups]
    luck = np.where(rng.random(len(groups)) < 0.5, own, rng.random(len(groups)))
    return Sample("test", "", np.zeros(len(groups), int), luck < confidence, groups, confidence=confidence)


def false_alarms(draws: int) -> None:
    """A head is really fitted: out of fold on train, then on all of train; test comes from the same source."""
    print("\n| training images | test images | groups of | false alarms: validation against test | overconfidence |")
    print("|---|---|---|---|---|")
    for train, test, size in ((40, 40, 1), (200, 100, 1), (200, 1000, 1), (200, 100, 5), (600, 300, 10)):
        rng, gaps, sure = np.random.default_rng(train + size), 0, 0
        for _ in range(draws):
            groups = np.arange(train + test) // size
            signs = np.where(rng.random(groups.max() + 1) < 0.5, 1.0, -1.0)[groups]  # a patient has one class
            own = rng.normal(0, 1, (groups.max() + 1, 64))[groups]
            direction = np.zeros(64)
            direction[:4] = 0.5
            features = signs[:, None] * direction + 0.7 * own + 0.7 * rng.normal(0, 1, (train + test, 64))
            scores = out_of_fold(features[:train], signs[:train], groups[:train] % 5)
            final = features[train:] @ ridge(features[:train], signs[:train])
            sides = [
                Sample(
                    name,
                    "",
                    (signs[part] > 0).astype(np.int64),
                    values * signs[part] > 0,
                    groups[part],
                    "images" if size == 1 else "groups",
                )
                for name, values, part in (
                    ("validation", scores, slice(0, train)),
                    ("test", final, slice(train, None)),
                )
            ]
            gaps += bool(validation_gap(*sides, candidates=1, num_classes=2, divided_by="headstart"))
            sure += bool(overconfidence([calibrated(groups[train:], rng)], num_classes=2))
        print(f"| {train} | {test} | {size} | {gaps / draws:.3%} | {sure / draws:.3%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    draws = parser.parse_args().draws
    print("| groups | correlation | mean | least | width | mean, by images | least, by images | width, by images |")
    print("|---|---|---|---|---|---|---|---|")
    coverage(draws)
    false_alarms(draws + draws // 2)


if __name__ == "__main__":
    main()
