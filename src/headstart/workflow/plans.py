"""What a user asks for -> Plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from headstart.data.sources.reading import is_digits
from headstart.errors import ModelError, PlanError, nearest
from headstart.knowledge.domains import DOMAINS, FLIP_WARNING
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import AugmentationPlan, DataPlan, Grain, NoncommercialWeights, Plan, Requirement, TrainPhase
from headstart.plan.presets import (
    DEFAULT_STRATEGY,
    HeadKind,
    HeadSolver,
    OptimizerName,
    PeakLr,
    Request,
    Resize,
    strategy_named,
)

AUTO = "auto"
"""Strategy of who takes the advice: `workflow.advising` settles it, because that needs the images."""

_CANNOT_YET: dict[Requirement, str] = {
    "channel_adaptation": "make images of three channels (or one) from the bands first; in a plan file, take it out of "
    "`requires` then",
    "self_supervised_pretraining": "to start from the ImageNet weights all the same, name a --strategy, or take it out "
    "of `requires` in a plan file",
}
"""Step that a plan may require and `train` cannot do -> the way out."""


@dataclass(frozen=True)
class TrainOptions:
    """What a user can say to `train` beside DATA; None means: decide for me."""

    data: DataPlan
    strategy: str = DEFAULT_STRATEGY
    model: str | None = None
    domain: str | None = None
    input_size: int | None = None
    resize: Resize | None = None
    """crop, squash or letterbox: how an image becomes a square."""
    epochs: int | None = None
    unfreeze: int | None = None
    """Backbone groups that learn, counted from the last."""
    lr_rule: str | None = None
    """Name of a preset in `knowledge.transfer.LR_RULES`."""
    peak_lr: PeakLr = "planned"
    """find: range tests multiply the planned rates of head and backbone when a phase begins (`--find-lr`)."""
    grain: Grain | None = None
    noncommercial_weights: NoncommercialWeights = "refuse"
    augmentation: str | None = None
    head: HeadKind = "linear"
    head_solver: HeadSolver = "logistic"
    batch_size: int | None = None
    lr: float | None = None
    """Peak learning rate of the head in the first phase that trains; the others keep their ratio to it."""
    optimizer: OptimizerName | None = None
    weight_decay: float | None = None
    class_weight: Literal["balanced"] | Mapping[str, float] | None = None
    """Of images in the loss: balanced, or a weight by class name."""
    seed: int = 0
    budget_seconds: float | None = None


def make_plan(options: TrainOptions, *, training_images: int | None = None, fit_images: int | None = None) -> Plan:
    """The plan of a strategy for these options, with the domain's values and reasons.

    Args:
        options: What the user said.
        training_images: How many there are, once they are counted.
        fit_images: How many of them an epoch passes through.

    Raises:
        PlanError: an option is wrong.
        ModelError: no such model.
    """
    if options.strategy == AUTO:
        way = "headstart.advise(DATA).plan is the plan, and headstart.train takes auto as it is"
        raise PlanError([f"strategy: {AUTO!r} is settled by looking at the images; {way}"], source="the options")
    preset = strategy_named(options.strategy)
    domain_name = options.domain or ("document" if is_digits(options.data.source) else "photo")
    if domain_name not in DOMAINS:
        hint = nearest(domain_name, DOMAINS)
        raise PlanError(
            [f"domain: {domain_name!r} must be one of {', '.join(DOMAINS)}" + (f"; {hint}" if hint else "")]
        )
    domain = DOMAINS[domain_name]
    is_given = options.domain is not None or domain_name == "document"
    mirrored = f"{domain.flip}, as for photos, because no domain was given: {FLIP_WARNING}"
    reasons = [("augmentation.flip", domain.flip_reason if is_given else mirrored)]
    if options.domain is None:
        reasons.append(("domain", "digits are writing" if domain_name == "document" else "the default; see --domain"))
    if options.augmentation is None:
        why = domain.augmentation_reason if is_given else "the values of photos, because no domain was given"
        reasons.append(("augmentation.preset", why))
    if options.model is not None:
        find_model(options.model)
    preset_name = augmentation_named(options.augmentation or domain.augmentation)
    return preset(
        Request(
            data=options.data,
            model=options.model,
            domain=domain.name,
            augmentation=AugmentationPlan.model_validate({"preset": preset_name, "flip": domain.flip}),
            input_size=options.input_size,
            resize=options.resize,
            epochs=options.epochs,
            unfreeze=options.unfreeze,
            lr_rule=options.lr_rule,
            peak_lr=options.peak_lr,
            grain=options.grain,
            noncommercial_weights=options.noncommercial_weights,
            training_images=training_images,
            fit_images=fit_images,
            seed=options.seed,
            batch_size=options.batch_size,
            lr=options.lr,
            optimizer=options.optimizer,
            weight_decay=options.weight_decay,
            class_weight=options.class_weight,
            budget_seconds=None if options.budget_seconds == math.inf else options.budget_seconds,
            head=options.head,
            head_solver=options.head_solver,
            reasons=tuple(reasons),
        )
    )


def augmentation_named(name: str) -> str:
    """The same name, if there is such a preset.

    Raises:
        PlanError: there is none.
    """
    known = get_args(AugmentationPlan.model_fields["preset"].annotation)
    if name not in known:
        hint = nearest(name, known)
        text = f"augmentation: {name!r} must be one of {', '.join(known)}" + (f"; {hint}" if hint else "")
        raise PlanError([text], source="the options")
    return name


_OF_TRAINING = ("epochs", "batch_size", "augmentation", "lr", "optimizer", "weight_decay")


def options_without_effect(options: TrainOptions, plan: Plan) -> list[str]:
    """Names, as on the command line, of options that the user set and that this plan cannot use."""
    if any(isinstance(phase, TrainPhase) for phase in plan.phases):
        return []
    found = [name for name in _OF_TRAINING if getattr(options, name) is not None]
    return found + ["find_lr"] * (options.peak_lr == "find")


def refuse_missing_steps(plan: Plan) -> None:
    """A plan that counts on a step nobody can take yet is not trained without it.

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


def refuse_by_licence(plan: Plan, choice: ModelChoice) -> None:
    """Weights that must not be used commercially need the user's word for it.

    Raises:
        ModelError: the licence forbids commercial use, and the plan does not allow such weights.
    """
    model, card = plan.model, choice.card
    read = model.weights == "pretrained" and choice.file is None
    if read and model.noncommercial_weights == "refuse" and card.commercial_use == "forbidden":
        raise ModelError(
            f"the licence of {choice.name} ({card.licence}) forbids commercial use",
            remedy="--allow-noncommercial (in a plan model.noncommercial_weights: allow) uses them all the same; "
            "headstart models --commercial lists others",
        )
