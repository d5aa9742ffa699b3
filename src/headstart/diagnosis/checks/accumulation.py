"""Checks of gradient accumulation, loss scaling and precision."""

from __future__ import annotations

import torch

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding


def find_accumulation(examined: Examined) -> list[DoctorFinding]:
    """`accumulation_remainder`: batches of an epoch are no multiple of those that make a step."""
    every, facts = examined.setup.accumulate, examined.train
    if every <= 1 or facts is None or not facts.steps:
        return []
    left = facts.steps % every
    if facts.steps < every:
        text = f"{facts.steps} batches an epoch, and a step after {every}: no step is made in an epoch"
        level = "error"
    elif left:
        text = (
            f"{facts.steps} batches an epoch leave {left} after the last step of {every}: their gradients are lost, or "
        )
        text += "go into the next epoch's first step"
        level = "warning"
    else:
        return []
    return [
        DoctorFinding(
            "accumulation_remainder",
            level,  # type: ignore[arg-type]
            "Gradient accumulation does not add up with the length of an epoch.",
            f"{text}.",
            "Step after the last batch too, dividing its loss by the number of batches it holds; drop_last=True.",
        )
    ]


def find_loss_scaling(examined: Examined) -> list[DoctorFinding]:
    """`half_precision_weights`: weights themselves are float16; `loss_scale_collapsed`: the scaler fell below 1."""
    found = []
    model, scaler = examined.setup.model, examined.setup.scaler
    trainable = [] if model is None else [one for one in model.parameters() if one.requires_grad]
    half = [one for one in trainable if one.dtype == torch.float16]
    if half and examined.setup.optimizers:
        found.append(
            DoctorFinding(
                "half_precision_weights",
                "error",
                "Trainable weights are float16: small steps are rounded away.",
                f"{len(half)} of {len(trainable)} trainable parameters are float16; a GradScaler cannot unscale "
                "their gradients.",
                "Keep weights in float32 (model.float()) and compute under torch.autocast.",
            )
        )
    scale = _scale_of(scaler)
    if scale is not None and scale < 1:
        found.append(
            DoctorFinding(
                "loss_scale_collapsed",
                "error",
                "The loss scale has collapsed: gradients overflow in every step.",
                f"GradScaler's scale is {scale:.3g}; it starts at 65,536 and halves at each overflow.",
                "Look for a loss that is not finite, lower the learning rate, or use bfloat16, which needs no scaler.",
            )
        )
    return found


def _scale_of(scaler: object) -> float | None:
    get = getattr(scaler, "get_scale", None)
    if not callable(get) or not getattr(scaler, "is_enabled", lambda: True)():
        return None
    return float(get())
