from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import torch
from torch.utils.data import ConcatDataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder

from diagnosis.gallery.parts import Pictures, write_pictures
from headstart.diagnosis.datasets import facts_of_dataset, length_of


def test_a_folder_says_all_and_a_subset_its_part(tmp_path: Path):
    base = ImageFolder(write_pictures(tmp_path, count=2), transform=len)
    facts = facts_of_dataset(Subset(base, [5, 0]))
    assert facts.size == 2
    assert facts.classes == ("ants", "bees", "wasps")
    assert facts.labels.tolist() == [2, 0]
    assert [Path(path).parent.name for path in facts.paths] == ["wasps", "ants"]
    assert facts.transform is len
    assert facts.identity == ((id(base), 5), (id(base), 0))


def test_parts_in_a_row_are_joined():
    one, two = Pictures(None, count=3), Pictures(None, count=2)
    facts = facts_of_dataset(ConcatDataset([one, Subset(two, [1])]))
    assert facts.labels.tolist() == [0, 1, 2, 1]
    assert facts.identity[-1] == (id(two), 1)


def test_labels_of_tensors_and_names_of_features():
    facts = facts_of_dataset(TensorDataset(torch.zeros(3, 3, 2, 2), torch.tensor([2, 0, 1])))
    assert facts.labels.tolist() == [2, 0, 1]
    named = SimpleNamespace(features={"label": SimpleNamespace(names=["a", "b"])})
    assert facts_of_dataset(named).classes == ("a", "b")


def test_a_stream_has_no_length():
    assert length_of(iter([1])) is None
    assert facts_of_dataset(iter([1])).size is None
