"""L2-SP: trained backbone weights are pulled towards the pretrained ones, not towards zero (Li et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class StartPull:
    """After each step, weights = weights - lr * coefficient * (weights - start), for the groups of the backbone.

    With SGD without momentum this is the gradient step of coefficient / 2 * ||weights - start||^2. With Adam it is
    decoupled from the gradients' scale, as AdamW's decay towards zero is (Loshchilov & Hutter 2019).
    """

    def __init__(self, optimizer: torch.optim.Optimizer, starts: Mapping[Tensor, Tensor], coefficient: float) -> None:
        """Remember where the weights are pulled to.

        Args:
            optimizer: Whose groups have the learning rate of their parameters.
            starts: Parameter -> its pretrained value; parameters that are not in it (the head's) are not pulled.
            coefficient: >= 0.
        """
        self._groups = [
            (group, [(p, starts[p].to(p)) for p in group["params"] if p in starts]) for group in optimizer.param_groups
        ]
        self._coefficient = coefficient

    def apply(self) -> None:
        """Pull the weights once, by the learning rates of the step that was taken."""
        with torch.no_grad():
            for group, pairs in self._groups:
                for parameter, start in pairs:
                    parameter.lerp_(start, min(1.0, group["lr"] * self._coefficient))
