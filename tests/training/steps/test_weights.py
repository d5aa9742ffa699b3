"""Weights that a step changes."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

from headstart.training.steps.weights import tensors_of, write_tensors

NAMES = frozenset(["1.weight"])


def classifier() -> SimpleNamespace:
    return SimpleNamespace(network=nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)))


def test_copies_are_of_the_named_tensors_and_do_not_follow_the_network():
    made = classifier()
    kept = tensors_of(made, NAMES)
    assert set(kept) == NAMES
    with torch.no_grad():
        made.network[1].weight.zero_()
    assert kept["1.weight"].any()


def test_writing_leaves_other_tensors_and_the_parameters_themselves():
    made = classifier()
    parameter, other = made.network[1].weight, made.network[0].weight.detach().clone()
    write_tensors(made, {"1.weight": torch.zeros(2, 4)})
    assert made.network[1].weight is parameter
    assert not parameter.detach().any()
    assert torch.equal(made.network[0].weight, other)
