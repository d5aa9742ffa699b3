from __future__ import annotations

import torch
from torch.utils.data import DataLoader

from diagnosis.doctored import found
from diagnosis.gallery.parts import Pictures, loader, standard


def test_near_sizes_are_right_and_declared_ones_too():
    assert "input_size" not in found(loader=loader(standard(side=72)), val_loader=None)
    assert "input_size" in found(loader=loader(standard(side=96)), val_loader=None)
    assert "input_size" not in found(loader=loader(standard(side=96)), val_loader=None, input_size=96)
    assert "input_size" in found(loader=loader(standard(side=96)), val_loader=None, input_size=128)


def test_bytes_that_the_network_does_not_take():
    as_bytes = [((255 * torch.rand(8, 3, 64, 64)).byte(), torch.arange(8) % 3)]
    assert "images.float()" in found(loader=as_bytes, val_loader=None)["forward_fails"].remedy


def test_a_loader_that_raises():
    class Broken(Pictures):
        def __getitem__(self, index: int):
            raise OSError("image file is truncated")

    assert "truncated" in found(loader=DataLoader(Broken(None), 8), val_loader=None)["loader_fails"].evidence
