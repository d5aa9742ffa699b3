"""Averages, pulls and mixes of weights in whole trainings: on pixels, on cached activations, in steps, and resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from conftest import Prepared
from fitted_runs import Rows, StopAfter, equal, run_fit
from headstart.runs.training_events import WeightsInterpolated
from headstart.training.checkpoint import load_state
from headstart.training.loop import fit
from headstart.training.stopping import StopRequest
from headstart.training.training import Training
from headstart.training.weights.interpolation import SHARES

pytestmark = pytest.mark.slow


def with_plan(task: Prepared, *, optimizer: Mapping[str, Any] | None = None, **selection: Any) -> Prepared:
    plan = task.plan
    task.plan = plan.changed(
        optimizer=plan.optimizer.model_copy(update=optimizer or {}),
        selection=plan.selection.model_copy(update=selection),
    )
    return task


def last(task: Prepared) -> dict[str, torch.Tensor]:
    state = load_state(task.run.checkpoint)
    assert state is not None
    return dict(state.network)


@pytest.mark.parametrize(("strategy", "stop"), [("full", 12), ("partial", 12), ("gradual", 12), ("progressive", 14)])
def test_a_run_with_average_and_pull_goes_on_bit_for_bit(prepare: Callable, strategy: str, stop: int):
    results = []
    for name, looks in (("whole", 999), ("stopped", stop)):
        task = prepare(name, strategy=strategy, epochs=2)
        with_plan(task, optimizer={"ema_decay": 0.9, "l2_sp": 0.5}, when_cannot_improve="tune_anyway")
        _, outcome = run_fit(task, stop=StopAfter(looks))
        assert (outcome.stopped is None) == (looks == 999)
        if outcome.stopped:
            run_fit(task)
        results.append(last(task))
    assert equal(results[0], results[1])


def distance(weights: Mapping[str, torch.Tensor], start: Mapping[str, Any]) -> float:
    return float(
        sum((weights[n].double() - torch.as_tensor(start[n]).double()).square().sum() for n in weights if "conv" in n)
    )


def test_a_pull_holds_the_backbone_near_its_start_on_pixels_and_on_cached_activations(prepare: Callable):
    for strategy in ("full", "partial"):
        found = []
        for coefficient in (0.0, 10.0):
            task = prepare(f"{strategy}-{coefficient}", strategy=strategy, epochs=2, lr=0.01)
            run_fit(with_plan(task, optimizer={"l2_sp": coefficient}))
            state = load_state(task.run.checkpoint)
            assert state is not None
            assert state.probe is not None
            found.append(distance(state.network, state.probe.weights))
        assert 0 < found[1] < 0.9 * found[0]


def test_the_average_is_what_is_validated_and_selected(prepare: Callable):
    found = []
    for decay in (None, 0.999):
        task = prepare(f"ema-{decay}", strategy="full", epochs=1, lr=0.01)
        run_fit(with_plan(task, optimizer={"ema_decay": decay}))
        state = load_state(task.run.checkpoint)
        assert state is not None
        assert state.best is not None
        found.append(state)
    plain, averaged = found
    start = averaged.probe.weights
    assert 0 < distance(averaged.best.weights, start) < distance(plain.best.weights, start)
    assert averaged.best.losses.mean() != plain.best.losses.mean()


def test_weights_in_between_are_candidates_on_the_same_images(prepare: Callable):
    task = with_plan(prepare(strategy="full", epochs=2, lr=0.02), interpolate="auto")
    seen = Rows()
    training = Training(task.plan, task.classifier(), task.images, run=task.run, observer=seen, stop=StopRequest())
    outcome = fit(training)
    ((_, event),) = [one for one in seen.events if one[0] == WeightsInterpolated.event]
    assert len(event["shares"]) == 1 + len(SHARES)
    state = load_state(task.run.checkpoint)
    assert state is not None
    assert state.best is not None
    assert state.best.name == event["selected"]
    epoch, *mixes = event["shares"]
    assert all(len(state.validation_predictions.known(name)) == event["images"] for name in event["shares"])
    assert state.best.name == epoch or event["shares"][state.best.name] < event["shares"][epoch]
    assert [name.split("@")[0] for name in mixes] == [epoch] * len(SHARES)
    assert outcome.chosen in {"probe", state.best.name}
