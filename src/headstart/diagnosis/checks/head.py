"""Checks of the classifier: its number of outputs, and whether it was replaced at all."""

from __future__ import annotations

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding
from headstart.diagnosis.layers import weight_is_initial
from headstart.findings import Level


def find_head_size(examined: Examined) -> list[DoctorFinding]:
    """`head_not_replaced`: the outputs are those of the weights' own classes; `head_size`: another wrong number."""
    outputs, classes = examined.outputs, examined.class_count
    if outputs is None or classes is None or outputs == classes or (outputs == 1 and classes == 2):
        return []
    expected = examined.expected
    own = expected.num_classes if expected else None
    evidence = f"the network gives {outputs:,} outputs, the images have {classes:,} classes; the last layer is "
    evidence += examined.head or "unknown"
    if outputs == own or (outputs in (1000, 21843, 21841) and own is None):
        return [
            DoctorFinding(
                "head_not_replaced",
                "error",
                "The classifier of the pretrained network was not replaced.",
                f"{evidence}, of the weights' own {outputs:,} classes.",
                _replace(examined, classes),
            )
        ]
    level: Level = "error" if outputs < classes else "warning"
    return [
        DoctorFinding(
            "head_size",
            level,
            "The number of outputs is not the number of classes.",
            f"{evidence}.",
            _replace(examined, classes),
        )
    ]


def _replace(examined: Examined, classes: int) -> str:
    path = examined.head
    attribute = f"model.{path}" if path and all(part.isidentifier() for part in path.split(".")) else "the last layer"
    return f"Replace the last layer before the optimizer is built: {attribute} = torch.nn.Linear(features, {classes})."


def find_frozen_head(examined: Examined) -> list[DoctorFinding]:
    """`head_frozen`: the classifier is frozen while it still holds initial values."""
    model, head = examined.setup.model, examined.head
    if model is None or not head or not examined.setup.optimizers:
        return []
    own = [one for one in examined.parameters if one.name.startswith(f"{head}.")]
    if not own or any(one.is_trainable for one in own):
        return []
    expected = examined.expected
    if expected is not None and expected.num_classes == examined.outputs:
        return []  # the weights' own head: frozen on purpose
    if not any(one.is_trainable for one in examined.parameters):
        return []  # a finding of its own
    weight = dict(model.named_modules())[head].weight
    if not (weight_is_initial(weight) or bool((weight == 0).all())):
        return []
    return [
        DoctorFinding(
            "head_frozen",
            "error",
            "The new classifier is frozen: it stays random.",
            f"No parameter of {head} requires a gradient, and its weights have the distribution of a new layer.",
            f"Freeze before the head is replaced, or unfreeze it: model.{head}.requires_grad_(True).",
        )
    ]
