from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

import headstart
from diagnosis.gallery.parts import IMAGENET, Pictures, pretrained, standard
from headstart.diagnosis.adapters.transformers import classes_of_trainer


class WithLogits(nn.Module):
    """Takes pixel_values and gives a record with logits, as networks of transformers do."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.net = pretrained(classes)
        self.config = SimpleNamespace(id2label={0: "ants", 1: "bees", 2: "wasps"})

    def forward(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.net(pixel_values))


def collate(samples: list) -> dict:
    images, labels = zip(*samples, strict=True)
    return {"pixel_values": torch.stack(images), "labels": torch.tensor(labels)}


def trainer(network: nn.Module, *, lr: float = 2e-5, transform=None, every: int = 1) -> SimpleNamespace:
    size = {"per_device_train_batch_size": 16, "per_device_eval_batch_size": 16, "gradient_accumulation_steps": every}
    return SimpleNamespace(
        model=network,
        args=SimpleNamespace(learning_rate=lr, weight_decay=0.01, **size),
        train_dataset=Pictures(transform or standard()),
        eval_dataset=Pictures(standard(augment=False), first=500),
        data_collator=collate,
        optimizer=None,
        lr_scheduler=None,
        processing_class=SimpleNamespace(
            image_mean=IMAGENET[0], image_std=IMAGENET[1], size={"height": 64, "width": 64}
        ),
    )


def found(one: SimpleNamespace) -> set[str]:
    return {finding.id for finding in headstart.doctor(one).complaints}


def test_a_sound_trainer_in_evaluation_mode_has_no_complaint():
    """from_pretrained returns evaluation mode; the Trainer switches it."""
    assert found(trainer(WithLogits().eval())) == set()


def test_the_processor_says_what_the_weights_expect():
    assert "pixels_not_normalised" in found(trainer(WithLogits(), transform=standard(normalise=None)))


def test_arguments_are_read():
    assert "learning_rate_erases" in found(trainer(WithLogits(), lr=3e-2))
    assert "accumulation_remainder" in found(trainer(WithLogits(), every=2))


def test_names_that_nobody_set_are_no_classes():
    assert classes_of_trainer(trainer(WithLogits())) == ("ants", "bees", "wasps")
    unnamed = SimpleNamespace(model=SimpleNamespace(config=SimpleNamespace(id2label={0: "LABEL_0", 1: "LABEL_1"})))
    assert classes_of_trainer(unnamed) is None
