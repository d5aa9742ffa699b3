"""PyTorch as an engine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.engine.prefix import torch_engine
from headstart.engine.prefix.running import BATCH_IMAGES
from headstart.engine.prefix.torch_engine import (
    EagerEngine,
    TorchEngine,
    compiling_pays,
    to_arrays,
    to_tensor,
    version_on,
)
from headstart.machine import one_core_a_thread, take_one_core

IMAGES = np.random.default_rng(0).normal(size=(3, 16, 12, 3)).astype(np.float32)


class TwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.norm(self.conv(x_BCHW))
        return maps, maps.mean((2, 3))


def test_both_engines_give_one_array_for_each_tensor_that_crosses() -> None:
    network = TwoOutputs()
    eager = EagerEngine(network)
    folded = TorchEngine(network, IMAGES)
    assert not network.training
    assert "1 norms folded" in folded.version
    assert torch.__version__ in folded.version
    assert folded.version != eager.version
    with torch.no_grad():
        expected = [tensor.numpy() for tensor in network(torch.from_numpy(IMAGES).permute(0, 3, 1, 2))]
    for engine in (eager, folded):
        assert engine.name == "torch"
        assert engine.version.startswith(f"{version_on(torch.device('cpu'))}, ")
        found = engine.run(IMAGES)
        assert [array.shape for array in found] == [(3, 4, 14, 10), (3, 4)]
        assert all(array.dtype == np.float32 for array in found)
        assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))


def test_a_later_change_of_the_network_reaches_only_the_network_as_it_is() -> None:
    network = TwoOutputs()
    eager, folded = EagerEngine(network), TorchEngine(network, IMAGES)
    before = folded.run(IMAGES)[1]
    with torch.no_grad():
        network.norm.bias += 1
    assert np.allclose(eager.run(IMAGES)[1], before + 1, atol=1e-5)
    assert np.array_equal(folded.run(IMAGES)[1], before)


def test_tensors_share_memory_and_are_channels_last() -> None:
    tensor = to_tensor(IMAGES, torch.device("cpu"))
    assert tensor.shape == (3, 3, 16, 12)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert tensor.data_ptr() == IMAGES.ctypes.data


def test_half_precision_is_handed_out_as_single() -> None:
    (found,) = to_arrays(torch.ones(2, 3, dtype=torch.float16))
    assert found.dtype == np.float32


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_images_are_run_in_as_many_threads_as_torch_may_use(three_threads: None) -> None:
    assert TorchEngine(TwoOutputs(), IMAGES).image_threads == 3
    assert EagerEngine(TwoOutputs()).image_threads == 1  # one call after the other, as anyone would run it


def test_rows_do_not_depend_on_how_many_threads_run_them(three_threads: None) -> None:
    engine = TorchEngine(TwoOutputs(), IMAGES)
    whole = engine.run(IMAGES)

    def alone(number: int) -> tuple[np.ndarray, ...]:
        take_one_core()
        return engine.run(IMAGES[number : number + 1])

    with one_core_a_thread(), ThreadPoolExecutor(3) as pool:
        rows = list(pool.map(alone, range(len(IMAGES))))
    for number, expected in enumerate(whole):
        assert np.allclose(np.concatenate([row[number] for row in rows]), expected, atol=1e-6)


def test_compiling_pays_on_a_gpu_for_many_images() -> None:
    assert compiling_pays(torch.device("cuda"), torch_engine.COMPILE_PAYS_IMAGES)
    assert not compiling_pays(torch.device("cuda"), torch_engine.COMPILE_PAYS_IMAGES - 1)
    assert not compiling_pays(torch.device("cpu"), 10**9)


def test_one_shape_is_compiled_however_many_images_come(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []

    def compiled(module: nn.Module, *, dynamic: bool):
        def run(x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
            shapes.append(tuple(x_BCHW.shape))
            return module(x_BCHW)

        return run

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr(torch_engine, "compiling_pays", lambda device, images: images > 5)
    many = np.random.default_rng(1).normal(size=(2 * BATCH_IMAGES + 3, 16, 12, 3)).astype(np.float32)
    network = TwoOutputs()
    engine, eager = TorchEngine(network, IMAGES, images_to_come=6), EagerEngine(network)
    assert engine.version.endswith(", compiled")
    for images in (IMAGES, many, many[:BATCH_IMAGES]):
        for found, expected in zip(engine.run(images), eager.run(images), strict=True):
            assert found.shape == expected.shape
            assert np.allclose(found, expected, atol=1e-5)
    assert set(shapes) == {(BATCH_IMAGES, 3, 16, 12)}
    assert not TorchEngine(network, IMAGES, images_to_come=5).compiled
