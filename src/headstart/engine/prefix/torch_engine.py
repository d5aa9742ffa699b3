"""PyTorch as an engine: BatchNorm folded, NHWC memory layout, inference mode; on a GPU mixed precision and compiled.

On a CPU each core runs the whole prefix on images of its own, as ONNX Runtime does here: threads that share a layer
wait for each other at its end, and for as long as one of them is decoding an image instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.preprocess import NetworkInput
from headstart.engine.prefix.fold import folded
from headstart.engine.prefix.program import tensors_in
from headstart.engine.prefix.running import BATCH_IMAGES, Outputs
from headstart.machine import device_of

COMPILE_PAYS_IMAGES = 20_000
"""Compiling takes tens of seconds; it saves a few milliseconds on 32 images."""


def to_tensor(inputs: NetworkInput, device: torch.device) -> Tensor:
    """B x height x width x channels -> (B, C, H, W) on the device, without a copy in memory on the CPU."""
    # permute on a tensor that shares the array's memory: NCHW in channels-last layout, which is how kernels want it.
    return torch.from_numpy(inputs).to(device).permute(0, 3, 1, 2)


def to_arrays(output: Any) -> Outputs:  # noqa: ANN401 - a tensor or a structure of tensors
    """Outputs of a prefix as numpy arrays."""
    return tuple(tensor.detach().float().cpu().numpy() for tensor in tensors_in(output))


def version_on(device: torch.device) -> str:
    """Prefix of the version of every engine of this module on a device: other libraries give other bits."""
    return f"{torch.__version__}, {device.type}"


def compiling_pays(device: torch.device, images: int) -> bool:
    """Whether compiling saves more time than it takes for so many images."""
    return device.type == "cuda" and images >= COMPILE_PAYS_IMAGES


class EagerEngine:
    """The network as it is: what every other engine is compared with."""

    name = "torch"
    image_threads = 1

    def __init__(self, prefix: nn.Module) -> None:
        """Put it into evaluation mode."""
        self._prefix = prefix.eval()
        self._device = device_of(prefix)
        self.version = f"{version_on(self._device)}, as it is"

    def run(self, images: NetworkInput) -> Outputs:
        """B x height x width x channels -> arrays, batch first."""
        with torch.inference_mode():
            return to_arrays(self._prefix(to_tensor(images, self._device)))


class TorchEngine:
    """The folded network."""

    name = "torch"

    def __init__(self, prefix: nn.Module, sample: NetworkInput, *, images_to_come: int = 0) -> None:
        """Fold a copy.

        Args:
            prefix: (B, C, H, W) -> a tensor or a structure of tensors; not changed.
            sample: At least one image.
            images_to_come: Decides whether compiling pays, on a GPU.
        """
        self._device = device_of(prefix)
        self._gpu = self._device.type == "cuda"
        self.image_threads = torch.get_num_threads() if self._device.type == "cpu" else 1
        self._run, count = folded(prefix, to_tensor(sample[:1], self._device))
        self.compiled = compiling_pays(self._device, images_to_come)
        # The number of folded norms is part of the version: a fold that applies to more layers rounds differently.
        how = f"{count} norms folded" + (", float16" if self._gpu else "") + (", compiled" if self.compiled else "")
        if self.compiled:  # with the first images that are run
            # dynamic=False: one shape, compiled once; `_padded` keeps it.
            self._run = torch.compile(self._run, dynamic=False)  # type: ignore[assignment]
        self.version = f"{version_on(self._device)}, {how}"

    def run(self, images: NetworkInput) -> Outputs:
        """B x height x width x channels -> arrays, batch first."""
        if not self.compiled:
            return self._outputs(images)
        parts = [self._padded(images[start : start + BATCH_IMAGES]) for start in range(0, len(images), BATCH_IMAGES)]
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))

    def _padded(self, images: NetworkInput) -> Outputs:
        """Always BATCH_IMAGES at once: every other number would be compiled anew."""
        filling = np.zeros((BATCH_IMAGES - len(images), *images.shape[1:]), np.float32)
        found = self._outputs(np.concatenate([images, filling]) if len(filling) else images)
        return tuple(array[: len(images)] for array in found)

    def _outputs(self, images: NetworkInput) -> Outputs:
        with torch.inference_mode(), torch.autocast(self._device.type, torch.float16, enabled=self._gpu):
            return to_arrays(self._run(to_tensor(images, self._device)))
