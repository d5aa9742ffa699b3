"""The advisor: from a situation to strategy, network, plan, reasons and costs; pure, so that all interfaces agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from headstart.advice.choices import NextStep, Reason, augmentation, batch_norm_policy, input_size, steps
from headstart.advice.network import network_for
from headstart.advice.result import Advice, AdviceCosts
from headstart.advice.rules import UNFREEZING, Decision, decide
from headstart.advice.situation import Situation
from headstart.amounts import duration_text
from headstart.engine.costs.memory import Measurements
from headstart.engine.costs.network import NetworkFacts, facts_of_card
from headstart.engine.costs.training_cost import (
    TrainingCost,
    TrainingMachine,
    machine_for,
    pretraining_seconds,
    training_cost_of,
)
from headstart.knowledge.choosing import SCRATCH_IMAGES
from headstart.knowledge.citations import source_of
from headstart.knowledge.domain import RULE_OF_THUMB, AugmentationName
from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.transfer import HEAD_LEARNING_RATE
from headstart.networks.cards.catalog import ModelCard
from headstart.networks.cards.finding import find_model
from headstart.plan.image_counts import PlanCounts, counted
from headstart.plan.plan import DataPlan, Plan, ProbePhase, Requirement, TrainPhase
from headstart.plan.presets import STRATEGIES
from headstart.plan.reasons import ANY_SOURCE
from headstart.plan.request import Request

ANY_DATA = DataPlan(source=ANY_SOURCE)
"""Source in the plan where none was given; `train DATA --plan` replaces it."""

ALWAYS_DECIDED = frozenset({"model.name", "input.size"})
"""Paths whose reason is given here unless the user decided them; the preset's would be that of its default."""


def advice_for(
    situation: Situation,
    request: Request = Request(ANY_DATA),  # noqa: B008 - immutable
    *,
    known: Measurements | None = None,
    known_reasons: Sequence[Reason] = (),
    warnings: Sequence[str] = (),
) -> Advice:
    """The advice for a situation: everything that the request leaves open is decided.

    Args:
        situation: Facts of the task.
        request: Given options; those that it leaves open (model, input size, ...) are decided here. Domain, number
            of images and budget are those of the situation.
        known: Measurements of earlier runs on the machine that will train, if any.
        known_reasons: Reasons that the caller knows, such as how the domain was found.
        warnings: Sentences that the caller knows.

    Raises:
        PlanError: values contradict each other, or the advised strategy has no use for an option.
        ModelError: no such model.
    """
    augment = request.augmentation
    resolved = _with_situation(request, situation, augment)
    starts = {name: _start(name, situation, resolved, known or Measurements()) for name in UNFREEZING}
    costs = {name: _cost(name, situation, start, images=situation.images) for name, start in starts.items()}
    decision = decide(situation, {name: cost.seconds for name, cost in costs.items()})
    start = starts[decision.strategy]
    scratch = _cost("scratch", situation, starts["scratch"], images=max(SCRATCH_IMAGES, situation.images))
    overview = AdviceCosts(start.machine, costs, scratch)
    ahead, requires = steps(
        situation,
        pretraining_seconds=pretraining_seconds(situation.unlabelled, start.network, start.machine),
        training_seconds=costs[decision.strategy].seconds,
    )
    reasons = [Reason("strategy", decision.reason, decision.source), *known_reasons, *start.reasons]
    plan, all_reasons = _plan(situation, start.request, decision, reasons, requires, ahead, augment)
    said = (*warnings, *_warnings(situation, decision, costs))
    return Advice(situation, decision.strategy, plan, all_reasons, decision.rejected, overview, ahead, said)


@dataclass(frozen=True)
class _Start:
    """The network and the input size that suit one strategy."""

    request: Request
    """With network and size."""
    reasons: tuple[Reason, ...]
    network: NetworkFacts
    machine: TrainingMachine


def _start(strategy: str, situation: Situation, request: Request, known: Measurements) -> _Start:
    reasons = []
    if request.model is None:
        rule = network_for(situation, strategy)
        request = replace(request, model=rule.name)
        reasons.append(Reason("model.name", rule.reason, rule.source))
    assert request.model is not None
    card = find_model(request.model).card
    if request.input_size is None:
        size, why = input_size(situation, strategy, card)
        request = replace(request, input_size=size)
        reasons.append(why)
    network = _facts(card, request.input_size or card.input.size)
    machine = machine_for(situation.hardware, network, known, resolution=situation.resolution)
    return _Start(request, tuple(reasons), network, machine)


def _cost(strategy: str, situation: Situation, start: _Start, *, images: int) -> TrainingCost:
    """The cost of a strategy, from the options that all of them accept: others may be refused by some."""
    given = start.request
    request = Request(
        given.data,
        model=given.model,
        input_size=given.input_size,
        epochs=None if strategy == "feature_extraction" else given.epochs,
        augmentation=given.augmentation,
        batch_size=given.batch_size,
    )
    plan = counted(STRATEGIES[strategy](request), request, _counts(situation, start.request, images=images))
    return training_cost_of(
        plan.phases,
        images,
        classes=situation.classes,
        network=start.network,
        machine=start.machine,
        augmentation=plan.augmentation,
        batch_size=plan.batch_size,
    )


def _counts(situation: Situation, request: Request, *, images: int) -> PlanCounts:
    """What a plan depends on."""
    assert request.model is not None
    card = find_model(request.model).card
    return PlanCounts(images, shorter_side=situation.resolution, weights_size=card.input.size, weights_sizes=card.sizes)


def _facts(card: ModelCard, size: int) -> NetworkFacts:
    return facts_of_card(card, size=size, groups=card.groups or ("backbone", "head"))


def _with_situation(request: Request, situation: Situation, augment: AugmentationName | None) -> Request:
    """The request with domain, number of images and budget of the situation."""
    budget = situation.budget_seconds
    views, _ = augmentation(situation, "full")
    return replace(
        request,
        domain=situation.domain,
        augmentation=augment or views.preset,
        budget_seconds=None if budget is None or math.isinf(budget) else budget,
    )


def _plan(
    situation: Situation,
    request: Request,
    decision: Decision,
    reasons: Sequence[Reason],
    requires: tuple[Requirement, ...],
    ahead: Sequence[NextStep],
    augment: AugmentationName | None,
) -> tuple[Plan, tuple[Reason, ...]]:
    """The preset's plan with the advisor's decisions, and all reasons: those of the advisor, then the preset's."""
    views, why_views = augmentation(situation, decision.strategy)
    reasons = [*reasons, *(why for why in why_views if augment is None or why.path != "augmentation.preset")]
    if augment is None:
        request = replace(request, augmentation=views.preset)
    counts = _counts(situation, request, images=situation.images)
    plan = counted(STRATEGIES[decision.strategy](request), request, counts)
    phases, norm = list(plan.phases), batch_norm_policy(situation, decision.strategy)
    for index, phase in enumerate(phases):
        if norm is not None and isinstance(phase, TrainPhase):
            phases[index] = phase.model_copy(update={"batch_norm": norm[0]})
            reasons = [*reasons, Reason(f"phases[{index}].batch_norm", norm[1], norm[2])]
    reasons = [*reasons, *_more(situation, request, requires, ahead)]
    mine = {reason.path for reason in reasons}
    preset = [
        Reason(path, text, source_of(path, strategy=plan.strategy, lr_rule=request.lr_rule))
        for path, text in plan.reasons.items()
        if path not in mine | ALWAYS_DECIDED
    ]
    known = mine | {reason.path for reason in preset}
    everything = (*reasons, *preset, *(why for why in _of_phases(phases) if why.path not in known))
    sentences = {reason.path: reason.sentence for reason in everything}
    changed = {"phases": tuple(phases), "requires": requires, "reasons": sentences}
    return plan.model_copy(update=changed), everything


def _of_phases(phases: Sequence[ProbePhase | TrainPhase]) -> list[Reason]:
    """Reasons for learning rates and schedules of trained phases that no preset explains."""
    found = []
    for index, phase in enumerate(phases):
        if isinstance(phase, TrainPhase):
            why, source = (
                f"{phase.head_lr:g}: Adam's default, the usual learning rate of a new head",
                "Kingma & Ba 2015",
            )
            if phase.head_lr < HEAD_LEARNING_RATE:
                source = RULE_OF_THUMB
                why = f"{phase.head_lr:g}, a tenth of the phase before: trained layers need smaller steps"
            found.append(Reason(f"phases[{index}].head_lr", why, source))
            shape = f"{phase.schedule.name}: large steps first, small ones at the end"
            found.append(Reason(f"phases[{index}].schedule", shape, "Loshchilov & Hutter 2017"))
    return found


def _more(
    situation: Situation, request: Request, requires: Sequence[Requirement], ahead: Sequence[NextStep]
) -> list[Reason]:
    """Reasons for channels, head and required steps."""
    found = []
    if situation.channels == 1:
        text = "one grey channel becomes three equal ones, in the weights' own mean and standard deviation"
        found.append(Reason("input", text, "headstart.data.decoders.raster"))
    if request.head in (None, "linear") and request.head_solver == "logistic":
        text = "a linear probe, whose cross-validated L2 penalty regularises it"
        if DOMAINS[situation.domain].dropout is not None:
            text += (
                f"; a head that is trained instead needs dropout of {DOMAINS[situation.domain].dropout:g} and more "
                "(--strategy feature_extraction --head mlp)"
            )
        found.append(Reason("head.kind", text, "Kornblith et al. 2019; Kumar et al. 2022"))
    if needed := [step for step in ahead if step.name in requires]:
        text = "; ".join(f"{step.name}: {step.text}" for step in needed)
        found.append(Reason("requires", text, "; ".join(step.source for step in needed)))
    if request.budget_seconds is not None:
        text = f"training stops after {duration_text(request.budget_seconds)} with the best weights so far"
        found.append(Reason("budget_seconds", text, "given"))
    return found


def _warnings(situation: Situation, decision: Decision, costs: Mapping[str, TrainingCost]) -> list[str]:
    found = []
    if decision.strategy == "feature_extraction" and situation.domain_similarity == "low":
        found.append("feature extraction may do badly on images so unlike those the weights were trained on")
    seconds, allowed = costs[decision.strategy].seconds, situation.seconds_allowed
    if seconds > allowed:
        fits = int(situation.images * allowed / seconds / 2)
        remedy = f"--limit-train {fits} would fit" if fits >= 10 * (situation.classes or 2) else "give more time"
        found.append(
            f"even {decision.strategy} takes about {duration_text(seconds)} here, more than {duration_text(allowed)}; "
            f"the run stops in time with the best weights so far; {remedy}"
        )
    return found
