"""Number of the rows that a run will need and that are cached already, without opening the store; no torch."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.data.preprocess import view_version
from headstart.engine.store.index import Index
from headstart.engine.store.shards import Ids, Shard, Tensor, shard_paths
from headstart.engine.store.store import CUT_POINT_KEY
from headstart.files import stored_paths
from headstart.input_spec import InputSpec


def count_cached_rows(
    root: Path, ids: Ids, *, model: str, library: str, cut_point: str, spec: InputSpec, precision: str, views: str
) -> int:
    """Number of the rows `ids` in the space that has most of them.

    For an estimate: weights and engine are not compared, and what another process removes meanwhile is not there.

    Args:
        root: The store.
        ids: From `store.row_ids`.
        model: The card's name.
        library: From `activations.library_of`.
        cut_point: As it is written in the space's description.
        spec: What the network sees of an image.
        precision: float16 or float32.
        views: What the views are drawn from.
    """
    expected = {
        "model": model,
        "library": library,
        CUT_POINT_KEY: cut_point,
        # Through JSON and back, because tuples become lists in space.json.
        "input": json.loads(json.dumps(spec.to_dict())),
        "decode": view_version(),
        "precision": precision,
        "views": views,
    }
    # Several spaces may match (other weights, other engines): the fullest one is the best guess of what a run finds.
    return max((int((where >= 0).sum()) for where, _ in (i.locate(ids) for i in _indices(root, expected))), default=0)


def _indices(root: Path, expected: dict[str, Any]) -> Iterator[Index]:
    for path in stored_paths(root, "[!.]*/space.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(path.read_text(encoding="utf-8"))
            if any(found[name] != value for name, value in expected.items()):
                continue
            tensors = [Tensor(tuple(one["shape"]), one["dtype"]) for one in found["tensors"]]
            # Checksums are not read here: an estimate may count a damaged row.
            shards = [Shard.open(shard, tensors) for shard in shard_paths(path.parent)]
            yield Index([shard for shard in shards if shard is not None])
