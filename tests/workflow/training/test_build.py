"""The network and the images of a resolved plan, before there is a run folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from headstart.data.loading import choose_workers, chosen_workers
from headstart.errors import HeadstartError
from headstart.machine import best_device, choose_device
from headstart.workflow.training.build import build_training, use_machine


@pytest.mark.parametrize(("strategy", "head"), [("partial", "linear"), ("feature_extraction", "multi_depth")])
def test_network_and_images_are_those_of_the_plan(prepare: Callable[..., Any], strategy: str, head: str):
    task = prepare(strategy=strategy, head=head, class_weight="balanced" if head == "linear" else None)
    built = build_training(task.plan, task.choice, task.data)
    assert built.images.roles is task.data.roles
    assert (built.images.spec.size, built.images.precision) == (32, "float16")
    assert bool(built.images.weights) == (head == "linear")
    network = built.classifier.built().network  # a network that is known is built when it is needed
    network.eval()
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, len(task.data.roles.classes))
    again = build_training(task.plan, task.choice, task.data)
    states = network.state_dict(), again.classifier.built().network.state_dict()
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


@pytest.mark.parametrize(("cache", "precision"), [("float32", "float32"), ("off", "float16")])
def test_the_activation_cache_is_that_of_the_plan(prepare: Callable[..., Any], cache: str, precision: str):
    task = prepare(strategy="partial")
    plan = task.plan.model_copy(update={"activation_cache": cache})
    images = build_training(plan, task.choice, task.data).images
    assert (images.store is None, images.precision) == (cache == "off", precision)


def test_the_process_uses_the_device_and_the_threads_it_is_told():
    try:
        use_machine(device="cpu", workers=3)
        assert (best_device().type, chosen_workers()) == ("cpu", 3)
        use_machine(device="auto", workers="auto")
        assert chosen_workers() is None
        with pytest.raises(HeadstartError, match="cuda:99"):
            use_machine(device="cuda:99", workers=1)
    finally:
        choose_workers(None)
        choose_device("auto")


@pytest.mark.slow
def test_the_same_bits_are_demanded_without_importing_the_compiler():
    code = """
import os, sys
from headstart.workflow.training.build import _make_deterministic
import torch
_make_deterministic()
print(torch.get_deterministic_debug_mode(), "torch._inductor.config" in sys.modules)
import torch._inductor.config as config
print(config.deterministic)
config.deterministic = False
_make_deterministic()
print(config.deterministic)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False", "True", "True"]
