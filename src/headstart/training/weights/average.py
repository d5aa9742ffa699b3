"""Exponential moving average of the trained weights over the steps of a phase (Polyak & Juditsky 1992).

The average is validated and selected; steps go on from the weights themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class WeightAverage:
    """Average of some tensors of a network: after each step, average = d * average + (1 - d) * weights."""

    def __init__(self, tensors: Mapping[str, Tensor], decay: float) -> None:
        """Begin with the tensors as they are.

        Args:
            tensors: Name -> parameter or buffer that steps change, updated in place.
            decay: 0..1, of a late step. Step t has min(decay, (1 + t) / (10 + t)), so that the start is soon forgotten.
        """
        self._tensors, self._decay, self._steps = dict(tensors), decay, 0
        self._averages = {name: tensor.detach().clone() for name, tensor in tensors.items()}

    def add_step(self) -> None:
        """Take the weights after a step into the average."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        with torch.no_grad():
            for name, average in self._averages.items():
                if average.is_floating_point():
                    average.lerp_(self._tensors[name], 1 - decay)
                else:  # such as the number of batches that a BatchNorm layer has seen
                    average.copy_(self._tensors[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The average in place of the weights for as long as the block lasts; then the same bits as before."""
        weights = {name: tensor.detach().clone() for name, tensor in self._tensors.items()}
        _write(self._averages, self._tensors)
        try:
            yield
        finally:
            _write(weights, self._tensors)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"steps": self._steps, "averages": self._averages}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from the `state` of another process."""
        self._steps = int(state["steps"])
        _write(state["averages"], self._averages)


def _write(source: Mapping[str, Tensor], into: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in into.items():
            tensor.copy_(source[name])
