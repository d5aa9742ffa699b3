"""NHWC, and the layers that are kept out of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import timm
import torch
from torch import nn

from headstart.networks.memory_format import in_nhwc


def test_weights_are_in_nhwc_and_outputs_stay():
    torch.manual_seed(0)
    network, x = timm.create_model("test_resnet", num_classes=3).eval(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = network(x)
        after = in_nhwc(network)(x.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(before, after, atol=1e-5)
    wide = [p for p in network.parameters() if p.ndim == 4 and p.shape[2] > 1]
    assert wide
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in wide)


def test_a_strided_pointwise_layer_of_few_channels_learns_in_nchw():
    torch.manual_seed(0)
    network = in_nhwc(nn.Sequential(nn.Conv2d(3, 8, 1, 2), nn.Conv2d(8, 8, 3)))
    seen: list[bool] = []
    network[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].is_contiguous()))
    x = torch.randn(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    network(x).sum().backward()
    with torch.no_grad():
        network(x)
    assert seen == [True, False]


@pytest.mark.slow
def test_training_such_a_network_with_two_threads_does_not_corrupt_memory():
    """Without the guard this process dies or hangs in glibc's checks."""
    code = (
        "import torch; from torch import nn; from headstart.networks.memory_format import in_nhwc\n"
        "torch.set_num_threads(2)\n"
        "m = in_nhwc(nn.Conv2d(3, 64, 1, 2, bias=False))\n"
        "x = torch.randn(2, 3, 224, 224).contiguous(memory_format=torch.channels_last)\n"
        "for _ in range(5): m(x).sum().backward()\n"
        "y = [torch.empty(n) for n in range(100, 3000, 37)]\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
