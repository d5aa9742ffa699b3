"""Objects of plain PyTorch: networks in their wrappers, one or several optimizers and schedulers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside DataParallel, DistributedDataParallel or torch.compile."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and type(model).__name__ in (
            "DataParallel",
            "DistributedDataParallel",
            "FullyShardedDataParallel",
        ):
            inner = getattr(model, "module", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def several(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - one object, or a list or mapping of them
    """A tuple of what may be None, one, or several."""
    if value is None:
        return ()
    if isinstance(value, Mapping):
        return tuple(value.values())
    return tuple(value) if isinstance(value, list | tuple) else (value,)
