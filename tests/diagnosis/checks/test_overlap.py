from __future__ import annotations

import shutil
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset
from torchvision.datasets import ImageFolder

from diagnosis.doctored import found
from diagnosis.gallery.parts import evaluation_loader, loader, standard, write_pictures


def folders(train: Path, val: Path, **given: object) -> dict:
    return found(
        loader=DataLoader(ImageFolder(train, standard()), 16, shuffle=True),
        val_loader=DataLoader(ImageFolder(val, standard(augment=False)), 16),
        **given,
    )


def test_a_copied_file_is_found_by_its_bytes(tmp_path: Path):
    train = write_pictures(tmp_path / "train", count=4)
    val = write_pictures(tmp_path / "val", count=4, first=40)
    assert not {"same_image_in_two_loaders", "class_order_differs"} & set(folders(train, val))
    shutil.copy(train / "ants" / "000.png", val / "ants" / "renamed.png")
    assert "1 of 13 images" in folders(train, val)["same_image_in_two_loaders"].evidence


def test_equal_tensors_are_found():
    images, labels = torch.randn(12, 3, 64, 64), torch.arange(12) % 3
    one = DataLoader(TensorDataset(images, labels), 4, shuffle=True)
    other = DataLoader(TensorDataset(images[8:].clone(), labels[8:]), 4)
    assert "4 of 4" in found(loader=one, val_loader=other)["same_image_in_two_loaders"].evidence


def test_names_of_the_outputs_count_too():
    assert "'bees'" in found(classes=["ants", "wasps", "bees"])["class_order_differs"].evidence
    assert "class_order_differs" not in found(classes=["ants", "bees", "wasps"])


def test_values_of_batches_where_no_transform_is_known():
    plain = [(torch.rand(16, 3, 64, 64), torch.arange(16) % 3)]
    normal = [(2.2 * torch.randn(16, 3, 64, 64), torch.arange(16) % 3)]
    assert "preprocessing_differs" in found(loader=normal, val_loader=plain)
    assert "preprocessing_differs" not in found(loader=loader(), val_loader=evaluation_loader())
