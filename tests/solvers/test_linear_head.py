"""A head predicts the same in blocks as at once."""

from __future__ import annotations

import numpy as np
import pytest

from head_rows import clouds
from headstart.solvers import rows as module
from headstart.solvers.linear_head import LinearHead, softmax
from headstart.solvers.rows import MatrixRows


def test_probabilities_in_blocks_are_those_of_the_matrix(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 24 * 7)
    features, _ = clouds(50)
    rng = np.random.default_rng(0)
    head = LinearHead(rng.normal(0, 1, (3, 24)), rng.normal(0, 1, 3), 0.1)
    expected = softmax(features @ head.weight_KF.T + head.bias_K)
    assert np.allclose(head.probabilities(features), expected)
    assert np.allclose(head.probabilities_of(MatrixRows(features)), expected)
    assert np.allclose(expected.sum(axis=1), 1)
