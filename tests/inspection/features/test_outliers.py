"""Foreign images among others, and distances against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.checks.image_checks import FileFacts
from headstart.data.sources.dataset import ImageRecord
from headstart.input_spec import Decoding
from headstart.inspection.features.checked_features import CheckedFeatures
from headstart.inspection.features.outliers import (
    SHRINKAGE,
    find_outliers,
    mahalanobis_distances,
    neighbour_distances,
    outlier_limit,
    outlier_scores,
)


def cloud(count: int, seed: int = 0) -> np.ndarray:
    """Positive features of two kinds of images."""
    rng = np.random.default_rng(seed)
    centres = rng.gamma(2, size=(2, 60))
    return (centres[np.arange(count) % 2] * rng.gamma(8, 1 / 8, size=(count, 60))).astype(np.float32)


def checked(rows: np.ndarray) -> CheckedFeatures:
    records = tuple(ImageRecord(id=f"{at}.png", label="a", split="all", path=Path("x")) for at in range(len(rows)))
    return CheckedFeatures(records, rows, FileFacts(records), {r.id: r.id for r in records}, Decoding())


def test_foreign_images_are_listed_first():
    foreign = np.random.default_rng(9).gamma(2, size=(2, 60)).astype(np.float32)
    (found,) = find_outliers(checked(np.concatenate([cloud(300), foreign])))
    assert set(found.images[0][:2]) == {"300.png", "301.png"}
    assert found.level == "info"
    assert f"{len(found.images[0])} of 302 images" in found.evidence


def test_sets_without_foreign_images_have_few():
    listed = [len(f.images[0]) for seed in range(10) for f in find_outliers(checked(cloud(300, seed)))]
    assert sum(listed) <= 15


def test_few_images_have_no_finding():
    foreign = np.random.default_rng(9).gamma(2, size=(1, 60)).astype(np.float32)
    assert not find_outliers(checked(np.concatenate([cloud(30), foreign])))


def test_copies_of_one_group_do_not_hide_each_other():
    foreign = np.repeat(np.random.default_rng(9).gamma(2, size=(1, 60)), 6, axis=0).astype(np.float32)
    rows = np.concatenate([cloud(300), foreign])
    alone, together = np.arange(306), np.minimum(np.arange(306), 300)
    assert outlier_scores(rows, together)[300] > outlier_limit(306)
    assert outlier_scores(rows, together)[300] > outlier_scores(rows, alone)[300] + 1


@settings(max_examples=15, deadline=None)
@given(st.integers(8, 40), st.integers(0, 50))
def test_neighbour_distances_are_those_of_a_plain_search(count, seed):
    rows = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    groups = np.arange(count) // 2
    expected = [
        sorted(np.linalg.norm(rows[i] - rows[j]) for j in range(count) if groups[j] != groups[i])[2]
        for i in range(count)
    ]
    assert neighbour_distances(rows, groups) == pytest.approx(np.array(expected), abs=1e-3)


@pytest.mark.parametrize("shape", [(40, 6), (12, 30)])
def test_mahalanobis_distances_leave_the_row_out(shape):
    rows = np.random.default_rng(1).normal(size=shape) * np.linspace(1, 3, shape[1])
    rows -= rows.mean(axis=0)
    count, width = shape
    whole = rows.T @ rows / count
    ridge = SHRINKAGE * np.trace(whole) / width * np.eye(width)
    # The covariance without a row: the shrunk one less its outer product.
    expected = [
        np.sqrt(
            (1 - SHRINKAGE)
            / count
            * row
            @ np.linalg.inv((1 - SHRINKAGE) * (whole - np.outer(row, row) / count) + ridge)
            @ row
        )
        for row in rows
    ]
    assert mahalanobis_distances(rows.astype(np.float32)) == pytest.approx(np.array(expected), rel=1e-3)


def test_limit_rises_with_the_number_of_images():
    assert outlier_limit(100) == pytest.approx(2.576, abs=1e-3)
    assert outlier_limit(10_000) > outlier_limit(1000) > outlier_limit(100)
