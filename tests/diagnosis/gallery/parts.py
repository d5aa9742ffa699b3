"""Tiny networks that look pretrained, images, and data sets as people write them."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
SIDE = 64
WEIGHTS = {"mean": IMAGENET[0], "std": IMAGENET[1], "input_size": (3, SIDE, SIDE), "num_classes": 1000}
"""Of the tiny networks, in the keys of timm's pretrained_cfg."""
COLOURS = ((200, 60, 40), (50, 160, 60), (40, 60, 200))


def trained(network: nn.Module, *, seed: int = 0) -> nn.Module:
    """The network with weights as training leaves them: a few large values, filters of unequal norm, moved norms."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, torch.Tensor):
            continue
        noise = torch.randn(weight.shape, generator=generator)
        if weight.ndim >= 2:
            filters = torch.randn((len(weight), *[1] * (weight.ndim - 1)), generator=generator).mul(0.6).exp()
            fan_in = weight[0].numel()
            weight.data = noise * noise.abs() * filters * (0.7 / fan_in**0.5)
        else:
            weight.data = 1 + 0.2 * noise
            module.bias.data = 0.1 * torch.randn(weight.shape, generator=generator)
        if isinstance(getattr(module, "running_mean", None), torch.Tensor):
            module.running_mean = 0.3 * torch.randn(weight.shape, generator=generator)
            module.running_var = torch.rand(weight.shape, generator=generator) + 0.5
    return network


class TinyConv(nn.Module):
    """Convolutions with BatchNorm, and a classifier called `fc`."""

    def __init__(self, classes: int = 1000, *, drop: float = 0.0, width: int = 16) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * width)
        self.conv3 = nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(2 * width)
        self.drop = nn.Dropout(drop)
        self.fc = nn.Linear(2 * width, classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn1(self.conv1(x)).relu()
        x = self.bn2(self.conv2(x)).relu()
        return self.bn3(self.conv3(x)).relu().mean(dim=(2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.drop(self.features(x)))


class TinyViT(nn.Module):
    """Patches, two attention blocks with LayerNorm, and a classifier called `head`."""

    def __init__(self, classes: int = 1000, *, width: int = 32) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 16, stride=16)
        layer = nn.TransformerEncoderLayer(width, 2, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(tokens)).mean(dim=1))


def pretrained(classes: int | None = 3, **options: float) -> TinyConv:
    """A tiny network with trained weights and a new head for `classes`; None keeps its own of 1000."""
    network = trained(TinyConv(1000, **options))
    if classes is not None:
        network.fc = nn.Linear(network.fc.in_features, classes)
    return network


def pretrained_vit(classes: int | None = 3) -> TinyViT:
    """The same of attention blocks."""
    network = trained(TinyViT(1000))
    for layer in network.blocks.layers:
        layer.self_attn.in_proj_weight.data = trained(nn.Linear(32, 96)).weight.data
    if classes is not None:
        network.head = nn.Linear(network.head.in_features, classes)
    return network


def picture(label: int, seed: int, side: int = SIDE) -> np.ndarray:
    """(side, side, 3) uint8: coarse patches of light and dark, tinted by class; it uses all of 0-255."""
    rng = np.random.default_rng(1000 * label + seed)
    coarse = rng.integers(0, 256, (8, 8, 1)).repeat(3, axis=2)
    tinted = 0.75 * coarse + 0.25 * np.array(COLOURS[label % 3]) * rng.uniform(0.2, 1.4)
    full = np.kron(tinted, np.ones((side // 8, side // 8, 1)))
    full[:4, :4], full[4:8, :4] = 0, 255
    return np.clip(full, 0, 255).astype(np.uint8)


class Pictures(Dataset):
    """Images in memory, with what people usually keep next to them."""

    def __init__(
        self,
        transform: Callable[[Image.Image], object] | None,
        *,
        count: int = 48,
        classes: tuple[str, ...] = ("ants", "bees", "wasps"),
        first: int = 0,
        sorted_by_class: bool = False,
        side: int = SIDE,
    ) -> None:
        self.transform = transform
        self.classes = list(classes)
        self.class_to_idx = {name: index for index, name in enumerate(classes)}
        labels = [index % len(classes) for index in range(count)]
        self.targets = sorted(labels) if sorted_by_class else labels
        self.first, self.side = first, side

    def __len__(self) -> int:
        return len(self.targets)

    def image(self, index: int) -> Image.Image:
        return Image.fromarray(picture(self.targets[index], self.first + index, self.side))

    def __getitem__(self, index: int) -> tuple[object, int]:
        image = self.image(index)
        return (image if self.transform is None else self.transform(image)), self.targets[index]


def write_pictures(
    root: Path, *, count: int = 12, classes: tuple[str, ...] = ("ants", "bees", "wasps"), first: int = 0
) -> Path:
    """Class folders of PNGs."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            Image.fromarray(picture(label, first + index)).save(root / name / f"{first + index:03d}.png")
    return root


def standard(*, augment: bool = True, normalise: tuple[list[float], list[float]] | None = IMAGENET, side: int = SIDE):
    """torchvision's usual transform."""
    from torchvision import transforms

    steps = [transforms.RandomResizedCrop(side, scale=(0.8, 1.0)), transforms.RandomHorizontalFlip()] if augment else []
    steps += [] if augment else [transforms.Resize((side, side))]
    steps.append(transforms.ToTensor())
    return transforms.Compose([*steps, *([transforms.Normalize(*normalise)] if normalise else [])])


def loader(transform=None, *, batch_size: int = 16, shuffle: bool = True, **options) -> DataLoader:
    """A training loader of the pictures with the usual transform."""
    return DataLoader(Pictures(transform or standard(), **options), batch_size, shuffle=shuffle)


def evaluation_loader(transform=None, **options) -> DataLoader:
    """A validation loader of other pictures."""
    return DataLoader(Pictures(transform or standard(augment=False), first=500, **options), 16)


def frozen(network: nn.Module, head: str = "fc") -> nn.Module:
    """The network with only its head trainable."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad = name.startswith(f"{head}.")
    return network


def two_rates(network: nn.Module, head: str = "fc", *, high: float = 1e-3, low: float = 1e-5) -> torch.optim.Optimizer:
    """AdamW with a lower learning rate for what is pretrained."""
    named = [(name, one) for name, one in network.named_parameters() if one.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [one for name, one in named if not name.startswith(f"{head}.")], "lr": low},
            {"params": [one for name, one in named if name.startswith(f"{head}.")], "lr": high},
        ]
    )


def correct(**changes: object) -> dict[str, object]:
    """Keyword arguments of a set-up without a fault, with some of them changed."""
    model = changes.pop("model", None) or pretrained()
    found = {
        "model": model,
        "optimizer": None,
        "loader": loader(),
        "val_loader": evaluation_loader(),
        "weights": WEIGHTS,
        "criterion": nn.CrossEntropyLoss(),
    }
    found.update(changes)
    if found["optimizer"] is None:
        found["optimizer"] = two_rates(model)
    return found


def seeded(seed: int = 0) -> None:
    """All generators at one seed."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@cache
def _embedded() -> nn.Module:
    from headstart.networks.backbone import build_classifier
    from headstart.networks.cards.finding import find_model

    choice = find_model("tf_efficientnet_lite0")
    return build_classifier(choice, kind="linear", num_classes=3, seed=0).network


def embedded() -> nn.Module:
    """EfficientNet-lite0 with the embedded ImageNet weights and a new head for three classes; read once a session."""
    return copy.deepcopy(_embedded())
