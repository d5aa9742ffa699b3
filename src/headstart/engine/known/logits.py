"""Logits of images by a known network: ONNX Runtime or stored rows, then a head in numpy; no torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from headstart.arrays import Singles
from headstart.data.sources.reading import ImageRecord
from headstart.engine.known.classifier import KnownClassifier
from headstart.engine.prefix.engine_choice import FEWEST_FOR_AN_ENGINE
from headstart.engine.prefix.running import EngineWithHead, collected
from headstart.engine.store.activations import Activations, plain_view
from headstart.engine.store.store import ActivationStore
from headstart.engine.store.stored_rows import StoredRows
from headstart.errors import DiskFullError, NotWritableError
from headstart.input_spec import InputSpec


def known_logits(
    classifier: KnownClassifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    on_images: Callable[[int], object] = lambda count: None,
) -> Singles:
    """(N, K) logits of the evaluation view of each image: the bits that `logits_by_engine` gives with ONNX Runtime."""
    engine = EngineWithHead(classifier.engine(), classifier.head_layers().logits)
    return collected(engine, records, spec, on_images)


def known_logits_from_store(
    classifier: KnownClassifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    digests: Mapping[str, bytes],
    store: ActivationStore,
    on_images: Callable[[int], object] = lambda count: None,
) -> Singles:
    """(N, K) logits as `known_logits` gives them, from cached features in single precision.

    Args:
        classifier: As it was loaded.
        records: The images.
        spec: What the network sees of them.
        digests: Image id -> hash of its file, 16 bytes.
        store: Where rows are and will be.
        on_images: Called with the number of images just done.

    Raises:
        DataError: an image cannot be read.
    """
    if len(records) >= FEWEST_FOR_AN_ENGINE:
        cached = Activations(classifier.pooled_part(), spec, digests, store, precision="float32")
        # The store is a cache: without room or the right to write, the logits are computed as if there were none.
        with contextlib.suppress(DiskFullError, NotWritableError):
            reader = cached.reader(records, [plain_view(spec)], on_images=on_images)
            head = classifier.head_layers()
            # Features of all images are never in memory together.
            return np.concatenate([head.logits(block) for _, block in StoredRows(reader).blocks()])
    return known_logits(classifier, records, spec, on_images=on_images)
