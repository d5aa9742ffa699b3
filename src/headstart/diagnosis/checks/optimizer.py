"""Checks of what the optimizer holds."""

from __future__ import annotations

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding
from headstart.diagnosis.parameters import ParameterFacts, names_text


def find_missed_parameters(examined: Examined) -> list[DoctorFinding]:
    """`optimizer_misses_trainable`: parameters require a gradient, and no optimizer holds them."""
    missed = [one for one in examined.parameters if one.is_trainable and not one.slots]
    if not missed:
        return []
    gone = any(one.slots for one in examined.parameters)
    what = "Trainable parameters are in no optimizer: they will not be trained."
    return [
        DoctorFinding(
            "optimizer_misses_trainable",
            "error",
            what if gone else "The optimizer holds no parameter of this network.",
            f"{names_text(missed)} require a gradient and are in no group.",
            "Build the optimizer after the last change of the network, from the parameters with requires_grad; "
            "layers that are to stay as they are: requires_grad_(False).",
        )
    ]


def find_held_frozen(examined: Examined) -> list[DoctorFinding]:
    """`optimizer_holds_frozen`: frozen parameters in the optimizer; `frozen_parameter_moves`: it changes them."""
    frozen = [one for one in examined.parameters if not one.is_trainable and one.slots]
    if not frozen:
        return []
    moved = set(examined.dry.moved_frozen)
    if moved:
        moving = [one for one in frozen if one.name in moved]
        return [
            DoctorFinding(
                "frozen_parameter_moves",
                "error",
                "The optimizer goes on changing frozen parameters.",
                f"In one step on a copy {names_text(moving)} changed: a gradient from before the freezing is left "
                "over.",
                "Build the optimizer anew from the trainable parameters, and set the others' .grad to None.",
            )
        ]
    return [
        DoctorFinding(
            "optimizer_holds_frozen",
            "warning",
            "The optimizer holds frozen parameters.",
            f"{names_text(frozen)} get no gradient; they do not move today, and would at this group's learning rate "
            "as soon as they are unfrozen.",
            "Pass only trainable ones: [p for p in model.parameters() if p.requires_grad], or "
            "headstart.param_groups(model).",
        )
    ]


def find_doubled_parameters(examined: Examined) -> list[DoctorFinding]:
    """`parameter_in_two_groups`: an optimizer step, or two optimizers, change a parameter twice."""
    doubled = [one for one in examined.parameters if len(one.slots) > 1]
    if not doubled:
        return []
    places = ", ".join(
        f"group {group}" + (f" of optimizer {number}" if number else "") for number, group in doubled[0].slots
    )
    return [
        DoctorFinding(
            "parameter_in_two_groups",
            "error",
            "Parameters are in more than one place of the optimizer: each step changes them twice.",
            f"{names_text(doubled)}; {doubled[0].name} is in {places}.",
            "Give every parameter to one group; headstart.param_groups(model) divides a network without overlap.",
        )
    ]


def find_foreign_parameters(examined: Examined) -> list[DoctorFinding]:
    """`optimizer_of_other_parameters`: the optimizer holds tensors that are not in the network."""
    if not examined.foreign:
        return []
    own = sum(bool(one.slots) for one in examined.parameters)
    return [
        DoctorFinding(
            "optimizer_of_other_parameters",
            "error",
            "The optimizer holds tensors that are not parameters of this network.",
            f"{examined.foreign:,} of its tensors are elsewhere, {own:,} are the network's: it was built before a "
            "layer "
            "was replaced, for a copy, or for another network.",
            "Build the optimizer after the head is replaced and the network is on its device.",
        )
    ]


def find_nothing_trainable(examined: Examined) -> list[DoctorFinding]:
    """`nothing_trainable`: every parameter is frozen."""
    if any(one.is_trainable for one in examined.parameters) or not examined.parameters:
        return []
    return [
        DoctorFinding(
            "nothing_trainable",
            "error",
            "Nothing is trainable: every parameter is frozen.",
            f"{names_text(list(examined.parameters))} have requires_grad=False.",
            "Replace the head after freezing (a new layer is trainable), or unfreeze it with requires_grad_(True).",
        )
    ]


def find_missing_gradients(examined: Examined) -> list[DoctorFinding]:
    """`no_gradient`: trainable parameters that the loss does not reach."""
    dry = examined.dry
    if dry.outputs is None or dry.forward_error:
        return []
    trainable = [one for one in examined.parameters if one.is_trainable]
    if not trainable:
        return []
    if not dry.backward_done and not dry.loss_error:
        return [_cut(trainable, "the loss has no graph: the forward pass runs under no_grad or detaches its output")]
    missing = [one for one in trainable if one.name not in dry.gradients] if dry.backward_done else []
    if not missing:
        return []
    return [_cut(missing, "forward does not use them, or detaches what they give")]


def _cut(parameters: list[ParameterFacts], why: str) -> DoctorFinding:
    return DoctorFinding(
        "no_gradient",
        "error",
        "Trainable parameters get no gradient.",
        f"In one backward pass on a copy {names_text(parameters)} got none: {why}.",
        "If they are not to be trained, freeze them; if a layer was replaced, assign it under the name that "
        "forward uses.",
    )


def find_freezing_without_effect(examined: Examined) -> list[DoctorFinding]:
    """`freeze_without_effect`: an attribute was set that torch does not read."""
    model = examined.setup.model
    if model is None:
        return []
    found = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            trains = any(one.requires_grad for one in module.parameters())
            if value is False and trains and _is_like_requires_grad(name):
                found.append(f"{path or 'the network'}.{name} = False")
    for path, one in model.named_parameters():
        extra = getattr(one, "__dict__", {})
        found += [f"{path}.{name} = False" for name in extra if one.requires_grad and _is_like_requires_grad(name)]
    if not found:
        return []
    more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
    return [
        DoctorFinding(
            "freeze_without_effect",
            "error",
            "An attribute was set that freezes nothing.",
            f"{', '.join(found[:3])}{more}, and the parameters still require a gradient.",
            "Freeze with module.requires_grad_(False), or parameter.requires_grad = False for each parameter.",
        )
    ]


def _is_like_requires_grad(name: str) -> bool:
    return name.lower().replace("_", "") in {
        "requiresgrad",
        "requiregrad",
        "requiresgradient",
        "requiredgrad",
        "trainable",
    }
