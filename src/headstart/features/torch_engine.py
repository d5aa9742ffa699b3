"""PyTorch as an engine: BatchNorm folded, NHWC memory layout, inference mode; on a GPU mixed precision and compiled.

On a CPU each core runs the whole prefix on images of its own, as ONNX Runtime does here: threads that share a layer
wait for each other at its end, and for as long as one of them is decoding an image instead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from headstart.data.preprocess import NetworkInput
from headstart.features.fold import folded
from headstart.features.program import tensors_in

Outputs: TypeAlias = tuple[npt.NDArray[np.float32], ...]
"""What a prefix gives for a batch: one or more arrays, batch first."""

COMPILE_PAYS_IMAGES = 20_000
"""Compiling takes tens of seconds; it saves a few milliseconds on 32 images."""


def to_tensor(inputs: NetworkInput, device: torch.device) -> Tensor:
    """B x height x width x channels -> (B, C, H, W) on the device, without a copy in memory on the CPU."""
    return torch.from_numpy(inputs).to(device).permute(0, 3, 1, 2)


def to_arrays(answer: Any) -> Outputs:  # noqa: ANN401 - a tensor or a structure of tensors
    """What a prefix answered, as arrays."""
    return tuple(tensor.detach().float().cpu().numpy() for tensor in tensors_in(answer))


class EagerEngine:
    """The network as it is: what every other engine is compared with."""

    name = "torch"
    image_threads = 1

    def __init__(self, prefix: nn.Module) -> None:
        """Put it at rest."""
        self._prefix = prefix.eval()
        self._device = device_of(prefix)
        self.version = f"{torch.__version__} as it is, {self._device.type}"

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
        how = f"{count} norms folded, {self._device.type}"
        if self._gpu:
            how += ", float16"
            if images_to_come >= COMPILE_PAYS_IMAGES:
                self._run = torch.compile(self._run, dynamic=False)  # type: ignore[assignment]
                how += ", compiled"
        self.version = f"{torch.__version__} {how}"

    def run(self, images: NetworkInput) -> Outputs:
        """B x height x width x channels -> arrays, batch first."""
        with torch.inference_mode(), torch.autocast(self._device.type, torch.float16, enabled=self._gpu):
            return to_arrays(self._run(to_tensor(images, self._device)))


@contextmanager
def one_core_a_thread() -> Iterator[None]:
    """While the block runs, torch takes one core in every thread but this one (see `take_one_core`)."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)  # what threads that are still to come start with


_of_thread = threading.local()


def take_one_core() -> None:
    """From now on torch runs this thread's layers on one core; the number is each thread's own."""
    if not getattr(_of_thread, "alone", None):
        _of_thread.alone = "yes"
        torch.set_num_threads(1)


def device_of(prefix: nn.Module) -> torch.device:
    """Where its tensors lie."""
    first = next(prefix.parameters(), None)
    return first.device if first is not None else torch.device("cpu")
