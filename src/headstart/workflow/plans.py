"""Plan of a request, and refusals before it is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from headstart.data.sources.reading import is_digits, open_source
from headstart.errors import ModelError, PlanError
from headstart.inspection.domain_look import domain_of, look_at_images
from headstart.knowledge.domain import Domain
from headstart.knowledge.domains import DOMAINS, FLIP_WARNING, DomainValues
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import ModelPlan, Plan, Requirement, TrainPhase
from headstart.plan.presets import strategy_named
from headstart.plan.request import Request, given_domain

AUTO = "auto"
"""Strategy that takes the advice; `workflow.advising` resolves it, because that needs the images."""


@dataclass(frozen=True, slots=True)
class FoundDomain:
    """Domain and resolution, found by looking at the images."""

    name: Domain | None = None
    """None: unknown."""
    evidence: str = ""
    resolution: int | None = None
    """Median of the shorter sides in pixels."""
    images: int = 0
    """Number that training and validation are drawn from, about; 0: not known."""


_NOT_BY_TRAIN: dict[Requirement, str] = {
    "self_supervised_pretraining": "run headstart pretrain UNLABELLED --init MODEL first, and train with the --model "
    "that it prints and a --strategy; to start from the ImageNet weights all the same, name a --strategy, or take it "
    "out of `requires` in a plan file",
}
"""Step that a plan may require and `train` does not do -> how to do it, or without it."""


def domain_found(request: Request) -> FoundDomain | None:
    """Domain and resolution from some of the images; None where nothing depends on them.

    Raises:
        DataError: there are no images to look at.
    """
    given = given_domain(request)
    if given is not None and DOMAINS[given].largest_input is None:
        return None
    dataset = open_source(request.data.source, links=request.data.links)
    records = dataset.of("train") or dataset.records
    seen = look_at_images(records, decoding=request.data.decoding)
    if given is not None:
        return FoundDomain(resolution=seen.resolution, images=len(records))
    names = sorted({record.label for record in records})
    guess = domain_of(seen, names=names, source=request.data.source)
    if guess.domain == "unknown":
        return FoundDomain(None, guess.evidence, seen.resolution, len(records))
    return FoundDomain(guess.domain, guess.sentence, seen.resolution, len(records))


def make_plan(request: Request, found: FoundDomain | None = None) -> Plan:
    """The plan of a strategy for a request, with the domain's values and reasons.

    Its epochs are those of an unknown number of images; `plan.image_counts.counted` completes them.

    Args:
        request: The options.
        found: Found by looking at the images; None: they were not looked at, and a domain that was not given is
            unknown.

    Raises:
        PlanError: an option is wrong.
        ModelError: no such model.
    """
    if request.strategy == AUTO:
        way = "headstart.advise(DATA).plan is the plan, and headstart.train takes auto as it is"
        raise PlanError([f"strategy: {AUTO!r} is resolved by looking at the images; {way}"], source="the options")
    preset = strategy_named(request.strategy)
    if request.model is not None:
        find_model(request.model)
    found = found or FoundDomain(evidence="the images were not looked at")
    if (given := given_domain(request)) is not None:
        found = replace(found, name=given)
    elif is_digits(request.data.source):
        found = replace(found, name="document", evidence="digits are writing")
    domain = DOMAINS[found.name or "photo"]
    reasons = list(_domain_reasons(request, found, domain))
    plan = preset(replace(request, domain=domain.name, reasons=tuple(reasons)))
    return _with_view_of(domain, plan, request, found.resolution)


def _domain_reasons(request: Request, found: FoundDomain, domain: DomainValues) -> Iterator[tuple[str, str]]:
    """Reasons of the domain and of the augmentation that follows from it."""
    unknown = "the domain is unknown"
    if given_domain(request) is None:
        yield "domain", found.evidence if found.name else f"{unknown}: {found.evidence}; it gets the values of photo"
    mirrored = f"{domain.flip}, as for photos, because {unknown}: {FLIP_WARNING}"
    yield "augmentation.flip", domain.flip_reason if found.name else mirrored
    if request.augmentation is None:
        yield (
            "augmentation.preset",
            domain.augmentation_reason if found.name else f"the values of photos, because {unknown}",
        )


def _with_view_of(domain: DomainValues, plan: Plan, request: Request, resolution: int | None) -> Plan:
    """The plan with the domain's contrast, input size and resize where none was given, and the reasons."""
    data, view, reasons = plan.data, plan.input, dict(plan.reasons)
    if request.data.contrast is None and domain.contrast != "file":
        data = data.model_copy(update={"contrast": domain.contrast})
        reasons["data.contrast"] = domain.contrast_reason
    card = find_model(plan.model.name).card
    size = domain.larger_input(resolution)
    if request.input_size is None and size is not None and size > card.input.size and card.sizes != "fixed":
        view = view.model_copy(update={"size": size})
        reasons["input.size"] = f"{size} px, larger than the weights' own {card.input.size}: {domain.input_reason}"
    if request.channels is None and domain.channels != "auto":
        view = view.model_copy(update={"channels": domain.channels})
        reasons["input.channels"] = domain.channels_reason
    if request.resize is None and domain.resize is not None:
        view = view.model_copy(update={"resize": domain.resize})
        reasons["input.resize"] = domain.resize_reason
    return plan.model_copy(update={"data": data, "input": view, "reasons": reasons})


_OF_TRAINING = ("epochs", "batch_size", "augmentation", "lr", "head_lr", "optimizer", "weight_decay", "patience")


def options_without_effect(request: Request, plan: Plan) -> list[str]:
    """Names, as on the command line, of options that the user set and that this plan cannot use."""
    if any(isinstance(phase, TrainPhase) for phase in plan.phases):
        return []
    found = [name for name in _OF_TRAINING if getattr(request, name) is not None]
    found += ["find_lr"] * (request.peak_lr == "find")
    return found + ["rescue"] * (request.after_alarm == "rescue")


def refuse_missing_steps(plan: Plan) -> None:
    """Refuse a plan that requires a step which `train` cannot do.

    Raises:
        PlanError: with every such step and the way out.
    """
    faults = [
        f"requires: {step} is not there yet ({plan.reasons.get('requires', 'the plan counts on it')}); "
        f"{_NOT_BY_TRAIN[step]}"
        for step in missing_steps(plan.requires)
    ]
    if faults:
        raise PlanError(faults)


def missing_steps(required: Sequence[Requirement]) -> tuple[Requirement, ...]:
    """Those steps of a plan that `train` cannot do; bands are brought to the network by training itself."""
    return tuple(step for step in required if step in _NOT_BY_TRAIN)


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
