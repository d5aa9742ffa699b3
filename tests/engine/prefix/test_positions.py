"""Positions on the image, however a layer lays out what it gives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from headstart.engine.prefix.positions import box_around, position_map, prefix_tokens_of


def test_both_layouts_of_a_map_give_the_same_positions():
    first = torch.randn(2, 7, 3, 3)
    for tensor in (first, first.permute(0, 2, 3, 1), first.contiguous(memory_format=torch.channels_last)):
        found = position_map(tensor)
        assert found is not None
        assert (found.rows, found.columns, found.centre) == (3, 3, 4)
        for position in range(9):
            assert torch.equal(found.values_BPC[:, position], first[:, :, position // 3, position % 3])


@pytest.mark.parametrize(("count", "prefix", "skipped"), [(17, 1, 1), (16, 1, 0), (16, 0, 0), (21, 5, 5)])
def test_tokens_in_front_stand_for_no_patch(count: int, prefix: int, skipped: int):
    tokens = torch.randn(2, count, 6)
    found = position_map(tokens, prefix_tokens=prefix)
    assert found is not None
    assert (found.rows, found.columns) == (4, 4)
    assert torch.equal(found.values_BPC, tokens[:, skipped:])


@pytest.mark.parametrize("shape", [(2, 8), (2, 8, 1, 1), (2, 18, 6), (2, 1, 6), (2, 2, 6), (2,), (2, 3, 4, 4, 4)])
def test_what_has_no_positions_has_none(shape: tuple[int, ...]):
    assert position_map(torch.randn(shape), prefix_tokens=1) is None
    assert position_map(torch.ones(2, 3, 4, 4, dtype=torch.long)) is None


def test_libraries_say_how_many_tokens_stand_in_front():
    timms, torchvisions, plain = nn.Module(), nn.Module(), nn.Conv2d(1, 1, 1)
    timms.num_prefix_tokens = 5
    torchvisions.class_token = nn.Parameter(torch.zeros(1, 1, 4))
    assert [prefix_tokens_of(network) for network in (timms, torchvisions, plain)] == [5, 1, 0]


@given(st.integers(2, 60), st.integers(1, 224), st.data())
def test_a_box_lies_in_the_image_and_holds_its_position(grid: int, side: int, data: st.DataObject):
    position = data.draw(st.integers(0, grid * grid - 1))
    left, top, right, bottom = box_around(position, grid, grid, side=side, size=224)
    assert (right - left, bottom - top) == (side, side)
    assert 0 <= left < right <= 224
    assert 0 <= top < bottom <= 224
    row, column = divmod(position, grid)
    assert abs((column + 0.5) * 224 / grid - (left + right) / 2) <= side / 2 + 0.5
    assert abs((row + 0.5) * 224 / grid - (top + bottom) / 2) <= side / 2 + 0.5


def test_in_the_middle_it_is_centred_and_at_the_border_shifted():
    assert box_around(24, 7, 7, side=32, size=224) == (96, 96, 128, 128)
    assert box_around(0, 7, 7, side=64, size=224) == (0, 0, 64, 64)
    assert box_around(48, 7, 7, side=224, size=224) == (0, 0, 224, 224)


@pytest.mark.parametrize(("position", "side"), [(49, 8), (-1, 8), (0, 0), (0, 225)])
def test_what_is_not_in_the_image_is_refused(position: int, side: int):
    with pytest.raises(ValueError, match="of 7 x 7"):
        box_around(position, 7, 7, side=side, size=224)
