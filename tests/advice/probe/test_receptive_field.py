"""Effective receptive fields: exact where theory is exact, Gaussian where it is Gaussian (Luo et al. 2016)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from headstart.advice.probe.receptive_field import receptive_sides, side_holding
from headstart.engine.prefix.positions import position_map


def box_layers(count: int, kernel: int = 3) -> nn.Sequential:
    """Convolutions of one channel whose weights are all equal."""
    layers = [nn.Conv2d(1, 1, kernel, padding=kernel // 2, bias=False) for _ in range(count)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1 / kernel**2)
    return nn.Sequential(*layers)


def side_of(network: nn.Module, images: Tensor, share: float = 0.9) -> int:
    return receptive_sides(lambda x: {"it": position_map(network(x))}, images, share=share)["it"]


@pytest.mark.parametrize(("layers", "kernel", "side"), [(1, 3, 3), (2, 3, 5), (3, 3, 7), (1, 5, 5), (2, 5, 9)])
def test_everything_is_held_by_the_theoretical_field(layers: int, kernel: int, side: int):
    assert side_of(box_layers(layers, kernel), torch.randn(2, 1, 31, 31), share=1.0) == side


def test_many_layers_look_through_a_gaussian():
    layers = 24
    deviation = math.sqrt(layers * (3**2 - 1) / 12)  # of n equal boxes after each other
    # Energy is the square of the gradient: its deviation is smaller by sqrt(2). Of a square that holds 0.9 each axis
    # holds sqrt(0.9), which a normal distribution does within 1.949 deviations.
    expected = 2 * 1.949 * deviation / math.sqrt(2)
    side = side_of(box_layers(layers), torch.randn(2, 1, 101, 101))
    assert expected <= side < expected + 2  # in whole pixels around one in the middle it is odd


def test_strides_widen_it_and_the_centre_is_the_positions_own():
    network = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.ReLU(), nn.Conv2d(8, 5, 1))
    assert side_of(network, torch.randn(4, 3, 32, 32), share=1.0) == 4
    tokens = lambda x: {"it": position_map(network(x).flatten(2).transpose(1, 2))}  # noqa: E731
    assert receptive_sides(tokens, torch.randn(4, 3, 32, 32), share=1.0) == {"it": 4}


def test_channels_that_would_cancel_do_not():
    layer = nn.Conv2d(1, 2, 3, padding=1, bias=False)
    with torch.no_grad():
        layer.weight[1] = -layer.weight[0]
    assert side_of(layer, torch.randn(8, 1, 15, 15), share=1.0) == 3


def test_it_is_the_same_each_time_and_leaves_no_gradients():
    torch.manual_seed(0)
    network, images = (
        nn.Sequential(nn.Conv2d(3, 6, 5, padding=2), nn.Conv2d(6, 6, 5, padding=2)),
        torch.randn(4, 3, 21, 21),
    )
    with torch.no_grad():
        assert side_of(network, images) == side_of(network, images)
    assert images.grad is None
    assert all(parameter.grad is None for parameter in network.parameters())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 1.0), st.floats(0, 13), st.floats(0, 9))
def test_no_smaller_square_would_do(seed: int, share: float, row: float, column: float):
    energy = np.random.default_rng(seed).gamma(0.3, size=(13, 9))
    side = side_holding(energy, (row, column), share=share)
    down, across = np.abs(np.arange(13) + 0.5 - row), np.abs(np.arange(9) + 0.5 - column)
    far = np.maximum(down[:, None], across[None, :])

    def held(width: float) -> float:  # pixels that lie wholly in the square
        return float(energy[far + 0.5 <= width / 2 + 1e-9].sum() / energy.sum())

    assert 1 <= side <= 13
    assert held(side) >= share - 1e-9 or side == 13
    assert held(side - 1) < share + 1e-9


def test_without_energy_it_is_the_whole_image_and_nonsense_is_refused():
    assert side_holding(np.zeros((6, 8)), (3, 4)) == 8
    with pytest.raises(ValueError, match="a share of 0"):
        side_holding(np.ones((3, 3)), (1.5, 1.5), share=0)
    with pytest.raises(ValueError, match="energies from -1"):
        side_holding(-np.ones((3, 3)), (1.5, 1.5))
