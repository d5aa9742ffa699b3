"""PyTorch as an engine."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from headstart.features.torch_engine import EagerEngine, TorchEngine, device_of, to_arrays, to_tensor

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
        assert (engine.name, engine.image_threads) == ("torch", 1)
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


def test_a_module_without_tensors_is_on_the_cpu() -> None:
    assert device_of(nn.Identity()).type == "cpu"
