"""The images of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from headstart.data.class_balance import class_balance


def test_labels_are_positions_in_the_order_of_classes(prepare: Callable):
    task = prepare()
    records = task.images.roles.train
    classes = task.images.roles.classes
    assert [classes[index] for index in task.images.labels(records)] == [record.label for record in records]
    assert task.images.store is None


def test_batches_of_an_epoch_hold_every_image_once_in_an_order_of_their_own(prepare: Callable):
    images = prepare().images
    epochs = [images.epoch_batches(4, position=(0, 1, epoch)) for epoch in (0, 0, 1)]
    names = [[record.id for batch in batches for record in batch] for batches in epochs]
    assert names[0] == names[1] != names[2]
    assert sorted(names[0]) == sorted(names[2]) == sorted(record.id for record in images.roles.train)
    sizes = [len(batch) for batch in epochs[0]]
    assert max(sizes) <= 4
    assert max(sizes) - min(sizes) <= 1


def test_balanced_sampling_draws_as_many_of_every_class_and_weighs_none(prepare: Callable):
    images = prepare().images
    few = [record for record in images.roles.train if record.label == images.roles.classes[0]]
    some = [few[0], *(record for record in images.roles.train if record not in few)]
    uneven = replace(
        images,
        roles=replace(images.roles, train=tuple(some)),
        balance=class_balance("balanced_sampling", some),
        weights={record.id: 1.0 for record in some},
    )
    drawn = [record.label for batch in uneven.epoch_batches(4, position=(0, 1, 0)) for record in batch]
    assert len(drawn) == len(some)
    counts = Counter(drawn)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert uneven.loss_weights(some) is None
    assert uneven.log_shares is None
    weighted = [replace(record, weight=2.0 + (record is some[1])) for record in some]
    heavy = replace(
        uneven,
        roles=replace(uneven.roles, train=tuple(weighted)),
        weights={record.id: record.weight for record in weighted},
    )
    found = dict(zip((record.label for record in weighted), heavy.loss_weights(weighted), strict=True))
    assert found[images.roles.classes[0]] == 1.0  # the only one of its class: its weight says nothing within it
    rest = heavy.loss_weights(weighted[1:])
    assert rest[0] == pytest.approx(1.5 * rest[1])
