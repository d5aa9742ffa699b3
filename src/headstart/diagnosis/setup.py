"""A training set-up as the checks know it, whatever framework it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from torch import nn

LoaderRole: TypeAlias = Literal["train", "validation", "test"]
ModeSetter: TypeAlias = Literal["user", "framework"]
"""Who calls `model.train()` before an epoch."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What the user gave, unpacked from framework objects; nothing of it is ever changed."""

    model: nn.Module | None
    optimizers: tuple[Any, ...] = ()
    schedulers: tuple[Any, ...] = ()
    criterion: Callable[..., Any] | None = None
    """(outputs, labels) -> loss."""
    transform: Any = None
    """Of training images; found in the loader's data set if None."""
    loaders: Mapping[LoaderRole, Any] = field(default_factory=dict)
    weights: Any = None
    """Where the weights are from; see `expected_input.expected_of`."""
    classes: tuple[str, ...] | None = None
    """In the order of the outputs."""
    num_classes: int | None = None
    input_size: int | None = None
    """Side in pixels that is meant, where it differs from the weights' own on purpose."""
    accumulate: int = 1
    """Batches whose gradients make one step."""
    epochs: int | None = None
    scaler: Any = None
    """torch.amp.GradScaler."""
    mode_set_by: ModeSetter = "user"
    framework: str = "PyTorch"
