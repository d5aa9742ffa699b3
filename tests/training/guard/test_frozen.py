"""The check that frozen means frozen."""

from __future__ import annotations

import pytest
import torch

from headstart.errors import FrozenMovedError
from headstart.training.guard.frozen import FrozenCheck


def test_unmoved_tensors_are_counted():
    tensors = {"a": torch.zeros(3), "b": torch.ones(2, dtype=torch.int64)}
    assert FrozenCheck(tensors).assert_unmoved(tensors, where="epoch 1") == 2


def test_a_moved_buffer_is_named_with_the_place():
    tensors = {"bn.running_mean": torch.zeros(3), "w": torch.zeros(3)}
    check = FrozenCheck(tensors)
    tensors["bn.running_mean"] += 1e-7
    with pytest.raises(FrozenMovedError, match=r"1 frozen tensors changed during phase p.*bn\.running_mean"):
        check.assert_unmoved(tensors, where="phase p")


def test_a_tensor_that_is_gone_counts_as_moved():
    check = FrozenCheck({"w": torch.zeros(3)})
    with pytest.raises(FrozenMovedError, match="first: w"):
        check.assert_unmoved({}, where="epoch 1")
