"""The list of checks, in the order in which they are run and reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from headstart.diagnosis.checks import (
    accumulation,
    batch_norm,
    head,
    input_size,
    labels,
    learning_rate,
    loaders,
    loss,
    mode,
    optimizer,
    overlap,
    pixels,
    scheduler,
    weights,
)
from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding

CheckInput: TypeAlias = Literal[
    "model", "optimizer", "loader", "several loaders", "criterion", "scheduler", "forward", "pixels"
]
"""What a check reads; forward: a batch that went through the copy."""


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One check of a set-up."""

    name: str
    find: Callable[[Examined], list[DoctorFinding]]
    needs: tuple[CheckInput, ...]


CHECKS: tuple[DoctorCheck, ...] = (
    DoctorCheck("reading of loaders", input_size.find_unreadable_loaders, ("loader",)),
    DoctorCheck("forward pass", input_size.find_failing_forward, ("model", "loader")),
    DoctorCheck("weights loaded", weights.find_random_weights, ("model",)),
    DoctorCheck("finite weights", weights.find_broken_weights, ("model",)),
    DoctorCheck("size of the head", head.find_head_size, ("model", "forward")),
    DoctorCheck("frozen head", head.find_frozen_head, ("model", "optimizer")),
    DoctorCheck("input size", input_size.find_input_size, ("pixels",)),
    DoctorCheck("pixel values", pixels.find_pixel_values, ("pixels",)),
    DoctorCheck("order of channels", pixels.find_swapped_channels, ("pixels",)),
    DoctorCheck("broken pixels", pixels.find_broken_pixels, ("loader",)),
    DoctorCheck("anything trainable", optimizer.find_nothing_trainable, ("model", "optimizer")),
    DoctorCheck("freezing", optimizer.find_freezing_without_effect, ("model",)),
    DoctorCheck("trainable parameters in the optimizer", optimizer.find_missed_parameters, ("model", "optimizer")),
    DoctorCheck("frozen parameters in the optimizer", optimizer.find_held_frozen, ("model", "optimizer")),
    DoctorCheck("parameters in two groups", optimizer.find_doubled_parameters, ("model", "optimizer")),
    DoctorCheck("parameters of another network", optimizer.find_foreign_parameters, ("model", "optimizer")),
    DoctorCheck("gradients", optimizer.find_missing_gradients, ("model", "forward")),
    DoctorCheck("learning rates", learning_rate.find_erasing_steps, ("optimizer", "forward")),
    DoctorCheck("learning rates of 0", learning_rate.find_zero_steps, ("model", "optimizer")),
    DoctorCheck("frozen BatchNorm", batch_norm.find_frozen_drift, ("model", "forward")),
    DoctorCheck("batches of one image", batch_norm.find_single_image_batches, ("forward",)),
    DoctorCheck("mode of the network", mode.find_wrong_mode, ("model",)),
    DoctorCheck("activation of the outputs", loss.find_wrong_activation, ("forward",)),
    DoctorCheck("one output", loss.find_single_output, ("forward", "criterion")),
    DoctorCheck("loss", loss.find_failing_loss, ("forward", "criterion")),
    DoctorCheck("reduction of the loss", loss.find_summed_loss, ("criterion",)),
    DoctorCheck("class weights", loss.find_class_weights, ("criterion", "loader")),
    DoctorCheck("range of labels", labels.find_labels_out_of_range, ("loader",)),
    DoctorCheck("one label", labels.find_single_label, ("loader",)),
    DoctorCheck("shuffling", loaders.find_missing_shuffle, ("loader",)),
    DoctorCheck("augmentation", loaders.find_no_augmentation, ("model", "optimizer", "loader")),
    DoctorCheck("augmented evaluation", loaders.find_augmented_evaluation, ("several loaders",)),
    DoctorCheck("images left out", loaders.find_lost_images, ("loader",)),
    DoctorCheck("class order", overlap.find_class_order, ("loader",)),
    DoctorCheck("images in two loaders", overlap.find_shared_images, ("several loaders",)),
    DoctorCheck("equal preprocessing", overlap.find_differing_preprocessing, ("several loaders",)),
    DoctorCheck("lr_scale", scheduler.find_ignored_scales, ("optimizer",)),
    DoctorCheck("levelled learning rates", scheduler.find_levelled_groups, ("scheduler",)),
    DoctorCheck("optimizer of the scheduler", scheduler.find_foreign_scheduler, ("optimizer", "scheduler")),
    DoctorCheck("length of the schedule", scheduler.find_schedule_length, ("scheduler", "loader")),
    DoctorCheck("gradient accumulation", accumulation.find_accumulation, ("loader",)),
    DoctorCheck("precision and loss scaling", accumulation.find_loss_scaling, ("model",)),
)


def lacking(check: DoctorCheck, examined: Examined) -> str:
    """Why a check cannot be run; empty if it can."""
    setup = examined.setup
    present: dict[CheckInput, str] = {
        "model": "" if setup.model is not None else "no model was given",
        "optimizer": "" if setup.optimizers else "no optimizer was given",
        "loader": "" if setup.loaders else "no loader was given",
        "several loaders": ""
        if len(setup.loaders) > 1
        else "only one loader was given"
        if setup.loaders
        else "no loader was given",
        "criterion": "" if setup.criterion is not None else "no criterion was given",
        "scheduler": "" if setup.schedulers else "no scheduler was given",
        "forward": _without_forward(examined),
        "pixels": ""
        if examined.entered is not None or examined.transforms
        else "no loader or transform was given that could be read",
    }
    return next((present[need] for need in check.needs if present[need]), "")


def _without_forward(examined: Examined) -> str:
    dry = examined.dry
    if dry.copy_error:
        return dry.copy_error
    if dry.outputs is not None:
        return ""
    if dry.forward_error:
        return "the forward pass fails"
    return "no model was given" if examined.setup.model is None else "no training loader was given that could be read"
