"""Rows for the tests of solvers: overlapping clouds after a ReLU, in memory or in a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from headstart.engine.store.shards import Tensor
from headstart.engine.store.store import EVALUATION, ActivationStore, SpaceKey, image_digest, row_ids
from headstart.engine.store.stored_rows import StoredRows
from headstart.input_spec import InputSpec

KEY = SpaceKey("net", "0" * 32, "pooled", InputSpec(32, 32, "bilinear", (0.5,) * 3, (0.5,) * 3), "1", "none", "0")

Rows = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


def clouds(count: int = 150, width: int = 24, num_classes: int = 3, *, spread: float = 1.5, seed: int = 0) -> Rows:
    """(N, F) features that a linear head tells apart most of the time, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % num_classes)
    inner = rng.normal(0, 1, (num_classes, 8))[labels] + rng.normal(0, spread, (count, 8))
    features = inner @ rng.normal(0, 1, (8, width)) + rng.normal(0, 0.5, (count, width))
    return np.maximum(features, -1).astype(np.float32) * np.float32(0.3), labels


def folds_of(count: int, parts: int = 5) -> npt.NDArray[np.int64]:
    return np.random.default_rng(1).permutation(np.arange(count) % parts)


def stored(features: npt.NDArray[np.float32], folder: Path) -> StoredRows:
    """The rows as half precision in a new store, in shards of a few."""
    count, width = features.shape
    ids = row_ids([image_digest(number.to_bytes(4, "little")) for number in range(count)], EVALUATION)
    space = ActivationStore(folder).space(KEY, (Tensor((width,)),))
    with space.writer(shard_rows=max(1, count // 3)) as writer:
        order = np.random.default_rng(2).permutation(count)  # not as they are asked for
        writer.add(ids[order], (features[order],))
    return StoredRows(space.reader(ids))
