"""Pooled features of a classifier in the store, and its logits from them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from headstart.arrays import Singles
from headstart.data.preprocess import NetworkInput
from headstart.data.sources.reading import ImageRecord
from headstart.engine.prefix.engine_choice import FEWEST_FOR_AN_ENGINE
from headstart.engine.prefix.inference import head_fault, head_logits, logits_by_engine
from headstart.engine.prefix.running import Engine
from headstart.engine.store.activations import Activations, plain_view
from headstart.engine.store.frozen_part import network_pooled_part
from headstart.engine.store.store import ActivationStore
from headstart.engine.store.stored_rows import StoredRows
from headstart.errors import DiskFullError, NotWritableError
from headstart.input_spec import InputSpec
from headstart.networks.backbone import Classifier


def logits_from_store(
    classifier: Classifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    digests: Mapping[str, bytes],
    store: ActivationStore,
    on_images: Callable[[int], object] = lambda count: None,
    on_engine: Callable[[Engine, NetworkInput], object] = lambda engine, sample: None,
) -> Singles:
    """(N, K) logits as `inference.logits_by_engine` gives them, from cached features in single precision.

    For networks whose backbone is that of many runs. Others, and networks whose output is more than their head on their
    features, are computed without the store.

    Args:
        classifier: As it was loaded.
        records: The images.
        spec: What the network sees of them.
        digests: Image id -> hash of its file, 16 bytes.
        store: Where rows are and will be.
        on_images: Called with the number of images just done.
        on_engine: Called with an engine when it was chosen, and with the images that it was compared on.

    Raises:
        DataError: an image cannot be read.
    """
    if classifier.outputs_from_features and len(records) >= FEWEST_FOR_AN_ENGINE:
        view = plain_view(spec)
        cached = Activations(network_pooled_part(classifier, on_engine), spec, digests, store, precision="float32")
        # The store is a cache: without room or the right to write, the logits are computed as if there were none.
        with contextlib.suppress(DiskFullError, NotWritableError):
            reader = cached.reader(records, [view], on_images=on_images)
            few = np.stack([view.prepare(record) for record in records[:2]])
            # The network's own logits decide again here: rows may come from an engine of another day.
            if not head_fault(classifier, few, reader.take(np.arange(len(few)))[0]):
                blocks = StoredRows(reader).blocks()  # features of all images are never in memory together
                return np.concatenate([head_logits(classifier, block) for _, block in blocks])
    return logits_by_engine(classifier, records, spec, on_images=on_images, on_engine=on_engine)
