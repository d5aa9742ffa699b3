"""Class scores of each image from a linear head and from neighbours that never saw it or its group.

The head is a ridge regression on the one-hot labels. Its leave-one-out residuals follow from the fit on all images and
the leverages (Allen 1974), and those without a group from a small linear system, so nothing is fitted again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.arrays import Floats, Labels, Positions, Singles

_PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 1e-3)
"""Tried from strong to weak until the left-out error rises."""
MOST_OF_A_CLASS = 0.2
"""A group with more of a class than this is not left out as a whole: the rest would not show the class."""
MOST_VOTES = 30
LEAST_VOTES = 5
_BLOCK_VALUES = 2**22
_SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True, slots=True)
class LeftOutScores:
    """Scores of the head without each image."""

    scores: Singles
    """(N, K), near the one-hot labels."""
    l2_penalty: float
    """On standardised features, per image."""
    error: float
    """Mean squared error against the one-hot labels."""


def without_large_groups(groups: Labels, labels: Labels) -> Labels:
    """(N,) groups 0..G-1, those with more than a fifth of a class divided into single images.

    Args:
        groups: (N,) group of each image.
        labels: (N,) class of each image, 0..K-1.
    """
    number = np.unique(groups, return_inverse=True)[1]
    classes = int(labels.max()) + 1
    pairs, counts = np.unique(number * classes + labels, return_counts=True)
    sizes = np.bincount(labels, minlength=classes)
    # Two copies of one image are left out together, however small their class is.
    is_large = (counts > MOST_OF_A_CLASS * sizes[pairs % classes]) & (counts > 2)
    divided = np.isin(number, pairs[is_large] // classes)
    if number.max() == 0:  # one group of everything
        divided[:] = True
    number[divided] = number.max() + 1 + np.arange(int(divided.sum()))
    return np.asarray(np.unique(number, return_inverse=True)[1], np.int64)


def standardised(features: Floats) -> Singles:
    """(N, F) features less their means, in units of their standard deviations; constant ones are zero."""
    rows = np.asarray(features, np.float32)
    deviation = rows.std(axis=0)
    return np.asarray((rows - rows.mean(axis=0)) / np.where(deviation > _SMALLEST_DEVIATION, deviation, 1), np.float32)


def left_out_scores(rows: Singles, labels: Labels, groups: Labels) -> LeftOutScores:
    """Scores (N, K) of each image by the head fitted without its group, at the penalty with the least error.

    One decomposition of the F x F or N x N products, whichever is smaller, serves all penalties and all groups.

    Args:
        rows: (N, F) standardised features.
        labels: (N,) class of each, 0..K-1.
        groups: (N,) group of each; an image on its own has its own.
    """
    count, width = rows.shape
    targets = np.eye(int(labels.max()) + 1, dtype=np.float32)[labels]
    mean = targets.mean(axis=0)
    # Principal axes: there the penalty only scales each column, and leverages are weighted sums of squares.
    if count > width:
        values, axes = np.linalg.eigh(rows.T @ rows / count)
        values, turned = np.maximum(values, 0), rows @ axes
    else:
        values, axes = np.linalg.eigh(rows @ rows.T / count)
        values = np.maximum(values, 0)
        turned = axes * np.sqrt(count * values)
    product = turned.T @ (targets - mean)
    members = _members(groups)
    best: LeftOutScores | None = None
    for l2_penalty in _PENALTIES:
        weights = (1 / (count * (values + l2_penalty))).astype(np.float32)
        residuals = targets - mean - turned @ (weights[:, None] * product)
        _leave_out(residuals, turned, weights, members)
        error = float((residuals**2).mean())
        if best is not None and error >= best.error:
            break
        best = LeftOutScores(targets - residuals, l2_penalty, error)
    assert best is not None
    return best


def neighbour_votes(rows: Singles, labels: Labels, groups: Labels) -> Singles:
    """Log shares (N, K) of the classes among the nearest images of other groups by cosine, half a vote a class added.

    Args:
        rows: (N, F) standardised features.
        labels: (N,) class of each, 0..K-1.
        groups: (N,) group of each, at least two of them.
    """
    sizes = np.bincount(labels)
    most = int(np.clip(np.median(sizes) // 3, LEAST_VOTES, MOST_VOTES))
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _SMALLEST_DEVIATION)
    one_hot = np.eye(len(sizes), dtype=np.float32)[labels]
    together = np.bincount(groups)
    most = min(most, len(rows) - int(together.max()))
    votes = np.empty((len(rows), len(sizes)), np.float32)
    step = max(1, _BLOCK_VALUES // len(rows))
    for start in range(0, len(rows), step):
        alike = unit[start : start + step] @ unit.T
        alike[np.arange(len(alike)), start + np.arange(len(alike))] = -np.inf
        # Most images are alone in their group: comparing all groups would take as long as the cosines.
        shared = np.flatnonzero(together[groups[start : start + step]] > 1)
        alike[shared] = np.where(groups[start + shared, None] == groups, -np.inf, alike[shared])
        nearest = np.argpartition(-alike, most - 1, axis=1)[:, :most]
        votes[start : start + step] = one_hot[nearest].sum(axis=1)
    return np.asarray(np.log((votes + 0.5) / (most + 0.5 * len(sizes))), np.float32)


def _members(groups: Labels) -> list[Positions]:
    """Positions of the images of all groups of one size, (G, size), for each size."""
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    return [
        order[starts[sizes == size][:, None] + np.arange(size)].astype(np.int64) for size in np.unique(sizes[sizes > 0])
    ]


def _leave_out(residuals: Singles, turned: Singles, weights: Singles, members: list[Positions]) -> None:
    """Turn residuals of the fit on all images into those of fits without each group, in place.

    A group's residuals r become (I - H)^-1 r, with H its block of the hat matrix; 1 / N in H is the intercept's share.
    """
    count = len(turned)
    for of_size in members:
        size = of_size.shape[1]
        if size == 1:
            alone = of_size[:, 0]
            leverage = 1 / count + turned[alone] ** 2 @ weights
            residuals[alone] /= np.maximum(1 - leverage, _SMALLEST_DEVIATION)[:, None]
            continue
        step = max(1, _BLOCK_VALUES // (size * turned.shape[1]))
        for start in range(0, len(of_size), step):
            some = of_size[start : start + step]
            own = turned[some]
            hat = (own * weights) @ own.transpose(0, 2, 1) + 1 / count
            left = np.eye(size) * (1 + _SMALLEST_DEVIATION) - hat.astype(np.float64)
            residuals[some] = np.linalg.solve(left, residuals[some].astype(np.float64))
