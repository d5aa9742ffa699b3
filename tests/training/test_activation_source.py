"""Where frozen activations come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from headstart.engine.known.features import pooled_part
from headstart.engine.store.activations import plain_view
from headstart.engine.store.store import ActivationStore
from headstart.training.activation_source import ActivationSource


def test_a_run_without_a_store_has_no_stored_activations(prepare: Callable):
    task = prepare(strategy="feature_extraction")
    classifier = task.classifier()
    assert ActivationSource(classifier, task.images).activations(pooled_part(classifier)) is None


def test_the_rows_that_one_source_computed_are_found_by_the_next(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="feature_extraction")
    classifier = task.classifier()
    digests = {name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()}
    images = replace(task.images, digests=digests, store=ActivationStore(tmp_path / "store"))
    computed = []
    for _ in range(2):
        source = ActivationSource(classifier, images, "torch")
        activations = source.activations(pooled_part(classifier))
        reader = activations.reader(images.roles.train, [plain_view(images.spec)], on_images=lambda count: None)
        computed.append(activations.computed)
        assert len(reader) == len(images.roles.train)
    assert computed == [len(images.roles.train), 0]
