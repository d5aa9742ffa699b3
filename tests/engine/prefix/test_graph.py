"""Steps of both modes under one numbering, their levels, and what crosses a cut point."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from headstart.engine.prefix.graph import StepGraph, graph_of
from headstart.engine.prefix.program import IMAGES, Held, Step, Value
from headstart.engine.prefix.tracing import Form, Trace, Untraceable

GIVEN = Value(IMAGES, 0)
FORM = Form((4,), torch.float32, channels_last=False)
GROUP_OF = {"stem": 0, "middle": 1, "last": 2, "head": 3, "positions": 1}


def trace(*steps: Step, output: object) -> Trace:
    return Trace(steps, output, {Value(index, 0): FORM for index in range(-1, len(steps))})


def own(step: Step) -> Iterator[int]:
    yield from (GROUP_OF[path] for path in step.held())
    if isinstance(step.target, str):
        yield GROUP_OF[step.target]


def of(*steps: Step, output: object) -> StepGraph:
    made = trace(*steps, output=output)
    return graph_of({"evaluation": made, "training": made})


def draws(step: Step) -> bool:
    return step.target is F.dropout


CHAIN = (
    Step("stem", (GIVEN,), {}),  # 0
    Step(torch.exp, (Held("positions"),), {}),  # 1: not on images
    Step("middle", (Value(0, 0), Value(1, 0)), {}),  # 2
    Step("last", (Value(2, 0), Value(1, 0)), {}),  # 3
    Step(torch.add, (Value(3, 0), Value(0, 0)), {}),  # 4: a skip from the stem
    Step("head", (Value(4, 0),), {}),  # 5
)


def test_a_step_has_the_level_of_the_last_group_that_it_needs():
    levels = of(*CHAIN, output=Value(5, 0)).levels(own, draws)
    assert [levels[number] for number in range(-1, 6)] == [0, 0, 1, 1, 2, 2, 3]


def test_skips_cross_and_what_is_not_of_the_images_is_made_on_both_sides():
    graph = of(*CHAIN, output=Value(5, 0))
    levels = graph.levels(own, draws)
    assert graph.on_images == {IMAGES, 0, 2, 3, 4, 5}
    assert graph.crossing(levels, 1, ["evaluation"]) == (Value(0, 0),)
    assert graph.crossing(levels, 2, ["evaluation"]) == (Value(0, 0), Value(2, 0))
    assert graph.crossing(levels, 3, ["evaluation"]) == (Value(4, 0),)
    assert graph.needed("evaluation", [Value(5, 0)], levels, 2) == (1, 3, 4, 5)
    assert graph.needed("evaluation", [Value(2, 0)], levels) == (0, 1, 2)


def test_an_output_below_the_cut_point_crosses_too():
    graph = of(*CHAIN, output=(Value(5, 0), Value(2, 0)))
    assert graph.crossing(graph.levels(own, draws), 3, ["evaluation"]) == (Value(2, 0), Value(4, 0))


def test_both_modes_number_what_they_share_alike():
    pool = Step(torch.relu, (Value(0, 0),), {})
    evaluation = trace(CHAIN[0], pool, Step("head", (Value(1, 0),), {}), output=Value(2, 0))
    training = trace(
        CHAIN[0], Step("last", (Value(0, 0),), {}), pool, Step("head", (Value(2, 0),), {}), output=[Value(3, 0)]
    )
    graph = graph_of({"evaluation": evaluation, "training": training})
    assert graph.orders == {"evaluation": (0, 1, 2), "training": (0, 3, 1, 2)}
    assert graph.outputs == {"evaluation": Value(2, 0), "training": [Value(2, 0)]}
    assert graph.order == (0, 1, 2, 3)


def test_the_same_call_twice_is_two_steps():
    twice = Step("middle", (Value(0, 0),), {})
    graph = of(CHAIN[0], twice, twice, Step(torch.add, (Value(1, 0), Value(2, 0)), {}), output=Value(3, 0))
    assert graph.orders["evaluation"] == (0, 1, 2, 3)


def test_dropout_between_the_layers_belongs_to_the_side_that_uses_it():
    drop = Step(F.dropout, (Value(0, 0),), {"p": 0.5})
    graph = of(CHAIN[0], drop, Step("head", (Value(1, 0),), {}), output=Value(2, 0))
    levels = graph.levels(own, draws)
    assert levels[1] == 3
    assert graph.crossing(levels, 3, ["evaluation"]) == (Value(0, 0),)


def test_what_only_carries_dropout_on_goes_with_it():
    drop, flat = Step(F.dropout, (Value(0, 0),), {}), Step(torch.flatten, (Value(1, 0), 1), {})
    head, skip = Step("head", (Value(2, 0),), {}), Step("middle", (Value(1, 0),), {})
    assert [of(CHAIN[0], drop, flat, head, output=Value(3, 0)).levels(own, draws)[n] for n in range(4)] == [0, 3, 3, 3]
    # Used by two sides it lies before the first of them.
    assert of(CHAIN[0], drop, flat, head, skip, output=(Value(3, 0), Value(4, 0))).levels(own, draws)[1] == 1


def test_a_tensor_changed_in_place_comes_after_the_change():
    change = Step(Tensor.add_, (Value(0, 0), 1), {}, touched=(Value(0, 0),))
    graph = of(CHAIN[0], change, Step("last", (Value(1, 1),), {}), output=Value(2, 0))
    assert graph.needed("evaluation", [Value(2, 0)], graph.levels(own, draws)) == (0, 1, 2)


def test_tensors_that_only_training_makes_below_the_cut_point_cannot_cross():
    evaluation = trace(CHAIN[0], Step("head", (Value(0, 0),), {}), output=Value(1, 0))
    training = trace(CHAIN[0], Step("middle", (Value(0, 0),), {}), Step("head", (Value(1, 0),), {}), output=Value(2, 0))
    graph = graph_of({"evaluation": evaluation, "training": training})
    with pytest.raises(Untraceable, match="differ between training and evaluation"):
        graph.crossing(graph.levels(own, draws), 3, ["evaluation", "training"])
