"""The images of a run."""

from __future__ import annotations

from collections.abc import Callable


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
