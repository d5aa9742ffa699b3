"""Objects of timm's scripts: loaders that normalise on the device, and schedulers that count from outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor


def is_prefetch_loader(value: object) -> bool:
    """Whether the object is timm's PrefetchLoader, which normalises after collation."""
    return all(hasattr(value, name) for name in ("loader", "mean", "std")) and not hasattr(value, "batch_sampler")


class NormalisedBatches:
    """Batches of a PrefetchLoader as it gives them, computed without a GPU."""

    def __init__(self, prefetch: Any) -> None:  # noqa: ANN401
        """Nothing is read yet."""
        self.prefetch = prefetch
        inner = prefetch.loader
        self.dataset, self.sampler, self.batch_sampler = inner.dataset, inner.sampler, inner.batch_sampler
        self.batch_size, self.drop_last = inner.batch_size, inner.drop_last
        self.collate_fn = self._collate

    def _collate(self, samples: list[Any]) -> tuple[Tensor, Any]:
        images, labels = self.prefetch.loader.collate_fn(samples)[:2]
        mean, std = (one.detach().cpu().float() for one in (self.prefetch.mean, self.prefetch.std))
        return (images.float() - mean) / std, labels

    def __iter__(self) -> Iterator[Any]:
        """Batches in the order of the inner loader's sampler."""
        for indices in self.batch_sampler:
            yield self._collate([self.dataset[index] for index in indices])

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.prefetch.loader)
