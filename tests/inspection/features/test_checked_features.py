"""Images with their features, as checks read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.data.checks.image_checks import FileFacts
from headstart.data.sources.dataset import ImageRecord
from headstart.input_spec import Decoding
from headstart.inspection.features.checked_features import CheckedFeatures


def images(*named: tuple[str, str, str]) -> CheckedFeatures:
    records = tuple(ImageRecord(id=name, label=label, split="all", path=Path(name)) for name, label, _ in named)
    groups = {name: group for name, _, group in named}
    return CheckedFeatures(records, np.zeros((len(named), 2), np.float32), FileFacts(records), groups, Decoding())


def test_labels_and_groups_are_numbers_in_the_order_of_their_names():
    found = images(("1", "dog", "p2"), ("2", "cat", "p1"), ("3", "dog", "p1"))
    assert found.classes == ("cat", "dog")
    assert found.labels.tolist() == [1, 0, 1]
    assert found.group_numbers.tolist() == [1, 0, 0]
    assert found.splits.tolist() == ["all"] * 3
    assert found.has_labels


def test_one_image_without_a_label_is_noticed():
    assert not images(("1", "dog", "p2"), ("2", "", "p1")).has_labels
