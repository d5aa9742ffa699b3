"""Checks of learning rates by what one step does to the weights."""

from __future__ import annotations

from statistics import median

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding
from headstart.diagnosis.layers import FEWEST_VALUES, weight_is_initial
from headstart.diagnosis.parameters import ParameterFacts

ERASING_UPDATE = 0.02
"""Change of a pretrained tensor by one step, over its norm, from which some fifty steps replace it."""
SHARED_UPDATE = 0.008
"""The same where pretrained and new layers share a learning rate, and lower ones for the former usually pay."""


def find_erasing_steps(examined: Examined) -> list[DoctorFinding]:
    """`learning_rate_erases`: one step changes pretrained weights by more than 2 % of their norm.

    `one_learning_rate`: pretrained and new layers share a learning rate, and a step changes more than 0.8 %.
    """
    trained = [one for one in examined.backbone if one.is_trainable and one.slots and one.name.endswith("weight")]
    updates = {one.name: examined.dry.relative_updates.get(one.name, 0.0) for one in trained}
    matrices = {one.name for one in trained if _is_pretrained_matrix(examined, one)}
    sizes = [value for name, value in updates.items() if name in matrices and value > 0]
    if not sizes or not examined.is_pretrained:
        return []
    typical = median(sizes)
    found = []
    lrs = sorted({_peak(examined, one) for one in trained})
    head = sorted(
        {_peak(examined, one) for one in examined.parameters if one.name.startswith(f"{examined.head}.") and one.slots}
    )
    shared = len(lrs) == 1 and head == lrs
    measured = (
        f"At a learning rate of {lrs[-1]:g} one step on a copy changes a pretrained weight tensor by "
        f"{100 * typical:.1f} % of its norm (median of {len(sizes)})"
    )
    if shared and typical > SHARED_UPDATE and _head_is_new(examined):
        found.append(
            DoctorFinding(
                "one_learning_rate",
                "warning",
                "The pretrained layers have the learning rate of the new head.",
                f"{measured}; all {len(trained)} of them share it with {examined.head}.",
                "Give the backbone a tenth or less: headstart.param_groups(model, head=1e-3, backbone=1e-4).",
            )
        )
    if typical > ERASING_UPDATE:
        found.append(
            DoctorFinding(
                "learning_rate_erases",
                "error",
                "The learning rate erases the pretrained features.",
                f"{measured}: some {max(1, round(1 / typical))} steps move it by its own length.",
                f"Divide the backbone's learning rate by {_factor(typical):g}, with a warm-up.",
            )
        )
    return found


def find_zero_steps(examined: Examined) -> list[DoctorFinding]:
    """`learning_rate_zero`: trainable parameters in a group whose learning rate is 0 all along its schedule."""
    zero = [one for one in examined.parameters if one.is_trainable and one.slots and _peak(examined, one) == 0]
    if not zero:
        return []
    groups = sorted({slot for one in zero for slot in one.slots})
    return [
        DoctorFinding(
            "learning_rate_zero",
            "error",
            "A group of trainable parameters has a learning rate of 0.",
            f"Group {groups[0][1]} with {len(zero)} trainable parameters ({zero[0].name}, ...) stays at 0 in "
            "every step.",
            "Give the group a learning rate, or freeze its parameters.",
        )
    ]


def _head_is_new(examined: Examined) -> bool:
    own = examined.expected.num_classes if examined.expected else None
    return own is None or own != examined.outputs


def _peak(examined: Examined, one: ParameterFacts) -> float:
    return examined.peaks.get(one.slots[0], one.lr or 0.0)


def _is_pretrained_matrix(examined: Examined, one: ParameterFacts) -> bool:
    """Adapters and hidden layers of a new head hold initial values: nothing in them can be erased."""
    assert examined.setup.model is not None
    weight = examined.setup.model.get_parameter(one.name)
    return weight.ndim >= 2 and weight.numel() >= FEWEST_VALUES and not weight_is_initial(weight)


def _factor(typical: float) -> float:
    for factor in (3, 10, 30, 100, 300):
        if typical / factor <= SHARED_UPDATE:
            return factor
    return 1000
