"""Steps that run with a network's own modules."""

from __future__ import annotations

import copy
import weakref
from collections import namedtuple

import torch
from torch import Tensor, nn

from headstart.engine.prefix.program import (
    IMAGES,
    Constant,
    Held,
    PerImage,
    Program,
    SameDevice,
    Step,
    Value,
    mapped,
    marks,
    tensors_in,
)

Pair = namedtuple("Pair", ["first", "second"])

GIVEN = Value(IMAGES, 0)


def network_of_two() -> nn.Module:
    network = nn.Module()
    network.scale = nn.Parameter(torch.tensor([2.0, 3.0]))
    network.layer = nn.Linear(2, 2)
    return network


def test_templates_keep_their_structure():
    template = (1, [2, {"a": 3}], slice(4, None), Pair(5, 6))
    changed = mapped(template, lambda leaf: leaf * 10 if leaf else leaf)
    assert changed == (10, [20, {"a": 30}], slice(40, None), Pair(50, 60))
    assert type(changed[3]) is Pair
    assert marks(template) == [1, 2, 3, 4, None, None, 5, 6]
    assert type(mapped(torch.Size((2, 3)), int)) is tuple


def test_tensors_of_an_output_are_found_in_order():
    a, b = torch.zeros(1), torch.ones(1)
    assert all(x is y for x, y in zip(tensors_in({"x": [a, 3], "y": Pair(None, b)}), (a, b), strict=True))


def test_steps_run_modules_functions_parameters_and_sizes():
    network = network_of_two()
    program = Program(
        inputs=(GIVEN,),
        steps=(
            (0, Step("layer", (GIVEN,), {})),
            (1, Step(torch.mul, (Value(0, 0), Held("scale")), {})),
            (2, Step(torch.zeros, (PerImage(2), 2), {"device": SameDevice()})),
            (3, Step(torch.cat, ([Value(1, 0), Value(2, 0)],), {})),
        ),
        output={"out": Value(3, 0)},
    )
    for batch in (1, 4):
        x = torch.randn(batch, 2)
        expected = torch.cat([network.layer(x) * network.scale, torch.zeros(2 * batch, 2)])
        assert torch.equal(program.run(network, [x])["out"], expected)


def test_what_is_exchanged_or_moved_in_the_network_is_followed():
    network = network_of_two()
    program = Program((GIVEN,), ((0, Step("layer", (GIVEN,), {})),), (Value(0, 0), SameDevice(), Held("scale")))
    network.layer = nn.Linear(2, 5)
    network.scale = nn.Parameter(torch.zeros(2))
    out, device, scale = program.run(network, [torch.randn(3, 2)])
    assert out.shape == (3, 5)
    assert device == torch.device("cpu")
    assert scale is network.scale
    out, device, _ = program.run(network.to("meta"), [torch.randn(3, 2, device="meta")])
    assert out.device == device == torch.device("meta")


def test_a_constant_goes_where_the_batch_lies():
    add = Step(torch.add, (GIVEN, Constant(torch.ones(2))), {})
    program = Program((GIVEN,), ((0, add),), Value(0, 0))
    assert program.run(nn.Module(), [torch.zeros(1, 2, device="meta")]).device.type == "meta"
    assert "[1.0, 1.0]" in repr(add.args)


def test_a_tensor_changed_in_place_is_an_output_and_the_callers_is_copied_where_needed():
    step = Step(Tensor.add_, (GIVEN, 1), {}, touched=(GIVEN,))
    for copied in (frozenset[Value](), frozenset([GIVEN])):
        program = Program((GIVEN,), ((0, step), (1, Step(Tensor.mul, (Value(0, 1), 3), {}))), Value(1, 0), copied)
        x = torch.zeros(2, 2)
        assert torch.equal(program.run(nn.Module(), [x]), torch.full((2, 2), 3.0))
        assert bool(x.any()) != bool(copied)


def test_values_are_let_go_after_their_last_use():
    given: list[weakref.ref[Tensor]] = []
    alive: list[int] = []

    class Watched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            given.append(weakref.ref(x))
            alive.append(sum(ref() is not None for ref in given[1:]))  # the first one is the caller's
            return x + 1

    network = nn.Sequential(*(Watched() for _ in range(6)))
    steps = tuple((i, Step(str(i), (Value(i - 1, 0),), {})) for i in range(6))
    program = Program((Value(-1, 0),), steps, Value(5, 0))
    output = program.run(network, [torch.zeros(7, 11)])
    assert torch.equal(output, torch.full((7, 11), 6.0))
    assert max(alive) == 1


def test_a_copy_shares_what_never_changes():
    program = Program((GIVEN,), (), GIVEN)
    assert copy.deepcopy(program) is program
