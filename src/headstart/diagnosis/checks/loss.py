"""Checks of the loss: what it expects of the outputs, and whether it is computed at all."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding


def find_wrong_activation(examined: Examined) -> list[DoctorFinding]:
    """`softmax_before_loss`, `sigmoid_before_loss` or `log_softmax_missing`: outputs are not what the loss expects."""
    outputs, criterion = examined.dry.outputs, examined.setup.criterion
    if outputs is None or outputs.ndim != 2:
        return []
    outputs = outputs.detach().float()
    name = type(criterion).__name__ if isinstance(criterion, nn.Module) else getattr(criterion, "__name__", "")
    plain = name.lower().replace("_", "")
    nll, logits_loss, entropy = "nll" in plain, "withlogits" in plain, "crossentropy" in plain
    if nll and not _are_log_probabilities(outputs):
        evidence = (
            f"exp(outputs) of one image sum to {float(outputs[0].exp().sum()):.3g}; {name} expects log-probabilities."
        )
        return [
            _activation(
                "log_softmax_missing",
                "The loss expects log-probabilities and gets logits.",
                evidence,
                "Use CrossEntropyLoss on the logits, or end the network in LogSoftmax(dim=1).",
            )
        ]
    if (
        ((entropy and "binary" not in plain) or criterion is None)
        and outputs.shape[1] > 1
        and _are_probabilities(outputs)
    ):
        whose = name or "CrossEntropyLoss, the usual loss,"
        evidence = (
            f"The {outputs.shape[1]} outputs of every image are >= 0 and sum to 1; {whose} applies softmax itself."
        )
        return [
            _activation(
                "softmax_before_loss",
                "The outputs are probabilities already: softmax is applied twice.",
                evidence,
                "Leave out the softmax in the network; apply it when predicting.",
            )
        ]
    if logits_loss and _are_in_unit_range(outputs):
        low, high = float(outputs.min()), float(outputs.max())
        evidence = f"All {outputs.numel()} outputs lie in {low:.2f}..{high:.2f}; {name} applies the sigmoid itself."
        return [
            _activation(
                "sigmoid_before_loss",
                "The outputs are probabilities already: sigmoid is applied twice.",
                evidence,
                "Leave out the sigmoid in the network; apply it when predicting.",
            )
        ]
    return []


def _activation(kind: str, what: str, evidence: str, remedy: str) -> DoctorFinding:
    return DoctorFinding(kind, "error", what, evidence, remedy)


def _are_probabilities(outputs: Tensor) -> bool:
    sums = outputs.sum(dim=1)
    return bool((outputs >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all())


def _are_log_probabilities(outputs: Tensor) -> bool:
    return bool((outputs.logsumexp(dim=1).abs() < 1e-2).all())


def _are_in_unit_range(outputs: Tensor) -> bool:
    # Logits of both signs are the rule; a zero head gives exact zeros.
    return bool(((outputs > 0) & (outputs < 1)).all()) and outputs.numel() >= 4


def find_single_output(examined: Examined) -> list[DoctorFinding]:
    """`one_output_cross_entropy`: softmax over one output is always 1, so the loss is always 0."""
    criterion = examined.setup.criterion
    name = type(criterion).__name__ if isinstance(criterion, nn.Module) else getattr(criterion, "__name__", "")
    if examined.outputs != 1 or "crossentropy" not in name.lower().replace("_", "") or "binary" in name:
        return []
    return [
        DoctorFinding(
            "one_output_cross_entropy",
            "error",
            "One output and CrossEntropyLoss: the loss is 0 whatever the network gives.",
            f"The network gives 1 output; softmax over one value is 1. {examined.dry.loss_error}".rstrip(),
            "Two outputs with CrossEntropyLoss, or one with BCEWithLogitsLoss and labels of type float.",
        )
    ]


def find_failing_loss(examined: Examined) -> list[DoctorFinding]:
    """`loss_fails`: the criterion raises on outputs and labels; `loss_not_finite`: it gives NaN or infinity."""
    dry = examined.dry
    if dry.loss_error and examined.outputs != 1 and not _labels_wrong(examined):
        labels = "none" if dry.labels is None else f"{tuple(dry.labels.shape)} of {dry.labels.dtype}"
        return [
            DoctorFinding(
                "loss_fails",
                "error",
                "The loss fails on outputs and labels.",
                f"Outputs {tuple(dry.outputs.shape) if dry.outputs is not None else None}, labels {labels}: "
                f"{dry.loss_error}.",
                "CrossEntropyLoss takes whole numbers (B,) in 0..K-1, BCEWithLogitsLoss floats of the outputs' "
                "shape; class "
                "weights have one value per output.",
            )
        ]
    if dry.loss is not None and not np.isfinite(dry.loss):
        return [
            DoctorFinding(
                "loss_not_finite",
                "error",
                "The loss is not finite in the first step.",
                f"The loss of the first batch is {dry.loss}.",
                "Look for NaN in images and weights, a logarithm of 0, or half precision without autocast.",
            )
        ]
    return []


def _labels_wrong(examined: Examined) -> bool:
    labels, outputs = examined.dry.labels, examined.outputs
    if labels is None or outputs is None or labels.dtype.is_floating_point:
        return False
    return bool(((labels < 0) | (labels >= outputs)).any())


def find_summed_loss(examined: Examined) -> list[DoctorFinding]:
    """`loss_is_summed`: gradients grow with the batch, and learning rates are meant for a mean."""
    criterion = examined.setup.criterion
    if getattr(criterion, "reduction", None) != "sum":
        return []
    size = examined.train.batch_size if examined.train is not None else None
    return [
        DoctorFinding(
            "loss_is_summed",
            "warning",
            "The loss is summed over the batch, not averaged.",
            f"{type(criterion).__name__}(reduction='sum')"
            + (f" makes gradients {size} times as large as those of the mean." if size else "."),
            "reduction='mean', so that learning rates do not depend on the batch size.",
        )
    ]


def find_class_weights(examined: Examined) -> list[DoctorFinding]:
    """`class_weights_inverted`: large classes have the large weights."""
    weight = getattr(examined.setup.criterion, "weight", None)
    facts = examined.train
    labels = None if facts is None else facts.dataset.labels
    if not isinstance(weight, Tensor) or weight.ndim != 1 or labels is None or not len(labels):
        return []
    counts = torch.bincount(torch.from_numpy(labels[labels >= 0]), minlength=len(weight)).float()
    if len(counts) != len(weight) or float(counts.max()) < 1.5 * max(float(counts.min()), 1):
        return []
    large, small = int(counts.argmax()), int(counts.argmin())
    if float(weight[large]) <= 1.05 * float(weight[small]):
        return []
    return [
        DoctorFinding(
            "class_weights_inverted",
            "warning",
            "Class weights favour the largest class.",
            f"Class {large} has {int(counts[large]):,} images and weight {float(weight[large]):.3g}, class {small} has "
            f"{int(counts[small]):,} and {float(weight[small]):.3g}.",
            "Weights go with the inverse of the counts: weight = counts.sum() / (len(counts) * counts).",
        )
    ]
