"""Cross-fitting: the networks of the folds side by side, exchanged in place, and their average."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from headstart.training.steps.cross_fit import CrossFit, average, tensors_of, write_tensors

NAMES = frozenset(["1.weight", "1.bias"])


def made(folds: int = 3) -> CrossFit:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    classifier = SimpleNamespace(network=network)
    optimizers = [torch.optim.AdamW(network[1].parameters(), lr=0.1) for _ in range(folds)]
    cross_fit = CrossFit(classifier, NAMES, [row % folds for row in range(10)], optimizers)
    cross_fit.weights = [
        {name: torch.full_like(t, float(fold)) for name, t in state(cross_fit).items()} for fold in range(folds)
    ]
    return cross_fit


def state(cross_fit: CrossFit) -> dict[str, torch.Tensor]:
    return tensors_of(cross_fit.classifier, NAMES)


def step(cross_fit: CrossFit, fold: int) -> None:
    optimizer = cross_fit.hold(fold)
    optimizer.zero_grad()
    cross_fit.classifier.network(torch.ones(2, 3)).square().sum().backward()
    optimizer.step()


def test_each_image_validates_one_network_and_trains_all_others():
    cross_fit = made()
    for fold in cross_fit.folds:
        train, held = cross_fit.training_rows(fold), cross_fit.validation_rows(fold)
        assert sorted([*train, *held]) == list(range(10))
    assert sorted(np.concatenate([cross_fit.validation_rows(fold) for fold in cross_fit.folds])) == list(range(10))


def test_a_step_of_one_fold_moves_no_other_and_nothing_that_is_frozen():
    cross_fit = made()
    frozen = cross_fit.classifier.network[0].weight.clone()
    before = [dict(one) for one in cross_fit.weights]
    step(cross_fit, 1)
    cross_fit.put_aside()
    assert not torch.equal(cross_fit.weights[1]["1.weight"], before[1]["1.weight"])
    for other in (0, 2):
        assert torch.equal(cross_fit.weights[other]["1.weight"], before[other]["1.weight"])
    assert torch.equal(cross_fit.classifier.network[0].weight, frozen)


def test_side_by_side_is_as_one_after_the_other():
    """Three networks that take turns end where each would have ended alone."""
    turns, alone = made(), made()
    for _ in range(4):
        for fold in turns.folds:
            step(turns, fold)
    turns.put_aside()
    for fold in alone.folds:
        for _ in range(4):
            step(alone, fold)
    alone.put_aside()
    for mine, theirs in zip(turns.weights, alone.weights, strict=True):
        assert all(torch.equal(mine[name], theirs[name]) for name in NAMES)


def test_a_checkpoint_in_the_middle_changes_nothing():
    straight, stopped, resumed = made(), made(), made()
    for cross_fit in (straight, stopped):
        step(cross_fit, 0)
        step(cross_fit, 1)
    states = stopped.states()
    resumed.take_up(states)
    for cross_fit in (straight, resumed):
        for fold in (1, 2, 0):
            step(cross_fit, fold)
        cross_fit.hold_average()
    assert all(torch.equal(state(straight)[name], state(resumed)[name]) for name in NAMES)


def test_the_average_is_in_place_and_the_networks_are_kept():
    cross_fit = made()
    cross_fit.hold_average()
    assert torch.equal(state(cross_fit)["1.weight"], torch.ones(2, 4))
    cross_fit.hold(2)
    assert torch.equal(state(cross_fit)["1.weight"], torch.full((2, 4), 2.0))


@settings(deadline=None)
@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=6))
def test_the_average_is_the_mean_and_counts_are_those_of_the_first(values: list[float]):
    weights = [{"w": torch.tensor([value]), "count": torch.tensor(number)} for number, value in enumerate(values)]
    found = average(weights)
    assert float(found["w"]) == pytest.approx(np.mean(np.array(values, np.float64)), rel=1e-6, abs=1e-30)
    assert found["w"].dtype == torch.float32
    assert int(found["count"]) == 0


def test_writing_leaves_other_tensors_and_the_parameters_themselves():
    cross_fit = made()
    parameter = cross_fit.classifier.network[1].weight
    write_tensors(cross_fit.classifier, {"1.weight": torch.zeros(2, 4)})
    assert cross_fit.classifier.network[1].weight is parameter
    assert not parameter.detach().any()
