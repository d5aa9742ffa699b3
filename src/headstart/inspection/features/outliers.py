"""Images unlike all others: far from their neighbours, and far from the whole cloud of features."""

from __future__ import annotations

import numpy as np

from headstart.arrays import Doubles, Floats, Positions, Singles
from headstart.findings import Finding
from headstart.inspection.features.checked_features import CheckedFeatures

EXPECTED_BY_CHANCE = 0.5
"""Images above the limit in a set whose distances are log-normal, however many images it has."""
MOST_LISTED = 20
NEIGHBOUR = 3
"""Distance to this neighbour: two foreign images of one kind do not hide each other."""
SHRINKAGE = 0.8
"""Share of the covariance that is replaced by the same variance in all directions.

With less of it, two foreign images of one kind stretch it and hide each other."""
_FEWEST = 50
_SHOWN = 3
_BLOCK_VALUES = 2**22
_SMALLEST = 1e-9


def find_outliers(images: CheckedFeatures) -> list[Finding]:
    """Finding about images that are unlike all others.

    Args:
        images: With their features.
    """
    count = len(images.records)
    if count < _FEWEST or images.group_numbers.max() < NEIGHBOUR:
        return []
    scores = outlier_scores(images.features, images.group_numbers)
    order = np.argsort(-scores, kind="stable")
    listed = order[scores[order] > outlier_limit(count)][:MOST_LISTED]
    if not len(listed):
        return []
    shown = "; ".join(f"{images.records[at].id} ({scores[at]:.1f})" for at in listed[:_SHOWN])
    is_one = len(listed) == 1
    return [
        Finding(
            "info",
            "outliers",
            f"{len(listed)} of {count:,} images {'is' if is_one else 'are'} unlike all others (distance in standard "
            f"deviations above the usual one, limit {outlier_limit(count):.1f}): {shown}",
            f"look at {'it' if is_one else 'them'}: what does not belong to the task is better removed, "
            "what is only rare needs more images like it",
            (tuple(images.records[at].id for at in listed),),
        )
    ]


def outlier_limit(count: int) -> float:
    """Score that half an image of `count` exceeds by chance if scores are normal."""
    from scipy.special import ndtri

    return float(-ndtri(EXPECTED_BY_CHANCE / count))


def outlier_scores(features: Floats, groups: Positions) -> Doubles:
    """(N,) how far each image lies from others, in standard deviations above the median; the mean of two distances.

    One is the distance to the third nearest image of other groups, the other the Mahalanobis distance to the mean of
    all others under a shrunk covariance. Both are of features of length 1, and are compared by their logarithms.

    Args:
        features: (N, F).
        groups: (N,) group of each, more than three groups.
    """
    rows = np.asarray(features, np.float32)
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _SMALLEST)
    unit -= unit.mean(axis=0)
    return (_standing_out(neighbour_distances(unit, groups)) + _standing_out(mahalanobis_distances(unit))) / 2


def neighbour_distances(rows: Singles, groups: Positions) -> Doubles:
    """(N,) Euclidean distance of each row to its third nearest row of other groups.

    Args:
        rows: (N, F).
        groups: (N,) group of each, more than three groups.
    """
    squares = (rows**2).sum(axis=1)
    together = np.bincount(groups)
    found = np.empty(len(rows))
    step = max(1, _BLOCK_VALUES // len(rows))
    for start in range(0, len(rows), step):
        own = rows[start : start + step]
        apart = squares - 2 * own @ rows.T
        here = np.arange(len(own))
        apart[here, start + here] = np.inf
        shared = np.flatnonzero(together[groups[start : start + step]] > 1)
        apart[shared] = np.where(groups[start + shared, None] == groups, np.inf, apart[shared])
        # Three rounds of argmin take a tenth of a partial sort.
        for _ in range(NEIGHBOUR - 1):
            apart[here, apart.argmin(axis=1)] = np.inf
        found[start + here] = apart.min(axis=1) + squares[start + here]
    return np.sqrt(np.maximum(found, 0))


def mahalanobis_distances(rows: Singles) -> Doubles:
    """(N,) distance of each row to the mean of the others, in deviations of the others, but for a common factor.

    The covariance is shrunk; leaving a row out of it follows from its leverage (Sherman and Morrison 1950).

    Args:
        rows: (N, F), with means 0.
    """
    count, width = rows.shape
    # Of rows and columns the fewer: both have the same eigenvalues but for zeros.
    if count > width:
        values, axes = np.linalg.eigh(rows.T @ rows / count)
        squares = (rows @ axes) ** 2
    else:
        values, axes = np.linalg.eigh(rows @ rows.T / count)
        squares = axes**2 * count * np.maximum(values, 0)
    values = np.maximum(values, 0)
    shrunk = (1 - SHRINKAGE) * values + SHRINKAGE * max(float(values.sum()) / width, _SMALLEST)
    leverage = (1 - SHRINKAGE) * (squares @ (1 / shrunk)).astype(np.float64) / count
    return np.asarray(np.sqrt(leverage / np.maximum(1 - leverage, _SMALLEST)), np.float64)


def _standing_out(distances: Doubles) -> Doubles:
    """Logarithms less their median, in units of the deviation that their upper tenth shows."""
    logs = np.log(np.maximum(distances, _SMALLEST))
    middle, high = np.quantile(logs, (0.5, 0.9))
    # 1.2816 deviations of a normal distribution lie between median and 90th percentile.
    return np.asarray((logs - middle) / max((high - middle) / 1.2816, _SMALLEST), np.float64)
