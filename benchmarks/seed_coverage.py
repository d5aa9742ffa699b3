"""How often the 95 % intervals of comparisons cover the truth with few seeds, as a table in docs/guide/compare.md.

    python benchmarks/seed_coverage.py [--runs 300]

Two equally good recipes are simulated: images are hard or easy, some suit one recipe, every training run has its luck
on single images, and a seed moves the accuracy of a run as a whole. The truth is known, so coverage can be counted.
One thread, three minutes.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Literal

import numpy as np
from sections import replace_section

from headstart.measures.paired import crossed, spread_of, spread_of_difference
from headstart.measures.seed_variance import half_width

GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "compare.md"
SEEDS = (2, 3, 5)
IMAGES = (100, 300, 1000, 2000)
POINTS = (0.0, 0.5, 1.5, 4.0)
ACCURACY = 0.8
OWN, LUCK = 0.3, 0.4
"""Of an image in one recipe, and in one training run; an image's own difficulty has standard deviation 1."""

Images = Literal["same", "anew"]
"""same: all seeds have the same test images. anew: each seed has validation images of its own."""


@dataclass(frozen=True)
class Setting:
    """What is simulated."""

    seeds: int
    images: int
    """Of each seed."""
    points: float
    """Standard deviation of a seed's effect on accuracy, in points; of the second recipe only if `lopsided`."""
    drawn: Images = "same"
    lopsided: bool = False


@dataclass(frozen=True)
class Coverage:
    """What was counted."""

    pair: float
    """Share of runs in which the interval of the difference covers 0."""
    pair_half: float
    """Median half interval, in points."""
    single: float
    """Share of runs in which the interval of the first recipe's accuracy covers its truth."""
    single_half: float


def coverage(setting: Setting, runs: int, rng: np.random.Generator) -> Coverage:
    """Simulate two recipes `runs` times."""
    deviation = math.sqrt(1 + OWN**2 + LUCK**2)
    middle = deviation * NormalDist().inv_cdf(ACCURACY)
    per_point = 0.01 * deviation / NormalDist().pdf(NormalDist().inv_cdf(ACCURACY))
    shifts = [0.0 if setting.lopsided else setting.points * per_point, setting.points * per_point]
    truths = [NormalDist().cdf(middle / math.hypot(deviation, shift)) for shift in shifts]
    pairs, singles, halves, single_halves = 0, 0, [], []
    for _ in range(runs):
        a, b = (_table(setting, rows) for rows in _outcomes(setting, middle, shifts, rng))
        half = half_width(spread_of_difference(a, b, 1.0))
        single = half_width(spread_of(a, 2.0))
        pairs += abs(a.mean - b.mean - (truths[0] - truths[1])) <= half
        singles += abs(a.mean - truths[0]) <= single
        halves.append(half)
        single_halves.append(single)
    medians = [100 * float(np.median(one)) for one in (halves, single_halves)]
    return Coverage(pairs / runs, medians[0], singles / runs, medians[1])


def _outcomes(setting: Setting, middle: float, shifts: list[float], rng: np.random.Generator) -> list[np.ndarray]:
    """(S, N) correct or not, of each recipe."""
    seeds, images = setting.seeds, setting.images
    shape = (seeds if setting.drawn == "anew" else 1, images)
    base = middle + rng.standard_normal(shape, np.float32)
    return [
        base
        + np.float32(OWN) * rng.standard_normal(shape, np.float32)
        + np.float32(LUCK) * rng.standard_normal((seeds, images), np.float32)
        + shift * rng.standard_normal((seeds, 1))
        > 0
        for shift in shifts
    ]


def _table(setting: Setting, rows: np.ndarray):  # noqa: ANN202 - a Crossed
    """Images that seeds do not share stand in columns of their own."""
    if setting.drawn == "same":
        return crossed(rows.astype(np.float64), np.zeros(setting.images, np.int64))
    wide = np.full((setting.seeds, setting.seeds * setting.images), np.nan)
    for seed, row in enumerate(rows):
        wide[seed, seed * setting.images : (seed + 1) * setting.images] = row
    return crossed(wide, np.zeros(wide.shape[1], np.int64))


def table(runs: int) -> str:
    """Markdown: a line for each number of seeds and images, a column for each size of the seed effect."""
    rng = np.random.default_rng(13)
    heads = [f"{points:g} points" for points in POINTS]
    lines = [
        f"Share of {runs:,} simulated comparisons whose 95 % interval covers the truth, and in brackets the median",
        f"half interval in points. Accuracy {100 * ACCURACY:g} %; columns: standard deviation of a seed's effect.",
        f"With {runs:,} runs a share is known to about {100 * 1.96 * math.sqrt(0.95 * 0.05 / runs):.1f} points.",
        "",
    ]
    for what in ("difference of two recipes", "accuracy of one recipe"):
        lines += [f"| {what} | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
        for seeds in SEEDS:
            for images in IMAGES:
                cells = []
                for points in POINTS:
                    found = _found(Setting(seeds, images, points), runs, rng)
                    share, half = (found.pair, found.pair_half) if "two" in what else (found.single, found.single_half)
                    cells.append(f"{share:.3f} ({half:.1f})")
                lines.append(f"| {seeds} seeds, {images:,} images | {' | '.join(cells)} |")
        lines.append("")
    lines += [f"| other cases: difference, 300 images | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for name, other in (("validation images of its own in every seed", "anew"), ("only one recipe varies", "lopsided")):
        for seeds in SEEDS:
            cells = []
            for points in POINTS:
                drawn: Images = "anew" if other == "anew" else "same"
                found = coverage(Setting(seeds, 300, points, drawn, other == "lopsided"), runs, rng)
                cells.append(f"{found.pair:.3f} ({found.pair_half:.1f})")
            lines.append(f"| {name}, {seeds} seeds | {' | '.join(cells)} |")
    return "\n".join(lines)


_KEPT: dict[Setting, Coverage] = {}


def _found(setting: Setting, runs: int, rng: np.random.Generator) -> Coverage:
    """Simulated once for both tables."""
    if setting not in _KEPT:
        _KEPT[setting] = coverage(setting, runs, rng)
    return _KEPT[setting]


def main() -> None:
    """Print the table and put it into the guide."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="simulated comparisons a cell")
    text = table(parser.parse_args().runs)
    print(text)
    replace_section("seed-coverage", text, GUIDE)


if __name__ == "__main__":
    main()
