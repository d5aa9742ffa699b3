"""Nearest-neighbour similarities as a sign of images that belong together: pure functions on arrays, no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.arrays import Floats

Whole: TypeAlias = npt.NDArray[np.int64]

MOST_COMPARED = 5000
"""Images of a side that are compared: more tell no more, and the time grows with their square."""
ADJACENT_FILES = 2
"""A file counts as adjacent to another if it is no more than so many away in the order of names."""
_BLOCK_VALUES = 2**22
_FAR_SHARE = 0.9
"""The cosine that this share of the test images stays below is what training images are compared with."""
_LEAST_IMAGES = 30
_LEAST_DIFFERENCE = 0.2
_LEAST_TIMES_CHANCE = 4.0
_DEVIATIONS = 5.0
"""A share counts as higher than another only if so many standard errors lie between them."""


@dataclass(frozen=True, slots=True)
class NeighbourSimilarity:
    """Similarity of nearest neighbours: training images among themselves, and test images to training images."""

    cosine: float
    """A tenth of the test images have a nearest training image above it."""
    inside: float
    """Share of the training images whose nearest other one lies above it."""
    across: float
    """Share of the test images."""
    is_remarkable: bool
    """Whether the difference is large and no chance."""


@dataclass(frozen=True, slots=True)
class Succession:
    """Share of images whose nearest image is an adjacent file."""

    share: float
    chance: float
    """What a random order of names would give."""
    is_remarkable: bool


def nearest_cosines(images_MF: Floats, known_NF: Floats) -> Floats:  # noqa: N803 - shapes
    """Cosines (M,) of each image with the nearest known one."""
    images, known = _unit(images_MF), _unit(known_NF)
    step = max(1, _BLOCK_VALUES // len(known))
    parts = [(images[start : start + step] @ known.T).max(axis=1) for start in range(0, len(images), step)]
    return np.concatenate(parts)


def nearest_others(features_NF: Floats, groups_N: Whole) -> tuple[Floats, Whole]:  # noqa: N803
    """Cosines (N,) with the nearest image of another group, and its positions (N,).

    Args:
        features_NF: N images x F features.
        groups_N: Group of each, at least two.
    """
    cosines, which = np.empty(len(features_NF)), np.empty(len(features_NF), np.int64)
    for rows, alike in _blocks(features_NF, groups_N):
        which[rows] = alike.argmax(axis=1)
        cosines[rows] = alike.max(axis=1)
    return cosines, which


def compare_neighbours(inside_N: Floats, across_M: Floats) -> NeighbourSimilarity:  # noqa: N803
    """Whether training images are nearer to each other than test images are to them.

    Args:
        inside_N: Cosine of each training image with the nearest other one.
        across_M: Cosine of each test image with the nearest training image.
    """
    # A quantile of the test images, so that the mark fits any network and any domain.
    cosine = float(np.quantile(across_M, _FAR_SHARE))
    inside, across = float((inside_N > cosine).mean()), float((across_M > cosine).mean())
    # Pooled share, as in a two-sample test of shares: under "no difference" both sides have one share.
    pooled = (inside * len(inside_N) + across * len(across_M)) / (len(inside_N) + len(across_M))
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(inside_N) + 1 / len(across_M)))
    is_enough = min(len(inside_N), len(across_M)) >= _LEAST_IMAGES
    # Significant and large: with thousands of images any difference is significant.
    is_remarkable = is_enough and inside - across > max(_LEAST_DIFFERENCE, _DEVIATIONS * error)
    return NeighbourSimilarity(cosine, inside, across, bool(is_remarkable))


def succession(which_N: Whole, labels_N: Whole) -> Succession:  # noqa: N803
    """Share of images whose nearest image is of the same class and adjacent in the order of names.

    Args:
        which_N: Position of the nearest other image of each; positions are in the order of names.
        labels_N: Class of each.
    """
    place, chance = np.empty(len(labels_N), np.int64), np.empty(len(labels_N))
    for label in np.unique(labels_N):
        # Within a class only: files of a class often lie in one folder, and names of others say nothing.
        members = np.flatnonzero(labels_N == label)
        place[members] = np.arange(len(members))
        # Of n - 1 other files of the class at most two on either side are adjacent.
        chance[members] = min(1.0, 2 * ADJACENT_FILES / max(1, len(members) - 1))
    is_adjacent = (labels_N == labels_N[which_N]) & (np.abs(place - place[which_N]) <= ADJACENT_FILES)
    share, expected = float(is_adjacent.mean()), float(chance.mean())
    error = np.sqrt(expected * (1 - expected) / len(labels_N))
    least = max(_LEAST_DIFFERENCE, _LEAST_TIMES_CHANCE * expected, expected + _DEVIATIONS * error)
    return Succession(share, expected, bool(len(labels_N) >= _LEAST_IMAGES and share > least))


def _blocks(features_NF: Floats, groups_N: Whole) -> Iterator[tuple[slice, Floats]]:  # noqa: N803
    """(rows, cosines of these rows with all images), those of the own group at -inf."""
    unit = _unit(features_NF)
    step = max(1, _BLOCK_VALUES // len(unit))
    for start in range(0, len(unit), step):
        rows = slice(start, start + step)
        alike = unit[rows] @ unit.T
        # Copies and files of one group must not count as each other's neighbours.
        alike[groups_N[rows, None] == groups_N] = -np.inf
        yield rows, alike


def _unit(features_NF: Floats) -> Floats:  # noqa: N803
    rows = np.asarray(features_NF, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    # Zero vectors (a dead network) stay zero and are similar to nothing.
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)
