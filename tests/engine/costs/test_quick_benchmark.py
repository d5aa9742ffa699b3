"""The quick benchmark measures one core and all, and leaves the network as it was; other commands' figures first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from headstart.engine import views
from headstart.engine.costs import quick_benchmark
from headstart.engine.costs.memory import recall_value
from headstart.engine.costs.network import classifier_facts
from headstart.engine.costs.quick_benchmark import benchmarked_speeds, benchmarked_views
from headstart.engine.prefix.engines import choose_engine
from headstart.engine.prefix.inference import pooled_features
from headstart.engine.prefix.onnx_session import runtime_version
from headstart.engine.store.activations import pooled_label
from headstart.errors import DataError
from headstart.machine import machine_key


class Clock:
    """Time that passes only while a network runs: a busy machine measures the same."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now

    thread_time = perf_counter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(quick_benchmark, "time", clock := Clock())
    return clock


class Machine(nn.Module):
    """A network that takes some seconds of a core an image, and shares a batch among the threads there are."""

    def __init__(self, seconds: float, clock: Clock | None = None) -> None:
        super().__init__()
        self.clock = clock or Clock()
        self.norm, self.drop = nn.BatchNorm2d(3), nn.Dropout(0.5)
        self.seconds, self.passes = seconds, list[tuple[int, int]]()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        threads = torch.get_num_threads()
        self.clock.now += self.seconds * len(images) / min(threads, len(images))
        self.passes.append((threads, len(images)))
        assert not self.training
        assert images.is_contiguous(memory_format=torch.channels_last)
        return self.drop(self.norm(images))


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


@pytest.mark.parametrize(("each", "batch"), [(0.002, 6), (0.04, 5)])
def test_a_quick_benchmark_sees_one_core_alone_and_all_together(clock: Clock, threads: int, each: float, batch: int):
    network = Machine(each, clock)
    found = quick_benchmark.quick_throughput(network, channels=3, size=8)
    assert torch.get_num_threads() == threads
    assert network.passes[:2] == [(1, 1), (1, 1)], "the first warms up"
    ((used, count),) = network.passes[2:]
    assert used == threads
    assert 1 <= count <= batch
    assert found is not None
    assert found.one_core == pytest.approx(1 / each)
    assert found.together == pytest.approx(min(threads, count) / each)


def test_one_image_of_a_heavy_network_says_enough(clock: Clock, threads: int):
    network = Machine(0.25, clock)
    found = quick_benchmark.quick_throughput(network, channels=3, size=8)
    assert network.passes == [(1, 1)]
    assert found is not None
    assert found.one_core <= 4
    assert found.together == pytest.approx(threads * found.one_core)


def test_a_quick_benchmark_leaves_the_network_and_the_random_numbers_as_they_are():
    network = Machine(0.0).train()
    network.norm.eval()
    state, before = torch.random.get_rng_state(), {k: v.clone() for k, v in network.state_dict().items()}
    quick_benchmark.quick_throughput(network, channels=3, size=8)
    assert (network.training, network.norm.training, network.drop.training) == (True, False, True)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_network_that_refuses_zeros_has_no_throughput_and_keeps_its_modes():
    network = Machine(0.0).train()
    assert quick_benchmark.quick_throughput(network, channels=4, size=8) is None
    assert network.training


def test_figures_of_other_commands_are_taken_before_anything_is_benchmarked(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(quick_benchmark, "quick_throughput", lambda *args, **options: pytest.fail("benchmarked"))
    classifier, machine = prepare(strategy="partial", epochs=2).classifier(), machine_key()
    facts, sample = classifier_facts(classifier, size=32), np.zeros((8, 32, 32, 3), np.float32)
    choose_engine(pooled_features(classifier), sample, label=pooled_label(classifier), images_to_come=10**6)
    part = f"{pooled_label(classifier)}, 32x32x3, onnxruntime {runtime_version()}"
    timed = recall_value(machine, "engines", part)
    found = benchmarked_speeds(classifier, facts, size=32)
    assert found["forward"] == pytest.approx(timed["torch"] * facts.gmacs)
    assert found["onnxruntime"] == pytest.approx(timed["onnxruntime"] * facts.gmacs)
    monkeypatch.setattr(quick_benchmark, "known_throughput", lambda card: 50.0)
    again = benchmarked_speeds(classifier, facts, size=32)
    assert again["forward"] == pytest.approx(50 * facts.gmacs * (224 / 32) ** 2), "at the card's own size"


def test_views_are_made_of_a_few_images_of_the_run(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    task = prepare(strategy="partial", epochs=2)
    read: list[str] = []
    original = views.augmented_input

    def augmented_input(record, spec, **options):
        read.append(record.id)
        return original(record, spec, **options)

    monkeypatch.setattr(views, "augmented_input", augmented_input)
    found = benchmarked_views(task.images, task.plan.augmentation, ["plain", "augmented"])
    assert set(found) == {"plain", "augmented"}
    assert all(0 < seconds < 1 for seconds in found.values())
    assert 1 <= len(set(read)) == len(read) <= 3

    def broken(record, spec, **options):
        raise DataError("cannot be read")

    monkeypatch.setattr(views, "augmented_input", broken)
    assert set(benchmarked_views(task.images, task.plan.augmentation, ["plain", "augmented"])) == {"plain"}
