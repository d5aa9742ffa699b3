"""Learning rates of a schedule from its first to its last step, run on a copy."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MOST_STEPS = 3_000
_STEPS_WITHOUT_A_LENGTH = 300


@dataclass(frozen=True)
class ScheduleFacts:
    """Learning rates of every group along a schedule."""

    name: str
    """Class of the scheduler."""
    lrs: tuple[tuple[float, ...], ...]
    """Step -> learning rate of each group of its optimizer, the first before any step; one row if it needs a metric."""
    is_own: bool
    """Whether it drives an optimizer of the set-up."""
    optimizer: int | None
    """Which one."""
    length: int | None
    """Steps that it was made for, where it says so."""


def facts_of_schedule(scheduler: Any, optimizers: tuple[Any, ...], *, steps: int | None) -> ScheduleFacts:  # noqa: ANN401
    """Facts of one scheduler.

    Args:
        scheduler: Of torch, timm or transformers.
        optimizers: Of the set-up.
        steps: Of the whole training, if known.
    """
    driven = getattr(scheduler, "optimizer", None)
    number = next((index for index, one in enumerate(optimizers) if one is driven), None)
    length = length_of_schedule(scheduler)
    name = type(scheduler).__name__
    needs_metric = "plateau" in name.lower()
    count = 0 if needs_metric else min(_MOST_STEPS, length or steps or _STEPS_WITHOUT_A_LENGTH)
    try:
        own_optimizer, own = copy.deepcopy((driven, scheduler))
    except Exception:  # then only what holds now is known
        own_optimizer, own, count = driven, scheduler, 0
    rows = [_lrs(own_optimizer)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the order of step calls: the copy trains nothing
        for step in range(1, count):
            try:
                _advance(own, step)
            except Exception:  # past its end, or of a kind that needs more
                break
            rows.append(_lrs(own_optimizer))
    return ScheduleFacts(name, tuple(rows), number is not None, number, length)


def peak_lrs(schedules: tuple[ScheduleFacts, ...], optimizers: tuple[Any, ...]) -> Mapping[tuple[int, int], float]:
    """(optimizer, group) -> highest learning rate of its schedule; that of now where there is none."""
    found = {
        (number, index): float(group.get("lr", 0.0))
        for number, optimizer in enumerate(optimizers)
        for index, group in enumerate(optimizer.param_groups)
    }
    for schedule in schedules:
        if schedule.optimizer is not None:
            for index, values in enumerate(zip(*schedule.lrs, strict=True)):
                key = (schedule.optimizer, index)
                found[key] = max(values)
    return found


def length_of_schedule(scheduler: Any) -> int | None:  # noqa: ANN401
    """Steps that a scheduler was made for; None where it does not say."""
    for name in ("total_steps", "T_max", "total_iters", "t_initial"):
        value = getattr(scheduler, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return None


def _advance(scheduler: Any, step: int) -> None:  # noqa: ANN401
    if hasattr(scheduler, "step_update"):  # timm counts from outside
        scheduler.step(step)
    else:
        scheduler.step()


def _lrs(optimizer: Any) -> tuple[float, ...]:  # noqa: ANN401
    return tuple(float(group["lr"]) for group in getattr(optimizer, "param_groups", ()))
