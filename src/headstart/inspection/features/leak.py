"""Findings about what a split by images would inflate where images of one group belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.arrays import Floats, Labels, Positions
from headstart.findings import Finding
from headstart.inspection.features.checked_features import CheckedFeatures
from headstart.inspection.features.left_out import left_out_scores, standardised, without_large_groups
from headstart.measures.figures import Interval
from headstart.measures.intervals import mean_interval

LEAKING_SPLIT = "leaking_split"
"""Kind of the finding."""
REPEATS = 3
_LEAST_SHARED = 0.02
"""Share of the images that are not alone in their group; with fewer, groups change no figure."""
_LARGE_INFLATION = 0.01


@dataclass(frozen=True, slots=True)
class Inflation:
    """Accuracy with each image's group left out, and with as many images of any groups left out instead."""

    by_group: float
    naive: float
    interval: Interval
    """95 %, of naive less by group, over groups."""
    shared: int
    """Images that are not alone in their group."""

    @property
    def value(self) -> float:
        """Naive less by group, -1..1."""
        return self.naive - self.by_group


def measure_inflation(
    features_NF: Floats,  # noqa: N803 - shapes
    labels_N: Labels,  # noqa: N803
    groups_N: Labels,  # noqa: N803
    *,
    repeats: int = REPEATS,
) -> Inflation:
    """Inflation of the accuracy of a linear probe by a split that divides groups.

    The head is fitted once for each group without it, in closed form. For the naive side the same number of images of
    the same classes is left out, drawn from all groups: both sides are fitted on equally many, and only whether mates
    of an image are among them differs.

    Args:
        features_NF: N images x F features.
        labels_N: Class of each, 0..K-1, each of which occurs.
        groups_N: Group of each.
        repeats: Draws of the naive side.
    """
    rows = standardised(features_NF)
    groups = without_large_groups(groups_N, labels_N)
    by_group = left_out_scores(rows, labels_N, groups).scores.argmax(axis=1) == labels_N
    naive = np.zeros(len(labels_N))
    for seed in range(repeats):
        mixed = _mixed(groups, labels_N, seed)
        naive += (left_out_scores(rows, labels_N, mixed).scores.argmax(axis=1) == labels_N) / repeats
    shared = int((np.bincount(groups)[groups] > 1).sum())
    interval = mean_interval(naive - by_group, groups)
    return Inflation(float(by_group.mean()), float(naive.mean()), interval, shared)


def _mixed(groups_N: Positions, labels_N: Labels, seed: int) -> Positions:  # noqa: N803
    """Groups (N,) of the same sizes and classes, whose images are drawn anew from the class."""
    rng = np.random.default_rng(seed)
    mixed = groups_N.copy()
    for label in np.unique(labels_N):
        members = np.flatnonzero(labels_N == label)
        mixed[members] = rng.permutation(groups_N[members])
    return mixed


def find_leaks(images: CheckedFeatures) -> list[Finding]:
    """Finding about the accuracy that a split by images would claim too much; none where no images belong together.

    Args:
        images: With features and groups.
    """
    groups = images.group_numbers
    is_shared = np.bincount(groups)[groups] > 1
    if not images.has_labels or len(images.classes) < 2 or is_shared.mean() < _LEAST_SHARED:
        return []
    if min(np.bincount(images.labels)) < 2 or len(np.unique(groups)) < 2:
        return []
    found = measure_inflation(images.features, images.labels, groups)
    low, high = found.interval
    is_beyond = low > 0 and found.value >= _LARGE_INFLATION
    figures = (
        f"a linear probe is {found.naive:.3f} accurate when images are left out one by one, {found.by_group:.3f} when "
        f"whole groups are: {_said(is_beyond)} {100 * found.value:+.1f} points (95 % interval {100 * low:+.1f} to "
        f"{100 * high:+.1f}); {found.shared:,} of {len(groups):,} images share a group with others"
    )
    if is_beyond:
        remedy = "divide by group (--group, or the groups of near duplicates, as train does), and trust that figure"
    else:
        remedy = "divide by group all the same (--group): it costs nothing, and other networks may remember groups"
    mates = tuple(images.records[row].id for row in np.flatnonzero(is_shared))
    return [Finding("warning" if is_beyond else "info", LEAKING_SPLIT, figures, remedy, (mates,))]


def _said(is_beyond: bool) -> str:  # noqa: FBT001 - one fact
    return "a split by images inflates by" if is_beyond else "no inflation beyond chance,"
