"""Gradients of wide depthwise convolutions are those of plain loops over taps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from headstart.engine.training_step import depthwise
from headstart.engine.training_step.depthwise import (
    Convolution,
    depthwise_convolution,
    has_slow_gradient,
    weight_gradient,
)


def loops(x: np.ndarray, weight: np.ndarray, gradient: np.ndarray, padding: tuple[int, int]):
    """(weight gradient, input gradient) of a depthwise convolution of stride 1, tap by tap."""
    rows, columns = padding
    padded = np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    height, width = gradient.shape[2:]
    of_weight, of_padded = np.zeros_like(weight), np.zeros_like(padded)
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            window = (slice(None), slice(None), slice(i, i + height), slice(j, j + width))
            of_weight[:, 0, i, j] = (padded[window] * gradient).sum((0, 2, 3))
            of_padded[window] += weight[:, 0, i, j][None, :, None, None] * gradient
    return of_weight, of_padded[:, :, rows : rows + x.shape[2], columns : columns + x.shape[3]]


@given(
    st.integers(1, 3),
    st.sampled_from([2, 3, 16, 24]),
    st.tuples(st.integers(5, 9), st.integers(9, 11)),
    st.tuples(st.integers(1, 5), st.integers(4, 9)),
    st.tuples(st.integers(0, 4), st.integers(0, 4)),
    st.sampled_from([torch.channels_last, torch.contiguous_format]),
    st.booleans(),
)
def test_gradients_are_those_of_loops_over_taps(
    batch: int,
    channels: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    padding: tuple[int, int],
    layout: torch.memory_format,
    with_bias: bool,
):
    rng = np.random.default_rng(0)
    x64, w64, b64 = (rng.standard_normal(s) for s in ((batch, channels, *size), (channels, 1, *kernel), (channels,)))
    x = torch.tensor(x64, dtype=torch.float32).contiguous(memory_format=layout).requires_grad_()
    weight, bias = (torch.tensor(a, dtype=torch.float32).requires_grad_() for a in (w64, b64))
    convolution = Convolution(x, weight, bias if with_bias else None, padding=padding, groups=channels)
    output = depthwise_convolution(convolution)
    expected = F.conv2d(*(None if a is None else a.double() if isinstance(a, torch.Tensor) else a for a in convolution))
    assert torch.allclose(output.double(), expected, atol=1e-4)
    g64 = rng.standard_normal(tuple(output.shape))
    output.backward(torch.tensor(g64, dtype=torch.float32))
    of_weight, of_input = loops(x64, w64, g64, padding)
    for found, right in ((weight.grad, of_weight), (x.grad, of_input)):
        assert found is not None
        assert np.abs(found.numpy() - right).max() <= 1e-5 * np.abs(right).max()
    if with_bias:
        assert bias.grad is not None
        assert np.abs(bias.grad.numpy() - g64.sum((0, 2, 3))).max() <= 1e-5 * np.abs(g64).sum((0, 2, 3)).max()
    else:
        assert bias.grad is None


def test_only_gradients_that_are_needed_are_computed(monkeypatch: pytest.MonkeyPatch):
    x, weight = torch.randn(2, 8, 7, 7), torch.randn(8, 1, 5, 5, requires_grad=True)
    monkeypatch.setattr(depthwise, "_input_gradient", None)
    depthwise_convolution(Convolution(x, weight, padding=2, groups=8)).sum().backward()
    assert weight.grad is not None
    assert torch.allclose(weight.grad, weight_gradient(x, torch.ones(2, 8, 7, 7), (8, 1, 5, 5), (2, 2)))


WIDE = Convolution(torch.randn(2, 8, 7, 7), torch.randn(8, 1, 5, 5, requires_grad=True), padding=2, groups=8)


@pytest.mark.parametrize(
    "changed",
    [
        WIDE._replace(weight=torch.randn(8, 1, 5, 3, requires_grad=True)),
        WIDE._replace(weight=WIDE.weight.detach()),
        WIDE._replace(input=WIDE.input[:, :1], weight=torch.randn(1, 1, 5, 5, requires_grad=True), groups=1),
        WIDE._replace(weight=torch.randn(8, 2, 5, 5, requires_grad=True), groups=4),
        WIDE._replace(weight=torch.randn(16, 1, 5, 5, requires_grad=True)),
        WIDE._replace(stride=2),
        WIDE._replace(dilation=(1, 2)),
        WIDE._replace(padding="same"),
        WIDE._replace(input=WIDE.input[0]),
        WIDE._replace(input=WIDE.input.double(), weight=WIDE.weight.detach().double().requires_grad_()),
        WIDE._replace(input=WIDE.input.to("meta"), weight=WIDE.weight.detach().to("meta").requires_grad_()),
    ],
)
def test_other_convolutions_stay_as_they_are(changed: Convolution, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert has_slow_gradient(WIDE)
    assert has_slow_gradient(WIDE._replace(stride=(1, 1), padding=(0, 1)))
    assert not has_slow_gradient(changed)
    with torch.no_grad():
        assert not has_slow_gradient(WIDE)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert not has_slow_gradient(WIDE)
