"""A few batches and the facts of a loader, read without moving it: no worker starts and no position changes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from headstart.diagnosis.datasets import DatasetFacts, facts_of_dataset, length_of
from headstart.diagnosis.setup import LoaderRole

MOST_BATCHES = 3
"""Read of each loader, at most."""
MOST_IMAGES = 96
"""Read of each loader, at most, after the first batch."""
_ORDER_READ = 200_000
_IMAGE_KEYS = ("pixel_values", "image", "images", "img", "x", "inputs", "input")
_LABEL_KEYS = ("labels", "label", "target", "targets", "y", "class")


@dataclass(frozen=True, slots=True)
class LoaderBatch:
    """Images as the network gets them, and their labels."""

    images: Tensor
    """(B, ...) as collated."""
    labels: Tensor | None


@dataclass(frozen=True)
class LoaderFacts:
    """What is known of one loader."""

    role: LoaderRole
    batches: tuple[LoaderBatch, ...] = ()
    dataset: DatasetFacts = field(default_factory=lambda: DatasetFacts(None))
    items: Any = None
    """The data set itself, where it is read by index."""
    collate: Any = None
    batch_size: int | None = None
    drops_last: bool = False
    order: npt.NDArray[np.int64] | None = None
    """Indices of one epoch; None where the loader does not say."""
    second_order: npt.NDArray[np.int64] | None = None
    """Of another epoch."""
    is_distributed: bool = False
    problem: str = ""
    """Why no batch could be read; empty where some were."""
    steps: int | None = None
    """Batches of an epoch."""

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """All labels where the data set says them, else those of the batches that were read."""
        if self.dataset.labels is not None:
            return self.dataset.labels
        return self.labels_read

    @property
    def labels_read(self) -> npt.NDArray[np.int64] | None:
        """Labels of the batches that were read; None without whole numbers."""
        found = [batch.labels for batch in self.batches]
        if not found or any(one is None or one.ndim != 1 or one.dtype.is_floating_point for one in found):
            return None
        return torch.cat([one for one in found if one is not None]).cpu().numpy().astype(np.int64)


def facts_of_loader(role: LoaderRole, loader: Any) -> LoaderFacts:  # noqa: ANN401 - any iterable of batches
    """Facts of a loader and its first batches."""
    dataset = getattr(loader, "dataset", None)
    facts = facts_of_dataset(dataset) if dataset is not None else DatasetFacts(None)
    by_index = hasattr(dataset, "__getitem__") and facts.size is not None and hasattr(loader, "batch_sampler")
    batch_size = getattr(loader, "batch_size", None) or getattr(
        getattr(loader, "batch_sampler", None), "batch_size", None
    )
    drops_last = bool(
        getattr(loader, "drop_last", False) or getattr(getattr(loader, "batch_sampler", None), "drop_last", False)
    )
    order, second = _two_orders(loader) if by_index else (None, None)
    found: list[LoaderBatch] = []
    problem = ""
    try:
        for raw in islice(_batches(loader, by_index=by_index), MOST_BATCHES):
            batch = unpacked(raw)
            if batch is None:
                problem = f"a batch is {_kind(raw)}, without a tensor of images"
                break
            found.append(batch)
            if sum(len(one.images) for one in found) >= MOST_IMAGES:
                break
        else:
            problem = "" if found else "it gives no batch"
    except Exception as error:  # whatever the user's data set raises is the finding
        problem = f"{type(error).__name__}: {str(error).strip().splitlines()[-1] if str(error).strip() else ''}"
    return LoaderFacts(
        role,
        tuple(found),
        facts,
        dataset if by_index else None,
        getattr(loader, "collate_fn", None),
        batch_size if isinstance(batch_size, int) else None,
        drops_last,
        order,
        second,
        "distributed" in type(getattr(loader, "sampler", None)).__name__.lower(),
        problem if not found else "",
        length_of(loader),
    )


def _sampler_copy(loader: Any) -> Any:  # noqa: ANN401
    """The loader's batch sampler with a position and generator of its own; the data set is shared."""
    shared = {id(one): one for one in (loader.dataset, getattr(loader.sampler, "data_source", None)) if one is not None}
    try:
        return copy.deepcopy(loader.batch_sampler or loader.sampler, shared)
    except Exception:  # a sampler that cannot be copied is iterated itself: most start anew each time
        return loader.batch_sampler or loader.sampler


_Order: TypeAlias = npt.NDArray[np.int64] | None


def _two_orders(loader: Any) -> tuple[_Order, _Order]:  # noqa: ANN401
    """Indices of two epochs, one after the other, as the sampler gives them; (None, None) where it does not."""
    try:
        sampler = _sampler_copy(loader)
        return _order(sampler), _order(sampler)
    except Exception:  # e.g. a distributed sampler outside a process group
        return None, None


def _order(sampler: Any) -> _Order:  # noqa: ANN401
    indices: list[int] = []
    for group in sampler:
        indices += [int(one) for one in group] if isinstance(group, list | tuple) else [int(group)]
        if len(indices) >= _ORDER_READ:
            break
    return np.array(indices, dtype=np.int64)


def _batches(loader: Any, *, by_index: bool) -> Iterator[Any]:  # noqa: ANN401
    """Batches of the loader, read in this process where it is a torch loader.

    Raises:
        TypeError: the loader is an iterator, which reading would move.
    """
    if iter_is_itself(loader):
        raise TypeError("it is an iterator, and reading a batch would move it; give the loader itself")
    if not by_index:
        yield from loader
        return
    dataset, collate = loader.dataset, loader.collate_fn
    sampler = _sampler_copy(loader)
    if loader.batch_sampler is None:
        for index in sampler:
            yield collate(dataset[index])
        return
    for indices in sampler:
        fetch = getattr(dataset, "__getitems__", None)
        yield collate(fetch(indices) if callable(fetch) else [dataset[index] for index in indices])


def iter_is_itself(loader: Any) -> bool:  # noqa: ANN401
    """Whether iterating the object consumes it."""
    return hasattr(loader, "__next__")


def unpacked(raw: Any) -> LoaderBatch | None:  # noqa: ANN401 - any batch
    """Images and labels of a batch: a pair, a mapping, or a tensor alone; None without a tensor of images."""
    if isinstance(raw, Mapping) or (hasattr(raw, "keys") and hasattr(raw, "__getitem__")):
        images = _by_key(raw, _IMAGE_KEYS)
        labels = _by_key(raw, _LABEL_KEYS)
        values = [raw[key] for key in raw.keys()]  # noqa: SIM118 - not every such object iterates over its keys
    else:
        values = list(raw) if isinstance(raw, list | tuple) else [raw]
        images = labels = None
    tensors = [torch.as_tensor(one) if isinstance(one, np.ndarray) else one for one in values]
    tensors = [one.as_subclass(Tensor) for one in tensors if isinstance(one, Tensor)]
    if images is None:
        images = next((one for one in tensors if one.ndim >= 3), None)
    if labels is None:
        labels = next((one for one in tensors if one is not images and one.ndim in (1, 2)), None)
    if images is None:
        return None
    return LoaderBatch(images, labels)


def _by_key(raw: Any, keys: tuple[str, ...]) -> Tensor | None:  # noqa: ANN401
    for key in keys:
        if key in raw.keys():  # noqa: SIM118
            value = raw[key]
            if isinstance(value, np.ndarray | list):
                value = torch.as_tensor(np.asarray(value))
            if isinstance(value, Tensor):
                return value
    return None


def _kind(raw: object) -> str:
    if isinstance(raw, list | tuple):
        return f"{type(raw).__name__} of {', '.join(type(one).__name__ for one in raw[:3])}"
    return type(raw).__name__
