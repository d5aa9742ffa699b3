"""Pairs of a convolution and its BatchNorm: only where nothing else reads the convolution, and each runs once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headstart.engine.prefix.norm_pairs import conv_norm_pairs


class Several(nn.Module):
    """Takes two maps, as a trainable suffix may."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.second, self.second_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.later, self.later_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.moving = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        first, second = self.first(a), self.second(b)
        # The order of the norms is not that of the convolutions.
        x = self.second_norm(second) + self.first_norm(first)
        return self.moving(self.later(self.later_norm(torch.relu(self.later(x)))))


def test_pairs_follow_the_tensors_and_not_the_order_of_modules():
    network = Several().eval()
    pairs = conv_norm_pairs(network, torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, 4))
    assert pairs == [(network.second, network.second_norm), (network.first, network.first_norm)]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
