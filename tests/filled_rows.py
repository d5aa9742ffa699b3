"""A small filled store without any network, for the tests of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.data.sources.reading import ImageRecord
from headstart.delivery.features import EmbedFigures, Filled
from headstart.engine.store.shards import Tensor
from headstart.engine.store.store import ActivationStore, SpaceKey, image_digest, random_view, row_ids
from headstart.input_spec import InputSpec

KEY = SpaceKey("net", "0" * 32, "before x", InputSpec(32, 32, "bilinear", (0.5,) * 3, (0.5,) * 3), "1", "none", "0")


def embed_figures(**changed: object) -> EmbedFigures:
    """Figures of a filling, with some of them changed."""
    usual = {"store": "s", "model": "net", "cut_point": "pooled", "images": 7, "views": 0, "computed": 7}
    usual |= {"stored_before": 0, "bytes": 100, "seconds": 1.0, "engine": "torch", "unreadable": {}, "findings": ()}
    return EmbedFigures(**usual | changed)


def filled_of(folder: Path, *, views: int, count: int = 7) -> tuple[Filled, np.ndarray, np.ndarray]:
    """(store of rows of two tensors, (N, 6) of the first view, (V, N, 6) of the others)."""
    records = tuple(ImageRecord(f"{'ab'[i % 2]}/é{i}.png", "ab"[i % 2], "train") for i in range(count))
    images = [image_digest(record.id.encode()) for record in records]
    space = ActivationStore(folder).space(KEY, (Tensor((2, 2)), Tensor((2,))))
    ids = np.concatenate([row_ids(images, random_view(0, number)) for number in range(1 + views)])
    values = np.arange(len(ids) * 6, dtype=np.float32).reshape(-1, 6) / 8
    with space.writer() as writer:
        writer.add(ids, (values[:, :4].reshape(-1, 2, 2), values[:, 4:]))
    plain, varied = space.reader(ids[:count]), space.reader(ids[count:]) if views else None
    figures = embed_figures(store=str(folder), images=count, views=views)
    return Filled(records, plain, varied, figures), values[:count], values[count:].reshape(views, count, 6)
