"""Along the axes features are uncorrelated, and a head on them is one on the raw features."""

from __future__ import annotations

import numpy as np
import pytest

from head_rows import clouds
from headstart.solvers import axes as module
from headstart.solvers.axes import axes_of, own_axes, rotated
from headstart.solvers.rows import MatrixRows


@pytest.mark.parametrize(("count", "width"), [(80, 12), (10, 30)])
def test_rotated_features_are_uncorrelated(count: int, width: int):
    features, _ = clouds(count, width)
    axes, along = rotated(features)
    assert along.shape[1] == len(axes.variances_R) <= min(count, width)
    products = along.T @ along / count
    assert np.allclose(products, np.diag(axes.variances_R), atol=1e-9)
    z = (features - axes.mean_F) / axes.deviation_F
    assert np.allclose(along @ axes.axes_FR.T, z, atol=1e-6)  # nothing was lost
    assert np.array_equal(features, clouds(count, width)[0])  # and nothing written to


def test_a_head_along_the_axes_predicts_the_same_on_raw_features():
    features, _ = clouds(60, 9)
    axes, along = rotated(features)
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(0, 1, (3, len(axes.variances_R))), rng.normal(0, 1, 3)
    head = axes.head(weight, bias, 0.5)
    assert head.l2_penalty == 0.5
    assert np.allclose(features @ head.weight_KF.T + head.bias_K, along @ weight.T + bias, atol=1e-5)


def test_axes_from_blocks_are_those_from_memory():
    features, _ = clouds(120, 10)
    expected, _ = rotated(features)
    found = axes_of(MatrixRows(features))
    assert np.allclose(found.variances_R, expected.variances_R, atol=1e-4)
    assert np.allclose(found.deviation_F, expected.deviation_F)
    overlap = np.abs((found.axes_FR * expected.axes_FR).sum(axis=0))
    assert np.allclose(found.axes_FR.T @ found.axes_FR, np.eye(10), atol=1e-5)
    assert overlap[-3:] == pytest.approx(1, abs=1e-2)  # those of close variances may turn among themselves


def test_very_wide_features_keep_their_own(monkeypatch: pytest.MonkeyPatch):
    features, _ = clouds(70, 11)
    features[:, 4] = 3
    expected = axes_of(MatrixRows(features))
    monkeypatch.setattr(module, "WIDEST_ROTATED", 10)
    found = axes_of(MatrixRows(features))
    assert found.axes_FR is None
    assert np.allclose(found.mean_F, expected.mean_F)
    assert np.allclose(found.deviation_F, expected.deviation_F)
    assert found.variances_R.tolist() == [1.0] * 4 + [0.0] + [1.0] * 6


def test_slopes_go_the_way_back_of_weights():
    """<W, G> is the same number on both sides, whatever the axes."""
    features, _ = clouds(60, 9)
    rng = np.random.default_rng(1)
    for axes in (rotated(features)[0], own_axes(np.ones(9))):
        weight, gradient = rng.normal(0, 1, (3, len(axes.variances_R))), rng.normal(0, 1, (3, 9))
        raw = (axes.raw_weights(weight) * gradient).sum()
        assert (weight * axes.along_axes(gradient)).sum() == pytest.approx(raw)
