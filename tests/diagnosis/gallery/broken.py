"""Broken set-ups, each from a mistake that people reported: the report, and the finding that must be there.

Reports: PL is Lightning-AI/pytorch-lightning, vision pytorch/vision, FTS finetuning-scheduler.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset, WeightedRandomSampler
from torchvision import transforms
from torchvision.datasets import ImageFolder

from diagnosis.gallery.parts import (
    IMAGENET,
    SIDE,
    WEIGHTS,
    Pictures,
    TinyConv,
    correct,
    evaluation_loader,
    frozen,
    loader,
    pretrained,
    pretrained_vit,
    standard,
    trained,
    two_rates,
    write_pictures,
)


@dataclass(frozen=True)
class BrokenSetup:
    """One mistake."""

    id: str
    """Of the finding that must be there."""
    source: str
    """Where people made it."""
    make: Callable[[Path], dict[str, Any]]
    """Keyword arguments of `headstart.doctor`; the folder is empty and may be written."""
    name: str = ""


def head_of_imagenet(folder: Path) -> dict[str, Any]:
    return correct(model=pretrained(None))


def head_under_another_name(folder: Path) -> dict[str, Any]:
    """The head of this network is `fc`; assigning `classifier` adds a layer that forward never calls."""
    model = pretrained(None)
    model.classifier = nn.Linear(32, 3)
    return correct(model=model)


def head_of_ten(folder: Path) -> dict[str, Any]:
    return correct(model=pretrained(2))


def frozen_drifts(folder: Path) -> dict[str, Any]:
    model = frozen(pretrained())
    return correct(model=model, optimizer=torch.optim.SGD(model.fc.parameters(), 1e-2, momentum=0.9))


def frozen_body_undone(folder: Path) -> dict[str, Any]:
    """The first stage is frozen, its BatchNorm is not in evaluation mode."""
    model = pretrained()
    for part in (model.conv1, model.bn1):
        part.requires_grad_(False)
    return correct(model=model)


def not_tracking(folder: Path) -> dict[str, Any]:
    """Lightning's freeze_module: statistics are not tracked, and training normalises by the batch."""
    model = frozen(pretrained())
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False
    return correct(model=model, optimizer=torch.optim.AdamW(model.fc.parameters(), 1e-3))


def scheduler_ignores_decay(folder: Path) -> dict[str, Any]:
    model = pretrained()
    groups = [
        {"params": list(model.conv1.parameters()) + list(model.bn1.parameters()), "lr_scale": 0.1},
        {"params": list(model.conv2.parameters()) + list(model.bn2.parameters()), "lr_scale": 0.3},
        {"params": list(model.conv3.parameters()) + list(model.bn3.parameters()), "lr_scale": 0.6},
        {"params": list(model.fc.parameters()), "lr_scale": 1.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-4)
    return correct(
        model=model, optimizer=optimizer, scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    )


def one_cycle_levels(folder: Path) -> dict[str, Any]:
    model = pretrained()
    optimizer = two_rates(model)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-4, total_steps=30)
    return correct(model=model, optimizer=optimizer, scheduler=scheduler)


def not_normalised(folder: Path) -> dict[str, Any]:
    return correct(
        loader=loader(standard(normalise=None)), val_loader=evaluation_loader(standard(augment=False, normalise=None))
    )


def half_and_half(folder: Path) -> dict[str, Any]:
    half = ([0.5] * 3, [0.5] * 3)
    return correct(
        loader=loader(standard(normalise=half)), val_loader=evaluation_loader(standard(augment=False, normalise=half))
    )


def to_bytes(image: Any) -> torch.Tensor:
    """Values of 0-255."""
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float()


def bytes_as_they_are(folder: Path) -> dict[str, Any]:
    flip = transforms.Compose([transforms.RandomHorizontalFlip(), to_bytes])
    return correct(loader=loader(flip), val_loader=evaluation_loader(to_bytes))


def bytes_normalised(folder: Path) -> dict[str, Any]:
    """Normalize with statistics of 0-1 on values of 0-255."""
    steps = transforms.Compose([transforms.RandomHorizontalFlip(), to_bytes, transforms.Normalize(*IMAGENET)])
    return correct(loader=loader(steps), val_loader=None)


def divided_twice(folder: Path) -> dict[str, Any]:
    steps = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToTensor(), lambda x: x / 255])
    return correct(loader=loader(steps), val_loader=None)


def normalised_twice(folder: Path) -> dict[str, Any]:
    """The transform normalises, and so does a first layer of the network."""

    class Normalising(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = pretrained()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in IMAGENET)
            return self.inner((x - mean) / std)

    model = Normalising()
    return correct(model=model, optimizer=two_rates(model, "inner.fc"))


def tensors_of_bytes(folder: Path) -> dict[str, Any]:
    """Arrays in memory, without any transform."""
    data = Pictures(to_bytes)
    images = torch.stack([data[i][0] for i in range(len(data))])
    return correct(
        loader=DataLoader(TensorDataset(images, torch.tensor(data.targets)), 16, shuffle=True), val_loader=None
    )


def read_by_opencv(folder: Path) -> dict[str, Any]:
    """Channels in the order blue, green, red; the transform itself is right."""

    class Reversed(Pictures):
        def image(self, index: int):
            from PIL import Image

            return Image.fromarray(np.asarray(super().image(index))[..., ::-1].copy())

    root = write_pictures(folder / "train")
    files = ImageFolder(root)

    class FromFiles(torch.utils.data.Dataset):
        samples = files.samples
        classes = files.classes
        transform = staticmethod(standard())

        def __len__(self) -> int:
            return len(self.samples)

        def __getitem__(self, index: int):
            image, label = files[index]
            from PIL import Image

            return self.transform(Image.fromarray(np.asarray(image)[..., ::-1].copy())), label

    return correct(loader=DataLoader(FromFiles(), 16, shuffle=True))


def swapped_in_transform(folder: Path) -> dict[str, Any]:
    steps = transforms.Compose([standard(), lambda x: x[[2, 1, 0]]])
    return correct(loader=loader(steps), val_loader=None)


def far_too_small(folder: Path) -> dict[str, Any]:
    return correct(loader=loader(standard(side=32)), val_loader=evaluation_loader(standard(augment=False, side=32)))


def classes_by_folder(folder: Path) -> dict[str, Any]:
    """The validation folder lacks a class, so every later label is another one."""
    train = ImageFolder(write_pictures(folder / "train"), standard())
    val = ImageFolder(write_pictures(folder / "val", classes=("ants", "wasps"), first=50), standard(augment=False))
    return correct(loader=DataLoader(train, 16, shuffle=True), val_loader=DataLoader(val, 16))


def copies_in_validation(folder: Path) -> dict[str, Any]:
    train = ImageFolder(write_pictures(folder / "train"), standard())
    val = ImageFolder(write_pictures(folder / "val", count=8), standard(augment=False))
    return correct(loader=DataLoader(train, 16, shuffle=True), val_loader=DataLoader(val, 16))


def overlapping_subsets(folder: Path) -> dict[str, Any]:
    base = Pictures(standard(), count=60)
    still = copy.copy(base)
    still.transform = standard(augment=False)
    train = DataLoader(Subset(base, range(0, 50)), 16, shuffle=True)
    return correct(loader=train, val_loader=DataLoader(Subset(base, range(40, 60)), 16))


def split_with_one_transform(folder: Path) -> dict[str, Any]:
    base = Pictures(standard(), count=60)
    train, val = torch.utils.data.random_split(base, [40, 20])
    return correct(loader=DataLoader(train, 16, shuffle=True), val_loader=DataLoader(val, 16))


def no_augmentation(folder: Path) -> dict[str, Any]:
    return correct(loader=loader(standard(augment=False)))


def sorted_and_not_shuffled(folder: Path) -> dict[str, Any]:
    return correct(loader=loader(shuffle=False, sorted_by_class=True))


def one_weight_a_class(folder: Path) -> dict[str, Any]:
    """WeightedRandomSampler with a weight per class draws the first three images only."""
    sampler = WeightedRandomSampler([0.2, 0.3, 0.5], num_samples=48)
    return correct(loader=DataLoader(Pictures(standard()), 16, sampler=sampler))


def dropped_evaluation(folder: Path) -> dict[str, Any]:
    data = Pictures(standard(augment=False), count=30, first=500)
    return correct(val_loader=DataLoader(data, 16, drop_last=True))


def labels_from_one(folder: Path) -> dict[str, Any]:
    class FromOne(Pictures):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)
            del self.class_to_idx, self.classes
            self.targets = [label + 1 for label in self.targets]

    return correct(loader=DataLoader(FromOne(standard()), 16, shuffle=True), val_loader=None, classes=3)


def softmax_inside(folder: Path) -> dict[str, Any]:
    model = pretrained()
    model.fc = nn.Sequential(nn.Linear(32, 3), nn.Softmax(dim=1))
    return correct(model=model)


def one_output(folder: Path) -> dict[str, Any]:
    model = pretrained(1)
    return correct(model=model, loader=loader(classes=("cat", "dog")), val_loader=None)


def nll_on_logits(folder: Path) -> dict[str, Any]:
    return correct(criterion=nn.NLLLoss())


def optimizer_before_head(folder: Path) -> dict[str, Any]:
    model = pretrained(None)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    model.fc = nn.Linear(32, 3)
    return correct(model=model, optimizer=optimizer)


def optimizer_misses(folder: Path) -> dict[str, Any]:
    """Unfrozen after the optimizer was built."""
    model = frozen(pretrained())
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], 1e-3)
    model.requires_grad_(True)
    return correct(model=model, optimizer=optimizer)


def optimizer_holds_frozen(folder: Path) -> dict[str, Any]:
    model = frozen(pretrained_vit(), "head")
    return correct(model=model, optimizer=torch.optim.AdamW(model.parameters(), 1e-3))


def stale_gradients(folder: Path) -> dict[str, Any]:
    model = pretrained_vit()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    model(torch.randn(2, 3, SIDE, SIDE)).sum().backward()
    frozen(model, "head")
    return correct(model=model, optimizer=optimizer)


def in_two_groups(folder: Path) -> dict[str, Any]:
    model = pretrained()
    optimizer = two_rates(model)
    optimizer.param_groups[0]["params"] += list(model.fc.parameters())
    return correct(model=model, optimizer=optimizer)


def one_high_rate(folder: Path) -> dict[str, Any]:
    model = pretrained()
    return correct(model=model, optimizer=torch.optim.Adam(model.parameters(), 1e-2))


def erasing_backbone(folder: Path) -> dict[str, Any]:
    model = pretrained()
    return correct(model=model, optimizer=two_rates(model, high=1e-3, low=1e-2))


def random_weights(folder: Path) -> dict[str, Any]:
    return correct(model=TinyConv(3))


def prefix_of_data_parallel(folder: Path) -> dict[str, Any]:
    """strict=False passes over every name of a file saved from DataParallel."""
    state = {f"module.{name}": value for name, value in trained(TinyConv(3)).state_dict().items()}
    model = TinyConv(3)
    model.load_state_dict(state, strict=False)
    return correct(model=model, weights=state)


def evaluation_mode(folder: Path) -> dict[str, Any]:
    model = pretrained(drop=0.2)
    model.eval()
    return correct(model=model)


def typo_in_freezing(folder: Path) -> dict[str, Any]:
    model = pretrained()
    model.conv1.requires_grad = False
    return correct(model=model)


def frozen_after_head(folder: Path) -> dict[str, Any]:
    model = pretrained()
    for parameter in model.parameters():
        parameter.requires_grad = False
    return correct(model=model, optimizer=torch.optim.SGD(model.fc.parameters(), 1e-2))


def accumulation_left(folder: Path) -> dict[str, Any]:
    return correct(accumulate=4)


def half_weights(folder: Path) -> dict[str, Any]:
    model = pretrained().half()
    return {"model": model, "optimizer": two_rates(model), "weights": WEIGHTS}


def grey_images(folder: Path) -> dict[str, Any]:
    grey = transforms.Compose([transforms.Grayscale(), transforms.RandomHorizontalFlip(), transforms.ToTensor()])
    return correct(loader=loader(grey), val_loader=None)


def channels_last(folder: Path) -> dict[str, Any]:
    def as_array(image: Any) -> np.ndarray:
        return np.asarray(image, dtype=np.float32) / 255

    return correct(loader=loader(as_array), val_loader=None)


def validation_not_normalised(folder: Path) -> dict[str, Any]:
    return correct(val_loader=evaluation_loader(standard(augment=False, normalise=None)))


def inverted_weights(folder: Path) -> dict[str, Any]:
    data = Pictures(standard(), count=60)
    data.targets = [0] * 40 + [1] * 15 + [2] * 5
    return correct(
        loader=DataLoader(data, 16, shuffle=True), criterion=nn.CrossEntropyLoss(weight=torch.tensor([40.0, 15.0, 5.0]))
    )


def epochs_as_steps(folder: Path) -> dict[str, Any]:
    model = pretrained()
    optimizer = two_rates(model)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=1000)
    return correct(model=model, optimizer=optimizer, scheduler=scheduler, epochs=10)


BROKEN = (
    BrokenSetup("head_not_replaced", "vision#3547, vision#651, pytorch#62308", head_of_imagenet),
    BrokenSetup("head_not_replaced", "vision#651", head_under_another_name),
    BrokenSetup("head_size", "vision#3547", head_of_ten),
    BrokenSetup("frozen_batch_norm_drifts", "keras#9214, keras#9965, pytorch#66073, ultralytics#9391", frozen_drifts),
    BrokenSetup("frozen_batch_norm_drifts", "PL#15062, ultralytics#8753", frozen_body_undone),
    BrokenSetup("frozen_batch_norm_by_batch", "PL#13902, PL#14277, FTS#5", not_tracking),
    BrokenSetup("scheduler_ignores_scales", "timm#2532", scheduler_ignores_decay),
    BrokenSetup("scheduler_levels_groups", "flash#1321, ignite#2703", one_cycle_levels),
    BrokenSetup("pixels_not_normalised", "timm#905, vision#39", not_normalised),
    BrokenSetup("normalisation_differs", "timm#905, open_clip#311", half_and_half),
    BrokenSetup("pixels_not_scaled", "torchgeo-bench#40, tensorflow#48412", bytes_as_they_are),
    BrokenSetup("pixels_not_scaled", "torchgeo-bench#40", bytes_normalised),
    BrokenSetup("pixels_scaled_twice", "tensorflow#42506", divided_twice),
    BrokenSetup("pixels_normalised_twice", "fastai#3716, vision#8232", normalised_twice),
    BrokenSetup("pixels_not_scaled", "torchgeo-bench#40", tensors_of_bytes),
    BrokenSetup("channels_swapped", "keras#9049, ultralytics#9964", read_by_opencv),
    BrokenSetup("channels_swapped", "keras#9049", swapped_in_transform),
    BrokenSetup("input_size", "LogME#7, torchgeo-bench#16", far_too_small),
    BrokenSetup("class_order_differs", "ultralytics#26192, #13936, #23566, #4514", classes_by_folder),
    BrokenSetup("same_image_in_two_loaders", "fastai#2724, MIL_BASELINE#29", copies_in_validation),
    BrokenSetup("same_image_in_two_loaders", "MIL_BASELINE#46, PyHealth#1159", overlapping_subsets),
    BrokenSetup("evaluation_augmented", "ultralytics#7069", split_with_one_transform),
    BrokenSetup("no_augmentation", "mmpretrain#727, timm#119", no_augmentation),
    BrokenSetup("shuffle_off", "timm#25", sorted_and_not_shuffled),
    BrokenSetup("loader_leaves_out", "ultralytics#21082, lightly-train#965", one_weight_a_class),
    BrokenSetup("loader_leaves_out", "vision_transformer#72", dropped_evaluation),
    BrokenSetup("labels_out_of_range", "ultralytics#26192", labels_from_one),
    BrokenSetup("softmax_before_loss", "scikit-learn#28574, UQ360#17", softmax_inside),
    BrokenSetup("one_output_cross_entropy", "vision#3547", one_output),
    BrokenSetup("log_softmax_missing", "TrustLens#65", nll_on_logits),
    BrokenSetup("optimizer_of_other_parameters", "vision#651, PL#2006", optimizer_before_head),
    BrokenSetup("optimizer_misses_trainable", "PL#2006, PL#21901, FTS#29", optimizer_misses),
    BrokenSetup("optimizer_holds_frozen", "timm#2691, FTS#30", optimizer_holds_frozen),
    BrokenSetup("frozen_parameter_moves", "PL#8502, PL#6891", stale_gradients),
    BrokenSetup("parameter_in_two_groups", "flash#1321, timm#2712", in_two_groups),
    BrokenSetup("one_learning_rate", "timm#11, ultralytics#24592", one_high_rate),
    BrokenSetup("learning_rate_erases", "PL#21030, ultralytics PR#24164", erasing_backbone),
    BrokenSetup("weights_not_loaded", "timm#2067, open_clip#1068", random_weights),
    BrokenSetup("weights_not_loaded", "timm#2338, FOA#2", prefix_of_data_parallel),
    BrokenSetup("model_in_evaluation_mode", "PL#6675, PL#21531", evaluation_mode),
    BrokenSetup("freeze_without_effect", "PL#20629", typo_in_freezing),
    BrokenSetup("nothing_trainable", "PL#21901", frozen_after_head),
    BrokenSetup("accumulation_remainder", "fastai#4030", accumulation_left),
    BrokenSetup("half_precision_weights", "PL#21030", half_weights),
    BrokenSetup("channel_count", "vision#882, timm#976, fastai#3820", grey_images),
    BrokenSetup("channels_last", "torchgeo#2289", channels_last),
    BrokenSetup("preprocessing_differs", "keras#9049, ultralytics#25794", validation_not_normalised),
    BrokenSetup("class_weights_inverted", "ultralytics#12849, #18147", inverted_weights),
    BrokenSetup("schedule_length", "PL#21901, fastai#3652", epochs_as_steps),
)
