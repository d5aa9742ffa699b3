"""plan: what `train` would do with these options, without doing it."""

from __future__ import annotations

from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan, Plan
from headstart.plan.request import Request
from headstart.runs.progress import Progress, no_progress
from headstart.workflow.advising import advised_plan
from headstart.workflow.images import CheckedData, check_for_training
from headstart.workflow.plans import AUTO, make_plan, refuse_by_licence, refuse_missing_steps


def plan_of(request: str | Request, *, progress: Progress = no_progress) -> Plan:
    """The plan that `train` would begin with; needs no torch, except to measure similarity for strategy `auto`.

    The images are read, as they are before training: the number of epochs depends on how many can be used.

    Args:
        request: DATA, or options.
        progress: Told how far the reading of images is.

    Raises:
        HeadstartError: whatever `train` would refuse about options, data and licence; see its subclasses.
    """
    options = Request(DataPlan.from_options(source=request)) if isinstance(request, str) else request
    plan = advised_plan(options) if options.strategy == AUTO else make_plan(options)
    refuse_by_licence(plan, find_model(plan.model.name))
    data = check_for_training(plan, progress)
    plan = plan if options.strategy == AUTO else counted_plan(options, data)
    refuse_missing_steps(plan)
    return plan


def counted_plan(options: Request, data: CheckedData) -> Plan:
    """The plan of these options, once it is known how many images there are.

    Raises:
        PlanError: an option is wrong.
    """
    return make_plan(options, training_images=len(data.roles.training_pool), fit_images=len(data.roles.train))
