"""Shares of classes, and epochs that draw as many images of each."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from headstart.data.class_balance import balanced_order, class_balance
from headstart.data.sources.reading import ImageRecord


def record(label: str, weight: float | None = None) -> ImageRecord:
    return ImageRecord("x.png", label, "train", weight=weight)


def test_shares_count_images_by_their_weights_and_only_logit_adjustment_uses_them():
    records = [record("a"), record("a"), record("b", 6.0)]
    found = class_balance("logit_adjustment", records)
    assert found.shares == {"a": 0.25, "b": 0.75}
    assert found.log_shares(["b", "a"]).tolist() == [math.log(0.75), math.log(0.25)]
    assert class_balance("balanced_sampling", records).log_shares(["a", "b"]) is None
    assert class_balance("none", records).shares == {}


def test_an_epoch_has_as_many_images_of_every_class():
    labels = np.repeat([0, 1, 2], [80, 15, 6])
    order = balanced_order(labels, np.random.default_rng(0))
    assert len(order) == 101
    assert sorted(Counter(labels[order].tolist()).values()) == [33, 34, 34]
    of_small = Counter(order[labels[order] == 2].tolist())
    assert set(of_small) == set(range(95, 101))  # all six, five or six times each
    assert max(of_small.values()) - min(of_small.values()) <= 1
    assert max(Counter(order[labels[order] == 0].tolist()).values()) == 1


def test_the_order_follows_from_the_seed_and_mixes_the_classes():
    labels = np.repeat([0, 1], [50, 10])
    one, same, other = (balanced_order(labels, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()
    assert 5 < (labels[one[:30]] == 1).sum() < 25
