"""k-nearest-neighbour classification by cosine, without any fitting: pure functions on arrays, no torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headstart.arrays import Floats, Labels

MOST_NEIGHBOURS = 10
_BLOCK_VALUES = 2**23
"""Similarities that are held at a time."""
_SMALLEST_DEVIATION = 1e-12


def neighbours_for(labels_N: Labels) -> int:  # noqa: N803 - shapes
    """Number of neighbours that vote: MOST_NEIGHBOURS, but no more than the smallest class has images."""
    return max(1, min(MOST_NEIGHBOURS, int(np.unique(labels_N, return_counts=True)[1].min())))


def nearest_out_of_fold(
    features_NF: Floats,  # noqa: N803 - shapes
    labels_N: Labels,  # noqa: N803
    folds_N: npt.NDArray[np.int64],  # noqa: N803
    *,
    neighbours: int,
) -> Labels:
    """The class that most of the nearest images of other folds have, for each image: (N,).

    Features are standardised by the images that may vote, and compared by cosine. Among classes with equally many votes
    the one whose voters are more similar in sum is predicted, then the lower one. The same as scikit-learn's
    KNeighborsClassifier(metric="cosine") behind a StandardScaler, but for ties.

    Args:
        features_NF: N images x F features.
        labels_N: Class of each, 0..K-1.
        folds_N: Fold of each, at least two of them.
        neighbours: How many vote, >= 1; all of the other folds where these are fewer.

    Raises:
        ValueError: all images lie in one fold, or nobody votes.
    """
    folds = np.unique(folds_N)
    if len(folds) < 2 or neighbours < 1:
        raise ValueError(f"{len(folds)} folds and {neighbours} neighbours; at least 2 and 1 are needed")
    found = np.empty(len(labels_N), np.int64)
    for fold in folds:
        held_out, voting = folds_N == fold, folds_N != fold
        # Mean and deviation of the voters only: the held-out images must not influence their own classification.
        known, queries = _unit_rows(features_NF[voting], features_NF[held_out])
        found[held_out] = _voted(queries, known, labels_N[voting], min(neighbours, len(known)))
    return found


def _unit_rows(known_NF: Floats, queries_MF: Floats) -> tuple[Floats, Floats]:  # noqa: N803
    """Both in units of the known ones' deviation around their mean, each row of length 1 (or zero)."""
    known = np.asarray(known_NF, np.float64)
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    scale = np.where(deviation > _SMALLEST_DEVIATION, deviation, 1.0)
    rows = [(np.asarray(one, np.float64) - mean) / scale for one in (known, queries_MF)]
    lengths = [np.linalg.norm(one, axis=1, keepdims=True) for one in rows]
    first, second = (one / np.where(length > 0, length, 1.0) for one, length in zip(rows, lengths, strict=True))
    return first, second


def _voted(queries_MF: Floats, known_NF: Floats, labels_N: Labels, neighbours: int) -> Labels:  # noqa: N803
    classes = int(labels_N.max()) + 1
    found = np.empty(len(queries_MF), np.int64)
    step = max(1, _BLOCK_VALUES // len(known_NF))
    for start in range(0, len(queries_MF), step):
        alike = queries_MF[start : start + step] @ known_NF.T
        # argpartition: the k nearest, unsorted, in linear time.
        nearest = np.argpartition(-alike, neighbours - 1, axis=1)[:, :neighbours]
        votes, similarity = np.zeros((len(alike), classes)), np.zeros((len(alike), classes))
        rows = np.arange(len(alike))[:, None]
        # add.at, because a class may occur several times among the neighbours of one image.
        np.add.at(votes, (rows, labels_N[nearest]), 1.0)
        np.add.at(similarity, (rows, labels_N[nearest]), np.take_along_axis(alike, nearest, axis=1))
        # Ties by the sum of similarities; argmax takes the lower class of those that remain.
        tied = votes == votes.max(axis=1, keepdims=True)
        found[start : start + step] = np.where(tied, similarity, -np.inf).argmax(axis=1)
    return found
