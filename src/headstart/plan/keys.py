"""Where a key of a plan stands: what to say to someone who wrote it elsewhere, or under another library's name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import get_args

from pydantic import BaseModel

OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "lr": ("phases[].head_lr", "phases[].backbone_lr.lr"),
    "learning_rate": ("phases[].head_lr", "phases[].backbone_lr.lr"),
    "max_lr": ("phases[].head_lr", "phases[].backbone_lr.lr"),
    "layer_decay": ("phases[].backbone_lr.decay",),
    "lr_scheduler": ("phases[].schedule.name",),
    "scheduler": ("phases[].schedule.name",),
    "sched": ("phases[].schedule.name",),
    "warmup": ("phases[].schedule.warmup_epochs",),
    "min_lr": ("phases[].schedule.final_lr", "phases[].schedule.plateau_min_lr"),
    "eta_min": ("phases[].schedule.final_lr",),
    "num_epochs": ("phases[].epochs",),
    "freeze": ("phases[].unfreeze",),
    "l2": ("phases[].l2_penalty",),
    "wd": ("optimizer.weight_decay",),
    "opt": ("optimizer.name",),
    "smoothing": ("optimizer.label_smoothing",),
    "bs": ("batch_size",),
    "img_size": ("input.size",),
    "image_size": ("input.size",),
    "imgsz": ("input.size",),
    "input_size": ("input.size",),
    "mixup": ("augmentation.mixup_alpha",),
    "cutmix": ("augmentation.cutmix_alpha",),
    "gradient_clip_val": ("optimizer.clip_norm",),
    "clip_grad": ("optimizer.clip_norm",),
    "max_grad_norm": ("optimizer.clip_norm",),
    "augment": ("augmentation.preset",),
    "early_stopping": ("selection.patience",),
    "budget": ("budget_seconds",),
    "time_limit": ("budget_seconds",),
    "arch": ("model.name",),
    "architecture": ("model.name",),
    "backbone": ("model.name",),
    "pretrained": ("model.weights",),
    "test_size": ("data.test_fraction",),
    "val_size": ("data.validation_fraction",),
    "val_split": ("data.validation_fraction",),
}
"""What peers and people call a key -> where the plan has it."""


def key_paths(section: type[BaseModel], prefix: str = "") -> tuple[str, ...]:
    """Paths of all keys of a section and of those inside it, such as `phases[].schedule.name`."""
    found: list[str] = []
    for name, field in section.model_fields.items():
        path = f"{prefix}{name}"
        found.append(path)
        for inner, several in _sections_in(field.annotation):
            found += key_paths(inner, f"{path}[]." if several else f"{path}.")
    return tuple(dict.fromkeys(found))


def where_it_stands(key: str, paths: Sequence[str]) -> str:
    """`; did you mean phases[].head_lr?`, or nothing where the key is like no other.

    Args:
        key: As written, without its section.
        paths: All of `key_paths`.
    """
    plain = key.lower().replace("-", "_")
    there = [path for path in OTHER_NAMES.get(plain, ()) if path in paths]
    there = there or [path for path in paths if re.split(r"[.\]]+", path)[-1] == plain]
    if not there:
        leaves = {path.rpartition(".")[2]: path for path in reversed(paths)}
        there = [leaves[leaf] for leaf in difflib.get_close_matches(plain, leaves, n=1)]
    return f"; did you mean {' or '.join(there[:3])}?" if there else ""


def _sections_in(annotation: object) -> list[tuple[type[BaseModel], bool]]:
    """Sections inside a type, and whether there may be several of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(annotation, False)]
    several = getattr(annotation, "__origin__", None) is tuple
    return [(inner, several or more) for part in get_args(annotation) for inner, more in _sections_in(part)]
