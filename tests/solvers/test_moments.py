"""Sums over blocks are those of the whole, and what is subtracted was never there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from head_rows import clouds, folds_of
from headstart.solvers import rows as module
from headstart.solvers.moments import moments_by_part, moments_of
from headstart.solvers.rows import MatrixRows


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 24 * 16)


def test_they_are_numpys_statistics():
    features, labels = clouds(100)
    x = features.astype(np.float64)
    found = moments_of(MatrixRows(features), labels, 4)
    assert found.count == 100
    assert np.allclose(found.mean_F, x.mean(0), rtol=1e-12)
    assert np.allclose(found.deviation_F, x.std(0), rtol=1e-12)
    assert np.allclose(found.scatter(), np.cov(x.T) * 99, rtol=1e-10, atol=1e-10)
    targets = np.eye(4)[labels]
    expected = (x - x.mean(0)).T @ (targets - targets.mean(0))
    assert np.allclose(found.targets_scatter(), expected, rtol=1e-10, atol=1e-10)
    assert np.array_equal(found.scatter(), found.scatter().T)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), parts=st.integers(1, 4))
def test_all_less_a_part_is_the_rest(seed: int, parts: int):
    features, labels = clouds(40, 6, seed=seed)
    part_of = np.random.default_rng(seed).integers(0, parts, 40)
    by_part = moments_by_part(MatrixRows(features), labels, 3, part_of, parts)
    total = by_part[0]
    for other in by_part[1:]:
        total = total + other
    assert total.count == 40
    rest = total - by_part[0]
    if rest.count:
        direct = moments_of(MatrixRows(features[part_of != 0]), labels[part_of != 0], 3)
        assert np.allclose(rest.mean_F, direct.mean_F, rtol=1e-9, atol=1e-9)
        assert np.allclose(rest.scatter(), direct.scatter(), rtol=1e-9, atol=1e-9)
        assert np.allclose(rest.targets_scatter(), direct.targets_scatter(), rtol=1e-9, atol=1e-9)


def test_rows_of_no_part_are_left_out():
    features, labels = clouds(60)
    folds = folds_of(60, 3)
    (some,) = moments_by_part(MatrixRows(features), labels, 3, np.where(folds == 1, 0, -1), 1)
    assert some.count == np.count_nonzero(folds == 1)
    assert np.allclose(some.mean_F, features[folds == 1].mean(0, dtype=np.float64))


def test_a_large_offset_loses_nothing_and_a_constant_has_deviation_one():
    features, labels = clouds(80, 5)
    moved = features.astype(np.float64) * 2**-10 + 4096
    moved[:, 2] = 1e6
    single = moved.astype(np.float32)
    found = moments_of(MatrixRows(single), labels, 3)
    expected = single.astype(np.float64).std(0)
    assert found.deviation_F[2] == 1
    assert np.allclose(np.delete(found.deviation_F, 2), np.delete(expected, 2), rtol=1e-9)


def test_the_same_rows_give_the_same_bits():
    features, labels = clouds(90)
    first, second = (moments_of(MatrixRows(features), labels, 3) for _ in range(2))
    assert np.array_equal(first.products_FF, second.products_FF)
