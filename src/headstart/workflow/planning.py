"""plan: the plan of a training without the training; and the steps from a request to its resolved plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from headstart.data.sources.opened_once import opened_once
from headstart.data.splits import Roles
from headstart.errors import ModelError
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model
from headstart.plan.image_counts import PlanCounts, balanced, counted, fitted_to_tiny_images
from headstart.plan.plan import DataPlan, Plan
from headstart.plan.request import Request
from headstart.runs.event import Event
from headstart.runs.progress import Progress, no_progress
from headstart.runs.warnings import AdviceWarning, OptionWithoutEffect
from headstart.workflow.advising import advised
from headstart.workflow.images import check_for_training
from headstart.workflow.plans import (
    AUTO,
    domain_found,
    make_plan,
    options_without_effect,
    refuse_by_licence,
    refuse_missing_steps,
)

Sizes: TypeAlias = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class RequestedPlan:
    """Plan of a request before its images are read: complete, but for the values that depend on their number."""

    plan: Plan
    options: Request | None = None
    """Options that the number of images completes; None where the plan was given or advised, and nothing is open."""
    notes: tuple[Event, ...] = ()
    """Warnings of the advice, and options that have no effect."""

    def counted(self, plan: Plan, roles: Roles, sizes: Sizes | None = None) -> Plan:
        """`plan` (this plan, or one resolved from it) with the values that depend on the images.

        Args:
            plan: Which.
            roles: Its images.
            sizes: Image id -> width, height in pixels; None where the images were not read.
        """
        if self.options is not None:
            plan = counted(plan, self.options, image_counts(plan, roles, sizes or {}))
        return balanced(plan, class_counts(roles))


def requested_plan(request: str | Request | Plan) -> RequestedPlan:
    """The plan of a request, made once: every fault of its options is found before an image is read for training.

    Args:
        request: DATA, options, or a plan, which stays as it is.

    Raises:
        HeadstartError: an option is wrong; with strategy auto, also what is wrong with the images.
    """
    if isinstance(request, str):
        request = Request(DataPlan.from_options(source=request))
    if isinstance(request, Plan):
        return RequestedPlan(request)
    notes: list[Event] = []
    if request.strategy == AUTO:
        advice = advised(request)
        plan, options = advice.plan, None  # the advisor has counted the images
        notes += [AdviceWarning(text) for text in advice.warnings]
    else:
        found = domain_found(request)
        plan, options = make_plan(request, found), request
        if found is not None and request.data.limit_train is None:
            # Before the images are divided: its one step is validated on held-out images.
            plan = fitted_to_tiny_images(plan, request, _counts(plan, found.images, side=found.resolution))
    notes += [OptionWithoutEffect(name, plan.strategy) for name in options_without_effect(request, plan)]
    return RequestedPlan(plan, options, tuple(notes))


@opened_once()
def plan_of(request: str | Request, *, progress: Progress = no_progress) -> Plan:
    """The plan that `train` would begin with; needs no torch, except to measure similarity for strategy `auto`.

    The images are read, as they are before training: the number of epochs depends on how many can be used.

    Args:
        request: DATA, or options.
        progress: Receives how far the reading of images is.

    Raises:
        HeadstartError: whatever `train` would refuse about options, data and licence; see its subclasses.
    """
    requested = requested_plan(request)
    plan = requested.plan
    refuse_by_licence(plan.model, find_model(plan.model.name))
    data = check_for_training(plan, progress)
    refuse_missing_steps(plan)
    return requested.counted(plan, data.roles, data.facts.sizes)


def class_counts(roles: Roles) -> Mapping[str, float]:
    """Class -> training and validation images, by their weights where they have some."""
    counts: dict[str, float] = {}
    for record in roles.training_pool:
        counts[record.label] = counts.get(record.label, 0) + (1 if record.weight is None else record.weight)
    return counts


def image_counts(plan: Plan, roles: Roles, sizes: Sizes) -> PlanCounts:
    """Numbers of images that a plan depends on, and how large they are."""
    sides = [min(sizes[record.id]) for record in roles.train if record.id in sizes]
    return _counts(plan, len(roles.training_pool), train=len(roles.train), side=median(sides) if sides else None)


def _counts(plan: Plan, pool: int, *, train: int | None = None, side: float | None) -> PlanCounts:
    card = find_model(plan.model.name).card
    return PlanCounts(pool, train, side, weights_size=card.input.size, weights_sizes=card.sizes)


def resolved_plan(plan: Plan, choice: ModelChoice) -> Plan:
    """The plan with every `auto` that the network decides.

    Raises:
        ModelError: it has no layer groups.
        PlanError: the plan does not fit its groups.
    """
    weights = choice.card.input
    size = weights.size if plan.input.size == "auto" else plan.input.size
    names = choice.card.groups
    if plan.model.grain != "stage":  # the network is built to find them
        from headstart.networks.backbone import group_names_of

        names = group_names_of(choice, input_size=size, grain=plan.model.grain)
    if len(names) < 2:
        raise ModelError(f"{choice.name} cannot be given classes", expected="a network that ends in a classifier")
    return plan.resolved(
        model_name=choice.name, input_size=weights.size, group_names=names, input_resize=weights.resize_name
    )


def with_budget(plan: Plan, budget_seconds: float | None) -> Plan:
    """The plan with another budget; None leaves its own, infinite lifts it."""
    if budget_seconds is None:
        return plan
    return plan.model_copy(update={"budget_seconds": None if budget_seconds == math.inf else budget_seconds})
