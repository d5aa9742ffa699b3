"""Overlap of BatchNorm's running statistics with the activations of other images.

Every BatchNorm layer keeps mean and variance of each channel over the pretraining images: a summary of that set that
comes with the weights. The statistics of other images show how far from it they are, layer by layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.data.loading import batches, read_view
from headstart.data.sources.reading import ImageRecord
from headstart.engine.prefix.torch_engine import to_tensor
from headstart.input_spec import InputSpec
from headstart.machine import device_of
from headstart.measures.similarity import gaussian_overlap

LATE_SHARE = 0.25
"""Share of the layers, from the last, that decide: early ones see how sharp and bright images are, late ones what is
on them. CIFAR-10's photos, enlarged from 32 px, are as far from ImageNet as x-rays in the first quarter, and as near as
aerial images in the last."""

_BATCH_IMAGES = 16


@dataclass(frozen=True, slots=True)
class LayerOverlap:
    """One BatchNorm layer."""

    layer: str
    overlap: float
    """Mean over channels of the Bhattacharyya coefficient, 0..1."""


@dataclass(frozen=True, slots=True)
class NormOverlap:
    """Overlap of activations with the pretraining statistics, by layer."""

    layers: tuple[LayerOverlap, ...]
    """First to last."""
    images: int

    @property
    def late(self) -> float:
        """Mean overlap of the last quarter of the layers, 0..1."""
        count = max(1, round(len(self.layers) * LATE_SHARE))
        return float(np.mean([one.overlap for one in self.layers[-count:]]))


def norm_overlap(
    network: nn.Module,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    on_images: Callable[[int], object] = lambda count: None,
) -> NormOverlap | None:
    """Overlap of the activations of these images with the statistics of BatchNorm layers; None without such layers.

    Args:
        network: With pretrained weights; is set to eval mode.
        records: A hundred give nearly the same as a thousand.
        spec: Input of the network.
        on_images: Called with the number of images just done.

    Raises:
        DataError: an image cannot be read.
    """
    norms = _norms(network)
    if not norms:
        return None
    network.eval()
    device = device_of(network)
    with _moments_of(norms) as sums, torch.inference_mode():
        chunks = [records[i : i + _BATCH_IMAGES] for i in range(0, len(records), _BATCH_IMAGES)]
        for chunk, inputs in batches(chunks, lambda record: read_view(record, spec)):
            network(to_tensor(inputs, device))
            on_images(len(chunk))
    return NormOverlap(
        tuple(_overlap(name, norm, sums[name]) for name, norm in norms.items() if sums[name].values), len(records)
    )


def _norms(network: nn.Module) -> dict[str, _BatchNorm]:
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }


class _Moments:
    """Sums over all that a layer saw, a channel each."""

    def __init__(self) -> None:
        self.values = 0
        self.sum: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def add(self, x: Tensor) -> None:
        """Batches are added in double precision; inside one, single is enough and copies nothing."""
        axes = [axis for axis in range(x.dim()) if axis != 1]
        variance, mean = torch.var_mean(x.detach(), axes, correction=0)
        count, mean = x.numel() // x.shape[1], mean.double()
        self.values += count
        self.sum = self.sum + count * mean
        self.squares = self.squares + count * (variance.double() + mean.square())


@contextmanager
def _moments_of(norms: dict[str, _BatchNorm]) -> Iterator[dict[str, _Moments]]:
    sums = {name: _Moments() for name in norms}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda module, inputs: sums[name].add(inputs[0])

    # Before the layer: its running statistics describe what goes into it.
    handles = [norm.register_forward_pre_hook(watch(name)) for name, norm in norms.items()]
    try:
        yield sums
    finally:
        for handle in handles:
            handle.remove()


def _overlap(name: str, norm: _BatchNorm, seen: _Moments) -> LayerOverlap:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean = (torch.as_tensor(seen.sum) / seen.values).cpu().numpy()
    variance = (torch.as_tensor(seen.squares) / seen.values).cpu().numpy() - mean**2
    remembered = norm.running_mean.double().cpu().numpy(), norm.running_var.double().cpu().numpy() + norm.eps
    # `eps` on both sides: a channel that is dead in both sets overlaps wholly instead of dividing by zero.
    return LayerOverlap(name, float(gaussian_overlap(mean, np.maximum(variance, 0) + norm.eps, *remembered).mean()))
