"""Weights between those that tuning started from and those where it ended (WiSE-FT, Wortsman et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the tuned weights that are tried."""


def interpolated(start: Mapping[str, Any], tuned: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """The tensors (1 - share) * start + share * tuned; those that are no floating-point numbers are the tuned ones.

    Args:
        start: Name -> tensor or numpy array.
        tuned: The same names and shapes.
        share: 0..1.
    """
    mixed = {}
    for name, end in tuned.items():
        first = torch.as_tensor(start[name]).to(end)
        mixed[name] = torch.lerp(first, end, share) if end.is_floating_point() else end
    return mixed
