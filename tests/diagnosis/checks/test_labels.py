from __future__ import annotations

import torch
from torch.utils.data import DataLoader, TensorDataset

from diagnosis.doctored import found


def tensors(labels: list[int]) -> DataLoader:
    images = torch.randn(len(labels), 3, 64, 64)
    return DataLoader(TensorDataset(images, torch.tensor(labels)), 4, shuffle=True)


def test_labels_below_zero_and_from_one():
    assert "from -1 to 2" in found(loader=tensors([-1, 0, 1, 2] * 3), val_loader=None)["labels_out_of_range"].evidence
    from_one = found(loader=tensors([1, 2, 3] * 4), val_loader=None, classes=3)["labels_out_of_range"]
    assert "subtract 1" in from_one.remedy


def test_one_label_only():
    assert "one_class_only" in found(loader=tensors([1] * 12), val_loader=None, classes=3)
    assert "one_class_only" not in found(loader=tensors([0, 1, 2] * 4), val_loader=None)
