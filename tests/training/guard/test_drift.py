"""A group that should learn and stands still is named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headstart.training.guard.drift import MovedCheck


def optimizer(rates: dict[str, float]) -> tuple[dict[str, nn.Linear], torch.optim.Optimizer]:
    layers = {name: nn.Linear(3, 3) for name in rates}
    groups = [{"params": list(layers[name].parameters()), "lr": rate, "name": name} for name, rate in rates.items()]
    return layers, torch.optim.SGD(groups)


def step(layers: dict[str, nn.Linear], sgd: torch.optim.Optimizer, *, through: list[str]) -> None:
    sgd.zero_grad(set_to_none=True)
    sum(layers[name](torch.ones(1, 3)).sum() for name in through).backward()
    sgd.step()


def test_groups_without_gradient_and_with_vanishing_learning_rates_are_named():
    layers, sgd = optimizer({"cut": 0.1, "tiny": 1e-30, "learns": 0.1})
    check = MovedCheck(sgd)
    step(layers, sgd, through=["tiny", "learns"])
    assert check.still() == ["cut", "tiny"]


def test_one_bit_of_one_parameter_is_enough():
    layers, sgd = optimizer({"a": 0.1})
    check = MovedCheck(sgd)
    assert check.still() == ["a"]
    with torch.no_grad():
        layers["a"].bias[0] = torch.nextafter(layers["a"].bias[0], torch.tensor(9.0))
    assert check.still() == []


def test_the_warning_carries_its_numbers_and_a_sentence():
    layers, sgd = optimizer({"a": 0.1, "b": 0.1, "head": 0.1})
    check = MovedCheck(sgd)
    with torch.no_grad():
        layers["head"].bias[0] += 1
    warning = check.warning("tune", 2, {"a": 1e-12, "b": 1e-10, "head": 1e-3})
    assert warning is not None
    assert warning.groups == ("a", "b")
    assert warning.lr == {"a": 1e-12, "b": 1e-10}
    for words in ("2 groups from a to b", "epoch 2 of tune", "1.0e-10"):
        assert words in warning.sentence()


def test_movement_is_the_distance_by_the_norm_before():
    layers, sgd = optimizer({"a": 0.1, "zero": 0.1})
    with torch.no_grad():
        for p in layers["zero"].parameters():
            p.zero_()
    check = MovedCheck(sgd)
    start = {f"a.{name}": p.detach().clone() / 2 for name, p in layers["a"].named_parameters()}
    names = {id(p): f"{layer}.{name}" for layer in layers for name, p in layers[layer].named_parameters()}
    with torch.no_grad():
        for p in layers["a"].parameters():
            p.mul_(1.5)
    moved = check.movements()
    assert moved["a"] == pytest.approx(0.5)
    assert moved["zero"] is None
    distances = check.distances(start, names)
    assert distances["a"] == pytest.approx(2.0)
    assert distances["zero"] is None, "the start is not known"


def test_an_epoch_that_began_in_another_process_is_measured_from_there():
    _, sgd = optimizer({"a": 0.1})
    before = {"a": [2 * p.detach() for p in sgd.param_groups[0]["params"]]}
    assert MovedCheck(sgd, before).movements()["a"] == pytest.approx(0.5)
