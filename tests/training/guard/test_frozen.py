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


def test_the_layer_group_is_named_and_some_can_be_left_out():
    tensors = {"stem.w": torch.zeros(3), "late.w": torch.zeros(3)}
    check = FrozenCheck(tensors, {"stem.w": "stem", "late.w": "stage7"})
    tensors["stem.w"] += 1
    assert check.assert_unmoved(tensors, where="epoch 1", among={"late.w"}) == 1
    with pytest.raises(FrozenMovedError, match="1 frozen tensors of stem changed during epoch 1"):
        check.assert_unmoved(tensors, where="epoch 1")


def test_hashes_of_groups_depend_on_their_own_tensors_only():
    owners = {"a": "stem", "b": "stem", "c": "head"}
    before = {name: torch.zeros(3) for name in owners}
    first = FrozenCheck(before, owners).by_group()
    second = FrozenCheck({**before, "b": torch.ones(3)}, owners).by_group()
    assert first["head"] == second["head"]
    assert first["stem"] != second["stem"]
    assert FrozenCheck(before, owners).by_group({"c"}) == {"head": first["head"]}
