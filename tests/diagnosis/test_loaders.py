from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from headstart.diagnosis.loaders import facts_of_loader, unpacked

IMAGES, LABELS = torch.rand(20, 3, 4, 4), torch.arange(20) % 2


def test_batches_are_those_of_the_loader_and_it_stays_where_it_was():
    generator = torch.Generator().manual_seed(5)
    loader = DataLoader(TensorDataset(IMAGES, LABELS), 8, shuffle=True, generator=generator)
    running = iter(loader)
    next(running)
    facts = facts_of_loader("train", loader)
    assert [len(batch.images) for batch in facts.batches] == [8, 8, 4]
    assert sum(len(batch) for batch, _ in running) == 12
    assert not np.array_equal(facts.order, facts.second_order)
    assert sorted(facts.order) == list(range(20))


def test_order_without_shuffling_is_the_same_twice():
    facts = facts_of_loader("train", DataLoader(TensorDataset(IMAGES, LABELS), 8, drop_last=True))
    assert np.array_equal(facts.order, facts.second_order)
    assert facts.drops_last
    assert facts.steps == 2


def test_a_list_of_batches_is_a_loader_and_an_iterator_is_refused():
    assert len(facts_of_loader("train", [(IMAGES, LABELS)]).batches) == 1
    found = facts_of_loader("train", iter([(IMAGES, LABELS)]))
    assert not found.batches
    assert "iterator" in found.problem


def test_streams_and_faults():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from zip(IMAGES, LABELS, strict=True)

    assert facts_of_loader("train", DataLoader(Stream(), 8)).labels_read.tolist() == LABELS.tolist()

    class Broken(TensorDataset):
        def __getitem__(self, index):
            raise OSError("cannot read image 7")

        __getitems__ = None

    assert "cannot read image 7" in facts_of_loader("train", DataLoader(Broken(IMAGES), 8)).problem


def test_batches_of_any_shape_are_unpacked():
    for raw in (
        (IMAGES, LABELS),
        {"pixel_values": IMAGES, "labels": LABELS},
        [LABELS, IMAGES],
        {"a": LABELS, "b": IMAGES},
    ):
        batch = unpacked(raw)
        assert batch.images is IMAGES or torch.equal(batch.images, IMAGES)
        assert torch.equal(batch.labels, LABELS)
    assert unpacked(("a", "b")) is None
