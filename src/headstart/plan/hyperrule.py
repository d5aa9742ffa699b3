"""BiT-HyperRule: full fine-tuning in which everything follows from the number of images (Kolesnikov et al. 2020).

It is the strategy `full` with the rates `bit`. What headstart does otherwise than the paper stands in the reasons.
"""

from __future__ import annotations

import math

from headstart.knowledge.transfer import (
    BIT_BATCH_SIZE,
    BIT_MIXUP_ALPHA,
    BIT_MIXUP_FROM_IMAGES,
    BIT_MOMENTUM,
    BIT_ROWS,
    LR_RULES,
    BitRow,
    bit_lr,
    bit_row_of,
)
from headstart.plan.assembly import assemble, refuse_what_has_no_use
from headstart.plan.plan import LrRule, OptimizerPlan, Plan, Schedule, TrainPhase
from headstart.plan.request import Request

EPOCHS_WITHOUT_COUNT = 10
"""Stands in where the number of images is not known, so that steps cannot be turned into epochs."""


def bit_hyperrule(request: Request) -> Plan:
    """SGD at one learning rate for all layers, from a head of zeros, in steps that fall to a tenth three times."""
    refuse_what_has_no_use("full", request)
    images = request.training_images
    row = BIT_ROWS[0] if images is None else bit_row_of(images)
    batch_size = request.batch_size or BIT_BATCH_SIZE
    lr = bit_lr(batch_size)
    own_epochs, why_epochs = _epochs(request, row, batch_size)
    epochs = request.epochs or own_epochs
    tune = TrainPhase(
        name="tune",
        epochs=epochs,
        unfreeze="all",
        head_lr=lr,
        backbone_lr=LrRule(rule="uniform", lr=lr),
        schedule=Schedule(
            name="multi_step",
            warmup_epochs=epochs * row.warmup_steps / row.steps,
            milestones=tuple(step / row.steps for step in row.milestones),
        ),
    )
    mixes = images is not None and images >= BIT_MIXUP_FROM_IMAGES
    return assemble(
        "full",
        request,
        (tune,),
        _reasons(row, mixes=mixes) | {"phases[0].epochs": why_epochs},
        optimizer=OptimizerPlan(name="sgd", momentum=BIT_MOMENTUM, weight_decay=0.0),
        patience=None,
        batch_size=BIT_BATCH_SIZE,
        mixup_alpha=BIT_MIXUP_ALPHA if mixes else None,
    )


def _epochs(request: Request, row: BitRow, batch_size: int) -> tuple[int, str]:
    """As many epochs as make the steps of the row, rounded up, and the sentence about them."""
    images = request.fit_images or request.training_images
    if images is None:
        return EPOCHS_WITHOUT_COUNT, (
            "a stand-in: BiT-HyperRule counts steps, and how many make an epoch is unknown until the images are counted"
        )
    steps_per_epoch = math.ceil(images / batch_size)
    return math.ceil(row.steps / steps_per_epoch), (
        f"{row.steps:,} steps of BiT-HyperRule at {steps_per_epoch:,} an epoch; --epochs shortens it in the same "
        "shape, --budget cuts it off"
    )


def _reasons(row: BitRow, *, mixes: bool) -> dict[str, str]:
    fact = LR_RULES["bit"]
    milestones = ", ".join(f"{step:,}" for step in row.milestones)
    reasons = {
        "phases": "no probe: in BiT-HyperRule the head starts from zeros; its views are random crops and flips, here "
        "they are what augmentation says",
        "phases[0].head_lr": "0.001 at a batch of 128 and 0.003 at 512, as published; in proportion elsewhere",
        "phases[0].backbone_lr": f"bit: {fact.sentence} ({fact.source})",
        "phases[0].schedule": f"a linear rise over {row.warmup_steps} of {row.steps:,} steps, then a tenth of the "
        f"learning rate from steps {milestones} on; kept as shares of the steps that are taken",
        "phases[0].batch_norm": "the paper's networks have no BatchNorm; where there is some, its pretrained "
        "statistics stay",
        "input.size": "the size these weights were trained at; BiT-HyperRule would crop 128 of 160 pixels where images "
        "are smaller than 96 x 96, else 480 of 512, which is slow without a GPU: --input-size decides",
        "optimizer": "SGD with momentum 0.9 and no weight decay: BiT-HyperRule",
        "batch_size": "128: BiT-HyperRule for small machines; 512 in the paper",
        "selection.patience": "none: BiT-HyperRule goes to its end; the best epoch on the validation images is "
        "kept, where the paper keeps the last",
    }
    if mixes:
        reasons["augmentation.mixup_alpha"] = f"BiT-HyperRule mixes batches from {BIT_MIXUP_FROM_IMAGES:,} images on"
    return reasons
