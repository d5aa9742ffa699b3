"""A fastai Learner: its network, data loaders, loss, and the groups of its splitter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from headstart.diagnosis.setup import LoaderRole


def is_learner(value: object) -> bool:
    """Whether the object has the attributes of a fastai Learner."""
    return all(hasattr(value, name) for name in ("dls", "model", "loss_func", "opt_func"))


class GroupedOptimizer:
    """A torch optimizer with the groups that a Learner would make, which makes its own only when it trains."""

    def __init__(self, learner: Any) -> None:  # noqa: ANN401
        """AdamW over the splitter's groups at the learner's learning rates."""
        splits = [list(part) for part in learner.splitter(learner.model)]
        lrs = learner_lrs(learner.lr, len(splits))
        groups = [{"params": part, "lr": lr} for part, lr in zip(splits, lrs, strict=True) if part]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=float(getattr(learner, "wd", None) or 0.01))


def learner_lrs(lr: Any, count: int) -> list[float]:  # noqa: ANN401 - a number or slice(low, high)
    """Learning rates of fastai's groups: slice(low, high) is spread in equal ratios, slice(high) is a tenth below."""
    if not isinstance(lr, slice):
        return [float(lr)] * count
    high = float(lr.stop)
    if lr.start is None:
        return [high / 10] * (count - 1) + [high]
    if count == 1:
        return [high]
    low = float(lr.start)
    return [low * (high / low) ** (index / (count - 1)) for index in range(count)]


class DeviceBatches:
    """Batches of a fastai DataLoader, which apply its batch transforms."""

    def __init__(self, loader: Any) -> None:  # noqa: ANN401
        """Nothing is read yet."""
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        """Batches, read in this process."""
        yield from self.loader

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.loader)


def loaders_of_learner(learner: Any) -> dict[LoaderRole, Any]:  # noqa: ANN401
    """Training and validation loader."""
    found: dict[LoaderRole, Any] = {}
    for role, name in (("train", "train"), ("validation", "valid")):
        loader = getattr(learner.dls, name, None)
        if loader is not None:
            found[role] = DeviceBatches(loader)  # type: ignore[index]
    return found


def classes_of_learner(learner: Any) -> tuple[str, ...] | None:  # noqa: ANN401
    """The vocabulary of the labels; None where there is none."""
    vocabulary = getattr(learner.dls, "vocab", None)
    try:
        return tuple(map(str, vocabulary)) if vocabulary is not None else None
    except TypeError:
        return None
