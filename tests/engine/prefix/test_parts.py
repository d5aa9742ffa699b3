"""Stretches of a network as modules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from headstart.engine.prefix.parts import Part, Taps, channel_axis, pooled
from headstart.engine.prefix.program import IMAGES, Held, PerImage, Program, Step, Value
from headstart.engine.prefix.tracing import Form
from headstart.errors import ModelError

GIVEN = Value(IMAGES, 0)


def form(*shape: int, rows: int = 1) -> Form:
    return Form(shape, torch.float32, channels_last=False, rows=rows)


def network_and_part() -> tuple[nn.Module, Part]:
    torch.manual_seed(0)
    network = nn.Module()
    network.trunk = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    network.shift = nn.Parameter(torch.ones(4))
    network.unused = nn.Linear(9, 9)
    steps = ((0, Step("trunk.0", (GIVEN,), {})), (1, Step("trunk.1", (Value(0, 0),), {})))
    add = (2, Step(torch.add, (Value(1, 0), Held("shift")), {}))
    evaluation = Program((GIVEN,), (*steps, add), (Value(2, 0),))
    training = Program((GIVEN,), steps, (Value(1, 0),))
    return network, Part(network, {"evaluation": evaluation, "training": training}, [form(3)])


def test_a_part_holds_what_it_uses_under_the_networks_names():
    network, part = network_and_part()
    assert set(part.state_dict()) == {n for n in network.state_dict() if not n.startswith("unused")}
    assert part.get_parameter("shift") is network.shift
    assert part.get_submodule("trunk.1") is network.trunk[1]


def test_the_mode_is_the_networks():
    network, part = network_and_part()
    x = torch.randn(5, 3)
    network.eval()
    assert torch.equal(part(x)[0], network.trunk(x) + 1)
    network.train()
    assert part(x)[0].mean().abs() < 1e-6
    part.eval()
    assert not network.trunk[1].training
    assert network.training


def test_training_the_part_trains_the_network():
    network, part = network_and_part()
    network.eval()
    before = network.shift.detach().clone()
    part(torch.randn(2, 3))[0].sum().backward()
    torch.optim.SGD(part.parameters(), lr=1.0).step()
    assert torch.allclose(network.shift, before - 2)
    assert network.unused.weight.grad is None


def test_an_exchanged_module_is_followed():
    network, part = network_and_part()
    network.eval()
    network.trunk[0] = nn.Identity()
    with pytest.raises(RuntimeError):
        part(torch.randn(2, 3))


def test_a_copy_knows_no_network():
    network, part = network_and_part()
    network.eval()
    x = torch.randn(2, 3)
    expected = part(x)[0]
    copied = part.copied().eval()
    assert torch.equal(copied(x)[0], expected)
    assert not any(p.requires_grad for p in copied.parameters())
    assert all(p.requires_grad for p in part.parameters())
    with torch.no_grad():
        network.shift.zero_()
    assert torch.equal(copied(x)[0], expected)
    assert not torch.equal(part(x)[0], expected)
    copied.trunk.add_module("1", nn.Identity())  # as an engine does that folds normalisation away
    assert not torch.equal(copied(x)[0], expected)
    copied.double()
    assert copied(x.double())[0].dtype == torch.float64
    assert network.shift.dtype == torch.float32


def test_another_shape_than_the_recorded_one_is_refused():
    _, part = network_and_part()
    with pytest.raises(ModelError, match=r"is given \(B, 4\); expected \(B, 3\), for which the network was cut"):
        part(torch.zeros(2, 4))
    with pytest.raises(ModelError, match="expected"):
        part(torch.zeros(2, 3), torch.zeros(2, 3))


def test_rows_that_belong_to_one_image_are_put_behind_the_batch():
    """(B * 3, 4) inside, (B, 3, 4) outside."""
    network = nn.Module()
    steps = ((0, Step(Tensor.mul, (GIVEN, 2), {})), (1, Step(Tensor.reshape, (Value(0, 0), PerImage(3), 4), {})))
    before = Program((GIVEN,), steps, (Value(1, 0),))
    prefix = Part(network, {"evaluation": before, "training": before}, [form(12)], [form(3, 4, rows=3)])
    after = Program((Value(1, 0),), ((2, Step(Tensor.reshape, (Value(1, 0), PerImage(1), 12), {})),), Value(2, 0))
    suffix = Part(network, {"evaluation": after, "training": after}, [form(3, 4, rows=3)])
    images = torch.randn(5, 12)
    (crossing,) = prefix(images)
    assert crossing.shape == (5, 3, 4)
    assert torch.equal(suffix(crossing), images * 2)


def test_taps_pool_and_join_what_leaves_a_group():
    network, _ = network_and_part()
    program = Program((GIVEN,), (), {"stem": [GIVEN, GIVEN], "last": [GIVEN]})
    tapped = Taps(network, {"evaluation": program, "training": program}, [form(2, 3, 5)])
    x = torch.randn(4, 2, 3, 5)
    output = tapped(x)
    assert {name: tuple(t.shape) for name, t in output.items()} == {"stem": (4, 4), "last": (4, 2)}
    assert torch.equal(output["last"], x.mean((2, 3)))


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((2, 8, 4, 4), (2, 3)), ((2, 4, 4, 8), (1, 2)), ((2, 4, 4, 4), (2, 3)), ((2, 8, 3, 5), (2, 3)), ((2, 9, 8), (1,))],
)
def test_positions_are_averaged_and_channels_stay(shape: tuple[int, ...], axes: tuple[int, ...]):
    x = torch.randn(shape)
    assert torch.allclose(pooled(x), x.mean(axes))
    assert pooled(x).ndim == 2
    assert channel_axis(shape) == ({*range(1, len(shape))} - set(axes)).pop()


def test_vectors_stay_and_deeper_tokens_are_averaged_over_all_their_axes():
    x = torch.randn(2, 7)
    assert pooled(x) is x
    x = torch.randn(2, 3, 4, 5, 6)
    assert torch.allclose(pooled(x), x.mean((1, 2, 3)))
