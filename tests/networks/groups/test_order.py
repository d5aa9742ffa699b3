"""The order of execution, read without computing."""

from __future__ import annotations

import pytest
import torch
import torchvision.models
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from headstart.errors import ModelError
from headstart.networks.groups.order import execution_draft, output_positions, positions_of, trace, without_weights


class Shuffled(nn.Module):
    """Layers that run in another order than they are registered in."""

    def __init__(self, order: list[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 3, 1) for _ in order])
        self.head = nn.Linear(3, 2)
        self.order = order

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        for index in self.order:
            x_BCHW = self.layers[index](x_BCHW)
        return self.head(x_BCHW.mean((2, 3)))


@given(st.permutations(range(5)))
@settings(max_examples=20, deadline=None)
def test_the_trace_is_the_order_of_forward(order: list[int]):
    network = Shuffled(order)
    found = trace(network).order
    met = sorted(found, key=found.__getitem__)
    expected = [f"layers.{i}.{p}" for i in order for p in ("weight", "bias")]
    assert met == [*expected, "head.weight", "head.bias"]
    assert [label for label, _ in execution_draft(network, "block", None)] == [
        "stem",
        *(f"layers.{i}" for i in order[1:]),
        "head",
    ]


def test_a_trace_changes_nothing_and_computes_nothing():
    network = torchvision.models.resnet18()
    network.layer1.eval()
    before = {name: t.clone() for name, t in network.state_dict().items()}
    modes = [m.training for m in network.modules()]
    found = trace(network)
    assert all(torch.equal(t, before[name]) for name, t in network.state_dict().items())
    assert [m.training for m in network.modules()] == modes
    assert found.positions["layer4"] == 49
    assert next(network.parameters()).device.type == "cpu"


def test_a_forward_that_fails_says_on_what_and_what_to_do():
    with pytest.raises(ModelError, match=r"Linear cannot be run on images of \(1, 3, 224, 224\)"):
        trace(nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("shape", "count"), [((1, 8, 7, 7), 49), ((1, 7, 7, 8), 49), ((1, 197, 64), 197), ((1, 64), 1), ((1, 7, 7, 7), 49)]
)
def test_positions_of_maps_tokens_and_vectors(shape: tuple[int, ...], count: int):
    assert positions_of(shape) == count


def test_positions_of_a_network_that_cannot_run_are_unknown():
    assert output_positions(nn.Sequential(nn.Linear(3, 2)), [["0.weight"]]) == [None]


def test_structure_costs_no_memory_even_where_a_constructor_computes():
    for name in ("resnet18", "regnet_y_400mf"):
        network = without_weights(lambda name=name: torchvision.models.get_model(name, weights=None))
        assert {t.device.type for t in (*network.parameters(), *network.buffers())} == {"meta"}
    assert nn.Linear(2, 2).weight.device.type == "cpu"
