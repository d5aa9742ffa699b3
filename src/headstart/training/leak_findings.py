"""Findings of images that probably belong together though no group says so, from the features of the linear probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from headstart.data.sources.reading import ImageRecord
from headstart.engine.store.training_images import TrainingImages
from headstart.findings import Finding
from headstart.measures.near_neighbours import (
    ADJACENT_FILES,
    MOST_COMPARED,
    NeighbourSimilarity,
    Succession,
    compare_neighbours,
    nearest_cosines,
    nearest_others,
    succession,
)
from headstart.solvers.rows import RowSource, matrix_of_rows

MOST_TEST_IMAGES = 300
"""This many test images are compared with the training images."""
LEAST_IMAGES = 30
_GIVEN = ("val", "test")


def leak_findings(
    images: TrainingImages, train: RowSource, rows_of: Callable[[Sequence[ImageRecord]], RowSource]
) -> list[Finding]:
    """Warnings that the figures may be too good, from nearest neighbours of at most MOST_COMPARED training images.

    Near-identical images share a group already; here images of other groups are compared.

    Args:
        images: Roles and groups.
        train: Pooled features of the training images, in the order of `images.roles.train`.
        rows_of: Pooled features of others; called for test images, where the user gave them.
    """
    records = images.roles.train
    some = np.arange(min(len(records), MOST_COMPARED)) * len(records) // min(len(records) or 1, MOST_COMPARED)
    groups = np.unique([images.groups.get(records[i].id, records[i].id) for i in some], return_inverse=True)[1]
    if len(some) < LEAST_IMAGES or len(np.unique(groups)) < 2:
        return []
    features = matrix_of_rows(train.subset(some) if len(some) < len(records) else train)
    inside, which = nearest_others(features, groups)
    findings = []
    if len(some) == len(records):  # in a sample no file is next to another
        findings += _of_succession(succession(which, images.labels(records)))
    test = images.roles.test
    if images.roles.test_source in _GIVEN and len(test) >= LEAST_IMAGES:
        drawn = np.random.default_rng(0).permutation(len(test))[:MOST_TEST_IMAGES]
        across = nearest_cosines(matrix_of_rows(rows_of([test[i] for i in np.sort(drawn)])), features)
        findings += _of_neighbours(compare_neighbours(inside, across), images.roles.test_source)
    return findings


def _of_succession(found: Succession) -> list[Finding]:
    if not found.is_remarkable:
        return []
    return [
        Finding(
            "warning",
            "neighbouring_files",
            f"for {found.share:.0%} of the training images the most similar other image is one of the {ADJACENT_FILES} "
            f"files before or after it by name ({found.chance:.0%} by chance): files that follow each other seem to "
            "show the same scene, object or patient",
            "if so, the figures of a random split are too good for new ones: name what belongs together with --group "
            "or a column group",
        )
    ]


def _of_neighbours(found: NeighbourSimilarity, test_source: str) -> list[Finding]:
    if not found.is_remarkable:
        return []
    return [
        Finding(
            "warning",
            "nearer_inside_training",
            f"the nearest other training image has a cosine above {found.cosine:.2f} for {found.inside:.0%} of the "
            f"training images, but for {found.across:.0%} of the images of {test_source}: many training images belong "
            "together",
            "figures from inside training (validation, cross-validation) are too good: trust those of "
            f"{test_source}, and name what belongs together with --group or a column group",
        )
    ]
