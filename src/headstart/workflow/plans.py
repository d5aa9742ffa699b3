"""Plan of a request, and refusals before it is trained."""

from __future__ import annotations

from dataclasses import replace

from headstart.data.sources.reading import is_digits
from headstart.errors import ModelError, PlanError
from headstart.knowledge.domains import DOMAINS, FLIP_WARNING
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import ModelPlan, Plan, Requirement, TrainPhase
from headstart.plan.presets import strategy_named
from headstart.plan.request import Request

AUTO = "auto"
"""Strategy that takes the advice; `workflow.advising` resolves it, because that needs the images."""

_CANNOT_YET: dict[Requirement, str] = {
    "channel_adaptation": "make images of three channels (or one) from the bands first; in a plan file, take it out of "
    "`requires` then",
    "self_supervised_pretraining": "to start from the ImageNet weights all the same, name a --strategy, or take it out "
    "of `requires` in a plan file",
}
"""Step that a plan may require and `train` cannot do -> the way out."""


def make_plan(request: Request) -> Plan:
    """The plan of a strategy for a request, with the domain's values and reasons.

    Its epochs are those of an unknown number of images; `plan.image_counts.counted` completes them.

    Args:
        request: The options.

    Raises:
        PlanError: an option is wrong.
        ModelError: no such model.
    """
    if request.strategy == AUTO:
        way = "headstart.advise(DATA).plan is the plan, and headstart.train takes auto as it is"
        raise PlanError([f"strategy: {AUTO!r} is resolved by looking at the images; {way}"], source="the options")
    preset = strategy_named(request.strategy)
    name = request.domain or ("document" if is_digits(request.data.source) else "photo")
    domain = DOMAINS[name]
    is_given = request.domain is not None or name == "document"
    mirrored = f"{domain.flip}, as for photos, because no domain was given: {FLIP_WARNING}"
    reasons = [("augmentation.flip", domain.flip_reason if is_given else mirrored)]
    if request.domain is None:
        reasons.append(("domain", "digits are writing" if name == "document" else "the default; see --domain"))
    if request.augmentation is None:
        why = domain.augmentation_reason if is_given else "the values of photos, because no domain was given"
        reasons.append(("augmentation.preset", why))
    if request.model is not None:
        find_model(request.model)
    return preset(replace(request, domain=domain.name, reasons=tuple(reasons)))


_OF_TRAINING = ("epochs", "batch_size", "augmentation", "lr", "head_lr", "optimizer", "weight_decay", "patience")


def options_without_effect(request: Request, plan: Plan) -> list[str]:
    """Names, as on the command line, of options that the user set and that this plan cannot use."""
    if any(isinstance(phase, TrainPhase) for phase in plan.phases):
        return []
    found = [name for name in _OF_TRAINING if getattr(request, name) is not None]
    return found + ["find_lr"] * (request.peak_lr == "find")


def refuse_missing_steps(plan: Plan) -> None:
    """Refuse a plan that requires a step which `train` cannot do.

    Raises:
        PlanError: with every such step and the way out.
    """
    faults = [
        f"requires: {step} is not there yet ({plan.reasons.get('requires', 'the plan counts on it')}); "
        f"{_CANNOT_YET[step]}"
        for step in plan.requires
        if step in _CANNOT_YET
    ]
    if faults:
        raise PlanError(faults)


def refuse_by_licence(model: ModelPlan, choice: ModelChoice) -> None:
    """Refuse weights whose licence forbids commercial use, unless the user allows them.

    Args:
        model: Of the plan.
        choice: The network it names.

    Raises:
        ModelError: the licence forbids commercial use, and the plan does not allow such weights.
    """
    card = choice.card
    read = model.weights == "pretrained" and choice.file is None
    if read and model.noncommercial_weights == "refuse" and card.commercial_use == "forbidden":
        raise ModelError(
            f"the licence of {choice.name} ({card.licence}) forbids commercial use",
            remedy="--allow-noncommercial (in a plan model.noncommercial_weights: allow) uses them all the same; "
            "headstart models --commercial lists others",
        )
