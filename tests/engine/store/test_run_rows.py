"""Rows of a run's images are found by what their names depend on, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from headstart.engine.known.features import pooled_part
from headstart.engine.prefix.depth_features import with_depths
from headstart.engine.store.activations import Activations, plain_view, pooled_name
from headstart.engine.store.run_rows import rows_of_run
from headstart.engine.store.store import ActivationStore
from headstart.plan.plan import AugmentationPlan


def test_cached_rows_are_counted_for_their_images_views_and_precision(prepare: Callable, tmp_path: Path):
    task = prepare(strategy="partial", epochs=2)
    digests = {name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()}
    images, classifier = replace(task.images, digests=digests, store=ActivationStore(tmp_path)), task.classifier()
    some, rest = images.roles.train[:5], images.roles.train[5:]
    Activations(pooled_part(classifier), images.spec, digests, images.store).reader(some, [plain_view(images.spec)])
    name = pooled_name(classifier)
    assert rows_of_run(classifier, images, name, images.roles.train) == len(some)
    assert rows_of_run(classifier, images, name, rest) == rows_of_run(classifier, images, name, []) == 0
    assert rows_of_run(classifier, images, name, some, precision="float32") == 0
    assert rows_of_run(classifier, images, "before stage6", some) == 0
    assert rows_of_run(classifier, images, name, some, augmentation=AugmentationPlan(), views=2) == 0
    assert rows_of_run(classifier, task.images, name, some) == 0, "without a store"
    deep = with_depths(task.classifier(), images.spec.size)
    Activations(pooled_part(deep), images.spec, digests, images.store).reader(rest, [plain_view(images.spec)])
    assert rows_of_run(classifier, images, name, rest) == len(rest), "features of the plain head lie among all depths'"
    assert rows_of_run(classifier, images, name, images.roles.train) == len(some), "not all: they are computed"
