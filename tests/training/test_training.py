"""The record of a training run: what is decided on the way stands in the plan, and what is saved is whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from headstart.networks.groups.layers import copy_of
from headstart.plan.plan import FrozenPrefixPlan
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.runs.warnings import GroupsUnchanged
from headstart.training.checkpoint import Candidate, load_state
from headstart.training.stopping import Stopped, StopRequest
from headstart.training.training import Training


class Events(Observer):
    def __init__(self) -> None:
        self.noted_events: list[str] = []

    def noted(self, event: Event) -> None:
        self.noted_events.append(event.event)


def training_of(task, **options) -> Training:
    made = Training(task.plan, task.classifier(), task.images, run=task.run, **options)
    made.take_up()
    return made


def test_what_is_decided_on_the_way_stands_in_the_plan_of_the_run(prepare: Callable):
    training = training_of(prepare(strategy="partial", epochs=1))
    number, phase = next((n, one) for n, one in enumerate(training.plan.phases) if one.kind == "train")
    frozen_part = FrozenPrefixPlan(activations="cached", cut_point="stage6", views=2)
    resolved = training.resolve_frozen_prefix(phase, frozen_part)
    assert training.resolve_frozen_prefix(resolved, frozen_part) is resolved
    training.resolve_engine("torch")
    training.resolve_engine("onnxruntime")  # the first engine runs all of a run
    assert training.plan.phases[number].frozen_prefix == frozen_part
    assert training.source.engine == training.run.plan().engine == "torch"
    assert training.run.plan().phases[number].frozen_prefix == frozen_part


def test_a_warning_is_given_once_a_phase(prepare: Callable):
    events = Events()
    training = training_of(prepare(), observer=events)
    for phase in ("tune", "tune", "later"):
        training.warn(GroupsUnchanged(phase, 1, ("stem",), {"stem": 1e-9}))
    training.warn(None)
    assert [warning["phase"] for warning in training.progress.warnings] == ["tune", "later"]
    assert events.noted_events.count("groups_unchanged") == 2


def test_a_request_to_stop_is_followed_after_saving_and_only_while_there_is_something_left_to_train(prepare: Callable):
    stop = StopRequest()
    training = training_of(prepare(), stop=stop)
    training.after_batch(None)
    assert load_state(training.run.checkpoint) is None
    stop.signalled()
    with pytest.raises(Stopped):
        training.after_batch(None)
    assert load_state(training.run.checkpoint).network.keys() == training.classifier.network.state_dict().keys()
    training.progress.done = True
    training.stop_if_requested()


def test_the_best_weights_come_back_those_of_an_epoch_before_those_of_the_probe(prepare: Callable):
    training = training_of(prepare())
    network = training.classifier.network
    weights = [copy_of(network), copy_of(network)]
    head = f"{training.classifier.sites[0].path}.weight"
    for number, state in enumerate(weights):
        state[head] = torch.full_like(state[head], float(number))
    training.restore_best()  # nothing was evaluated yet: the network stays as it is
    training.state.probe = Candidate("probe", None, None, weights[0])
    training.restore_best()
    assert not training.classifier.head.weight.any()
    training.state.best = Candidate("tune/1", None, None, weights[1])
    training.restore_best()
    assert (training.classifier.head.weight == 1).all()
