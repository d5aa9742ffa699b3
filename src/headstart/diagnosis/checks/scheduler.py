"""Checks of the learning-rate schedule, run to its end on a copy."""

from __future__ import annotations

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding


def find_ignored_scales(examined: Examined) -> list[DoctorFinding]:
    """`scheduler_ignores_scales`: groups carry timm's `lr_scale`, and their learning rates do not follow it."""
    found = []
    for number, optimizer in enumerate(examined.setup.optimizers):
        scales = [float(group.get("lr_scale", 1.0)) for group in optimizer.param_groups]
        if len(set(scales)) < 2:
            continue
        row = _middle_row(examined, number) or [float(group["lr"]) for group in optimizer.param_groups]
        top = max(range(len(scales)), key=scales.__getitem__)
        if row[top] <= 0:
            continue
        real = [lr / row[top] for lr in row]
        planned = [scale / scales[top] for scale in scales]
        worst = max(range(len(scales)), key=lambda index: real[index] / max(planned[index], 1e-12))
        if real[worst] <= 1.5 * planned[worst]:
            continue
        found.append(
            DoctorFinding(
                "scheduler_ignores_scales",
                "error",
                "Layer-wise learning rates have no effect: the scheduler ignores lr_scale.",
                f"Group {worst} has lr_scale {scales[worst]:.3g} and a learning rate of {row[worst]:.3g}, group {top} "
                f"{row[top]:.3g}: all groups are trained alike.",
                "Only timm's schedulers read lr_scale: use timm.scheduler, or set group['lr'] *= "
                "group['lr_scale'] before "
                "a scheduler of torch is made.",
            )
        )
    return found


def _middle_row(examined: Examined, number: int) -> list[float] | None:
    for schedule in examined.schedules:
        if schedule.optimizer == number and len(schedule.lrs) > 1:
            return list(max(schedule.lrs, key=max))
    return None


def find_levelled_groups(examined: Examined) -> list[DoctorFinding]:
    """`scheduler_levels_groups`: groups end up with one learning rate, because the scheduler was given only one."""
    found = []
    for schedule in examined.schedules:
        if schedule.optimizer is None or len(schedule.lrs[0]) < 2:
            continue
        groups = examined.setup.optimizers[schedule.optimizer].param_groups
        first, peak = schedule.lrs[0], max(schedule.lrs, key=max)
        levelled = len(set(first)) > 1 and len({round(lr, 12) for lr in peak}) == 1
        sets_peak = any("max_lr" in group for group in groups)
        pointless = sets_peak and len(set(peak)) == 1 and _groups_differ_in_nothing(groups)
        if levelled or pointless:
            found.append(
                DoctorFinding(
                    "scheduler_levels_groups",
                    "error" if levelled else "warning",
                    "The scheduler gives all groups one learning rate.",
                    f"{schedule.name} runs all {len(groups)} groups at {max(peak):.3g} at its peak: groups of "
                    "their own "
                    "have no effect.",
                    "Give it one value per group: OneCycleLR(optimizer, max_lr=[1e-4, 1e-3], ...).",
                )
            )
    return found


def _groups_differ_in_nothing(groups: list[dict[str, object]]) -> bool:
    decays = {str(group.get("weight_decay")) for group in groups}
    return len(groups) > 1 and len(decays) == 1


def find_foreign_scheduler(examined: Examined) -> list[DoctorFinding]:
    """`scheduler_of_other_optimizer`: the scheduler drives an optimizer that is not the one in use."""
    if not examined.setup.optimizers:
        return []
    return [
        DoctorFinding(
            "scheduler_of_other_optimizer",
            "error",
            "The scheduler drives another optimizer.",
            f"{schedule.name} holds an optimizer that is not the one given: the learning rates in use never change.",
            "Build the scheduler again whenever the optimizer is built again.",
        )
        for schedule in examined.schedules
        if not schedule.is_own
    ]


def find_schedule_length(examined: Examined) -> list[DoctorFinding]:
    """`schedule_length`: made for neither the epochs nor the steps of this training."""
    epochs, facts = examined.setup.epochs, examined.train
    if epochs is None or facts is None or not facts.steps:
        return []
    per_epoch = -(-facts.steps // examined.setup.accumulate)
    found = []
    for schedule in examined.schedules:
        length = schedule.length
        fits = [epochs, epochs * per_epoch, epochs * facts.steps, epochs * (facts.steps // examined.setup.accumulate)]
        if (
            length is None
            or any(abs(length - one) <= max(1, 0.1 * one) for one in fits)
            or length in (facts.steps, per_epoch)
        ):
            continue
        found.append(
            DoctorFinding(
                "schedule_length",
                "warning",
                "The schedule is made for another number of steps.",
                f"{schedule.name} runs over {length:,} steps; {epochs} epochs of {per_epoch:,} steps make "
                f"{epochs * per_epoch:,}, or {epochs} where it is stepped once an epoch.",
                "Use epochs * len(loader) // accumulation where it is stepped after each batch, else the number "
                "of epochs.",
            )
        )
    return found
