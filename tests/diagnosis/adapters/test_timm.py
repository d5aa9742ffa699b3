from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import timm
import torch
from PIL import Image
from timm.optim import param_groups_layer_decay
from torch.utils.data import DataLoader

import headstart
from diagnosis.gallery.parts import IMAGENET, Pictures, correct
from headstart.diagnosis.adapters.timm import NormalisedBatches, is_prefetch_loader


def as_bytes(image: Image.Image) -> torch.Tensor:
    array = np.asarray(image).transpose(2, 0, 1).copy()
    return torch.from_numpy(array if torch.rand(1) < 0.5 else array[..., ::-1].copy())


def prefetch(*, scale: float = 255.0) -> SimpleNamespace:
    """What timm's PrefetchLoader has: bytes come out of the inner loader, and it normalises them."""
    mean, std = (scale * torch.tensor(one).view(1, 3, 1, 1) for one in IMAGENET)
    return SimpleNamespace(loader=DataLoader(Pictures(as_bytes), 16, shuffle=True), mean=mean, std=std)


def test_batches_are_normalised_as_the_loader_does():
    assert is_prefetch_loader(prefetch())
    found = NormalisedBatches(prefetch())
    images, _ = next(iter(found))
    assert -2.2 < float(images.min()) < -1.7
    assert len(found) == 3


def test_what_enters_the_network_counts():
    assert headstart.doctor(**correct(loader=prefetch(), val_loader=None)).complaints == ()
    wrong = headstart.doctor(**correct(loader=prefetch(scale=1.0), val_loader=None))
    assert "pixels_not_scaled" in {one.id for one in wrong.findings}


def test_layer_decay_of_timm_with_a_scheduler_of_torch():
    model = timm.create_model("test_resnet", pretrained=False, num_classes=3)
    adam = torch.optim.AdamW(param_groups_layer_decay(model, layer_decay=0.5), lr=1e-5)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 10)
    found = headstart.doctor(model, adam, scheduler=cosine)
    assert "scheduler_ignores_scales" in {one.id for one in found.findings}
