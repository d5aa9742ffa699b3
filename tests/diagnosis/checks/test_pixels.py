from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms

from diagnosis.doctored import found
from diagnosis.gallery.parts import IMAGENET, Pictures, loader, standard

KINDS = {
    "pixels_not_scaled": lambda x: 255 * x,
    "pixels_scaled_twice": lambda x: x / 255,
    "pixels_not_normalised": lambda x: x,
    "pixels_normalised_twice": lambda x: normalise(normalise(x)),
    "normalisation_differs": lambda x: 2 * x - 1,
}


def normalise(x: torch.Tensor) -> torch.Tensor:
    return transforms.Normalize(*IMAGENET)(x)


@pytest.mark.parametrize("kind", KINDS)
def test_values_alone_tell_the_kind(kind: str):
    """Tensors in memory, without a transform to examine."""
    data = Pictures(transforms.ToTensor())
    images = torch.stack([KINDS[kind](data[i][0]) for i in range(len(data))])
    tensors = DataLoader(TensorDataset(images, torch.tensor(data.targets)), 16, shuffle=True)
    assert {one for one in found(loader=tensors, val_loader=None) if one in KINDS} == {kind}


@pytest.mark.parametrize("kind", KINDS)
def test_the_transform_tells_the_kind(kind: str):
    steps = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToTensor(), KINDS[kind]])
    assert {one for one in found(loader=loader(steps), val_loader=None) if one in KINDS} == {kind}


def test_right_values_in_memory_are_right():
    data = Pictures(standard(augment=False))
    images = torch.stack([data[i][0] for i in range(len(data))])
    tensors = DataLoader(TensorDataset(images, torch.tensor(data.targets)), 16, shuffle=True)
    assert not set(found(loader=tensors, val_loader=None)) & set(KINDS)


def test_dark_images_with_the_weights_own_normalisation_are_right():
    class Dark(Pictures):
        def image(self, index: int):
            return super().image(index).point(lambda value: value // 6)

    dark = DataLoader(Dark(standard()), 16, shuffle=True)
    assert not set(found(loader=dark, val_loader=None)) & set(KINDS)


def test_from_random_weights_on_any_normalisation_will_do():
    from diagnosis.gallery.parts import TinyConv

    half = standard(normalise=([0.5] * 3, [0.5] * 3))
    assert "normalisation_differs" not in found(model=TinyConv(3), weights=None, loader=loader(half), val_loader=None)


def test_no_numbers_and_no_variety():
    class Broken(Pictures):
        def __getitem__(self, index: int):
            return torch.full((3, 64, 64), float("nan") if index == 3 else 0.5), self.targets[index]

    same = [(torch.ones(4, 3, 64, 64), torch.tensor([0, 1, 2, 0]))]
    assert "pixels_not_finite" in found(loader=DataLoader(Broken(None), 48), val_loader=None)
    assert "images_identical" in found(loader=same, val_loader=None)
