"""Learning-rate schedules as pure functions; every layer group follows the same schedule from its own peak.

A schedule gives the learning rate itself, not a factor, because a floor such as cosine's 1e-6 is a learning rate.
Nothing here has state: the plateau reads the history of validation losses that the loop keeps (and saves).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.plan.plan import Schedule, TrainPhase


def learning_rates_at(
    phase: TrainPhase, *, step: int, steps_per_epoch: int, validation_losses: Sequence[float]
) -> dict[str, float]:
    """Learning rate of every group of a resolved phase at one of its steps; see `learning_rate_at`."""
    return {
        name: learning_rate_at(
            phase.schedule,
            peak=peak,
            step=step,
            steps_per_epoch=steps_per_epoch,
            epochs=phase.epochs,
            validation_losses=validation_losses,
        )
        for name, peak in phase.lr_by_group.items()
    }


def learning_rate_at(
    schedule: Schedule,
    *,
    peak: float,
    step: int,
    steps_per_epoch: int,
    epochs: int,
    validation_losses: Sequence[float],
) -> float:
    """Learning rate of a group at one step of a phase.

    Args:
        schedule: Its name and its numbers.
        peak: The group's own learning rate, > 0.
        step: 0-based, counted from the start of the phase.
        steps_per_epoch: Optimizer steps of an epoch, > 0.
        epochs: Of the phase.
        validation_losses: Loss on the validation images after each finished epoch of the phase (plateau reads it).
    """
    total = steps_per_epoch * epochs
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return peak * (step + 1) / warmup
    position = (step - warmup) / max(1, total - warmup)
    if schedule.name == "cosine":
        return cosine(peak, position, floor=schedule.final_lr)
    if schedule.name == "one_cycle":
        return one_cycle(peak, position, pct_start=schedule.pct_start)
    if schedule.name == "plateau":
        factor = plateau_factor(
            validation_losses, factor=schedule.plateau_factor, patience_epochs=schedule.plateau_patience_epochs
        )
        return max(peak * factor, min(peak, schedule.plateau_min_lr))
    if schedule.name == "multi_step":
        return multi_step(peak, step / total, milestones=schedule.milestones, factor=schedule.milestone_factor)
    return peak


def cosine(peak: float, position: float, *, floor: float) -> float:
    """Learning rate floor + (peak - floor) * (1 + cos(pi * position)) / 2 (Loshchilov & Hutter 2017).

    A peak under the floor stays where it is.

    Args:
        peak: Learning rate at position 0.
        position: 0 (start) .. 1 (end).
        floor: Learning rate at position 1.
    """
    floor = min(floor, peak)
    return floor + (peak - floor) * (1 + math.cos(math.pi * position)) / 2


def one_cycle(
    peak: float, position: float, *, pct_start: float, start_divisor: float = 25.0, end_divisor: float = 1e5
) -> float:
    """Learning rate that rises from peak / 25 and falls to peak / 1e5, both as cosines (after Smith & Topin 2018)."""
    if position < pct_start:
        start = peak / start_divisor
        return start + (peak - start) * (1 - math.cos(math.pi * position / pct_start)) / 2
    return cosine(peak, (position - pct_start) / (1 - pct_start), floor=peak / end_divisor)


def multi_step(peak: float, position: float, *, milestones: Sequence[float], factor: float) -> float:
    """Learning rate peak * factor^(milestones reached), constant in between (He et al. 2016).

    Args:
        peak: Learning rate before the first milestone.
        position: Share of the phase's steps that are done, warm-up included, 0..1.
        milestones: Shares at which the learning rate falls.
        factor: Multiplies the learning rate at each of them.
    """
    # A share such as 0.4 of 500 steps is step 200: rounding must not put it one step off.
    return float(peak * factor ** sum(position >= share - 1e-9 for share in milestones))


def plateau_factor(losses: Sequence[float], *, factor: float, patience_epochs: int) -> float:
    """Factor of the learning rate: `factor` for each time that the loss had no new minimum for over `patience_epochs`.

    The count starts again after each reduction. A new minimum must be lower by a relative 1e-4.
    """
    best, waited, reductions = math.inf, 0, 0
    for loss in losses:
        if loss < best * (1 - 1e-4):
            best, waited = loss, 0
        else:
            waited += 1
        if waited > patience_epochs:
            reductions, waited = reductions + 1, 0
    return factor**reductions
