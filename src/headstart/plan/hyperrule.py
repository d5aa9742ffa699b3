"""BiT-HyperRule: full fine-tuning in which everything follows from the number of images (Kolesnikov et al. 2020).

It is the strategy `full` with the rates `bit`. What headstart does otherwise than the paper stands in the reasons.
"""

from __future__ import annotations

import math
from typing import Any

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

_STAND_IN_REASON = (
    "a stand-in: BiT-HyperRule counts steps, and how many make an epoch is unknown until the images are counted"
)


def bit_hyperrule(request: Request) -> Plan:
    """SGD at one learning rate for all layers, from a head of zeros, in steps that fall to a tenth three times."""
    refuse_what_has_no_use("full", request)
    lr = bit_lr(request.batch_size or BIT_BATCH_SIZE)
    row, epochs = BIT_ROWS[0], request.epochs or EPOCHS_WITHOUT_COUNT
    tune = TrainPhase(
        name="tune",
        epochs=epochs,
        unfreeze="all",
        head_lr=lr,
        backbone_lr=LrRule(rule="uniform", lr=lr),
        schedule=_schedule(row, epochs),
    )
    return assemble(
        "full",
        request,
        (tune,),
        _reasons() | _row_reasons(row) | {"phases[0].epochs": _STAND_IN_REASON},
        optimizer=OptimizerPlan(name="sgd", momentum=BIT_MOMENTUM, weight_decay=0.0),
        patience=None,
        batch_size=BIT_BATCH_SIZE,
    )


def counted_hyperrule(plan: Plan, request: Request, *, pool: int, train: int | None) -> Plan:
    """Plan of BiT-HyperRule with epochs, schedule and MixUp for the number of images.

    Args:
        plan: Of `bit_hyperrule`.
        request: The options it was made from.
        pool: Images of training and validation set together: they decide the row of the paper's table.
        train: Images of the training set, which make the steps of an epoch; None: as many as `pool`.
    """
    (tune,) = plan.phases
    assert isinstance(tune, TrainPhase)
    row = bit_row_of(pool)
    steps = math.ceil((train or pool) / plan.batch_size)
    epochs = request.epochs or math.ceil(row.steps / steps)
    reasons, changes = _row_reasons(row), dict[str, Any]()
    if request.epochs is None:
        reasons["phases[0].epochs"] = (
            f"{row.steps:,} steps of BiT-HyperRule at {steps:,} an epoch; --epochs shortens it in the same shape, "
            "--budget cuts it off"
        )
    if pool >= BIT_MIXUP_FROM_IMAGES:
        changes["augmentation"] = plan.augmentation.model_copy(update={"mixup_alpha": BIT_MIXUP_ALPHA})
        reasons["augmentation.mixup_alpha"] = f"BiT-HyperRule mixes batches from {BIT_MIXUP_FROM_IMAGES:,} images on"
    counted = tune.model_copy(update={"epochs": epochs, "schedule": _schedule(row, epochs)})
    return plan.model_copy(update={**changes, "phases": (counted,), "reasons": plan.reasons | reasons})


def _schedule(row: BitRow, epochs: int) -> Schedule:
    """The row's schedule over so many epochs: its steps are kept as shares of the steps that are taken."""
    return Schedule(
        name="multi_step",
        warmup_epochs=epochs * row.warmup_steps / row.steps,
        milestones=tuple(step / row.steps for step in row.milestones),
    )


def _row_reasons(row: BitRow) -> dict[str, str]:
    """Reason of the schedule, by the row of the paper's table that the number of images selects."""
    milestones = ", ".join(f"{step:,}" for step in row.milestones)
    return {
        "phases[0].schedule": f"a linear rise over {row.warmup_steps} of {row.steps:,} steps, then a tenth of the "
        f"learning rate from steps {milestones} on; kept as shares of the steps that are taken",
    }


def _reasons() -> dict[str, str]:
    fact = LR_RULES["bit"]
    return {
        "phases": "no probe: in BiT-HyperRule the head starts from zeros; its views are random crops and flips, here "
        "they are what augmentation says",
        "phases[0].head_lr": "0.001 at a batch of 128 and 0.003 at 512, as published; in proportion elsewhere",
        "phases[0].backbone_lr": f"bit: {fact.sentence} ({fact.source})",
        "phases[0].batch_norm": "the paper's networks have no BatchNorm; where there is some, its pretrained "
        "statistics stay",
        "input.size": "the size these weights were trained at; BiT-HyperRule would crop 128 of 160 pixels where images "
        "are smaller than 96 x 96, else 480 of 512, which is slow without a GPU: --input-size decides",
        "optimizer": "SGD with momentum 0.9 and no weight decay: BiT-HyperRule",
        "batch_size": "128: BiT-HyperRule for small machines; 512 in the paper",
        "selection.patience": "none: BiT-HyperRule goes to its end; the best epoch on the validation images is "
        "kept, where the paper keeps the last",
    }
