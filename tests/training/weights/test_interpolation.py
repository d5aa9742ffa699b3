"""Mixed weights at both ends and between."""

from __future__ import annotations

import numpy as np
import torch

from headstart.training.weights.interpolation import SHARES, interpolated


def test_both_ends_are_themselves_and_the_middle_is_the_mean():
    start = {"w": np.array([0.0, 2.0], np.float32), "count": np.array(3)}
    tuned = {"w": torch.tensor([1.0, 4.0]), "count": torch.tensor(9)}
    assert torch.equal(interpolated(start, tuned, 0.0)["w"], torch.tensor([0.0, 2.0]))
    assert torch.equal(interpolated(start, tuned, 1.0)["w"], tuned["w"])
    assert torch.equal(interpolated(start, tuned, 0.5)["w"], torch.tensor([0.5, 3.0]))
    assert int(interpolated(start, tuned, 0.1)["count"]) == 9
    assert list(SHARES) == sorted(SHARES)
    assert 0 < min(SHARES) < max(SHARES) < 1
