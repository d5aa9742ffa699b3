"""The images of a run."""

from __future__ import annotations

from collections.abc import Callable


def test_labels_are_positions_in_the_order_of_classes(prepare: Callable):
    task = prepare()
    records = task.images.roles.fit
    classes = task.images.roles.classes
    assert [classes[index] for index in task.images.labels(records)] == [record.label for record in records]
    assert task.images.store is None
