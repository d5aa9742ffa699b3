"""Rescue: after an alarm, the best weights with learning rates divided by ten, and the schedule from its beginning.

The learning rates of the plan stay as they are: how often a phase was rescued stands in the checkpoint, so that a
resume from any moment has the learning rates of its checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.plan.plan import TrainPhase
from headstart.runs.warnings import AlarmKind, AlarmRaised
from headstart.training.training import Training

DIVISOR = 10.0
"""Of the learning rates, at each rescue."""

CURABLE: frozenset[AlarmKind] = frozenset(
    (
        "not_finite",
        "diverging",
        "dead_activations",
        "saturated_activations",
        "batch_norm_drift",
        "forgetting",
        "early_peak",
    )
)
"""Alarms that lower learning rates can cure: a head without progress and overfitting are not among them."""

SOUND_SIMILARITY = 0.4
"""Lowest CKA of a layer group with the starting network at which an epoch counts as whole, where no probe says so."""


def lowered(phase: TrainPhase, rescues: int) -> TrainPhase:
    """The phase with the learning rates that it has after some rescues."""
    if not rescues:
        return phase
    factor = DIVISOR**-rescues
    rates = {name: lr * factor for name, lr in phase.lr_by_group.items()}
    return phase.model_copy(update={"lr_by_group": rates, "head_lr": phase.head_lr * factor})


def curable(alarms: Sequence[AlarmRaised]) -> AlarmRaised | None:
    """The gravest alarm that leads to a rescue; None without one."""
    return next((alarm for alarm in alarms if alarm.alarm in CURABLE), None)


def weights_to_return_to(training: Training) -> tuple[str, Mapping[str, Any]]:
    """(name of a checkpoint, its weights): the best epoch so far, or what training began with where that is better.

    Where no linear probe was fitted, nothing is known of the beginning: then an epoch is returned to only if it raised
    no alarm and every layer group still resembles the starting network.
    """
    best, before = training.state.best, training.step_start
    if best is not None and before is not None:
        better = best if best.is_better_than(before) else before
        return better.name, better.weights
    if before is not None:
        return before.name, before.weights
    if best is not None and _is_sound(training, best.name):
        return best.name, best.weights
    return "start", training.start


def _is_sound(training: Training, checkpoint: str) -> bool:
    """Whether an epoch raised no alarm and still holds the features of the starting network."""
    phase, _, epoch = checkpoint.partition("/")
    same = [one for one in training.history if (one.phase, str(one.epoch)) == (phase, epoch)]
    alarmed = any(
        one["phase"] == phase and str(one["epoch"]) == epoch and one["kind"] in CURABLE
        for one in training.progress.warnings
    )
    similarity = same[-1].similarity if same else None
    return not alarmed and similarity is not None and similarity >= SOUND_SIMILARITY
