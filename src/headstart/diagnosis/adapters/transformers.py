"""A Hugging Face Trainer: network, collated loaders, optimizer as it would be made, and the image processor."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader

from headstart.diagnosis.setup import LoaderRole


def is_trainer(value: object) -> bool:
    """Whether the object has the attributes of a transformers Trainer."""
    return all(hasattr(value, name) for name in ("args", "train_dataset", "data_collator", "model"))


def loaders_of_trainer(trainer: Any) -> dict[LoaderRole, Any]:  # noqa: ANN401
    """Loaders with the trainer's collation and batch sizes, in this process and without its accelerator."""
    arguments = trainer.args
    found: dict[LoaderRole, Any] = {}
    collate = trainer.data_collator
    if trainer.train_dataset is not None:
        size = int(getattr(arguments, "per_device_train_batch_size", 8))
        last = bool(getattr(arguments, "dataloader_drop_last", False))
        found["train"] = DataLoader(trainer.train_dataset, size, shuffle=True, collate_fn=collate, drop_last=last)
    evaluation = getattr(trainer, "eval_dataset", None)
    if evaluation is not None and not isinstance(evaluation, dict):
        size = int(getattr(arguments, "per_device_eval_batch_size", 8))
        found["validation"] = DataLoader(evaluation, size, collate_fn=collate)
    return found


def optimizer_of_trainer(trainer: Any) -> Any:  # noqa: ANN401
    """The trainer's optimizer; where it makes one only in `train()`, AdamW over what it would hold."""
    if getattr(trainer, "optimizer", None) is not None:
        return trainer.optimizer
    trainable = [one for one in trainer.model.parameters() if one.requires_grad]
    if not trainable:
        return None
    decay = float(getattr(trainer.args, "weight_decay", 0.0))
    return torch.optim.AdamW(trainable, lr=float(trainer.args.learning_rate), weight_decay=decay)


def processor_of(trainer: Any) -> Any:  # noqa: ANN401
    """Image processor that came with the weights; None where the trainer holds none."""
    for name in ("processing_class", "image_processor", "tokenizer"):
        found = getattr(trainer, name, None)
        if getattr(found, "image_mean", None) is not None:
            return found
    return None


def classes_of_trainer(trainer: Any) -> tuple[str, ...] | None:  # noqa: ANN401
    """Names of the outputs in the configuration, unless they are those that no one set."""
    names = getattr(getattr(trainer.model, "config", None), "id2label", None)
    if not isinstance(names, dict) or not names:
        return None
    ordered = tuple(str(names[key]) for key in sorted(names, key=int))
    return None if all(name == f"LABEL_{index}" for index, name in enumerate(ordered)) else ordered
