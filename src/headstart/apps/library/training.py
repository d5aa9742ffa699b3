"""The library verbs `train`, `resume` and `make_plan`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.apps.library.calling import PathLike, checked, path_or_none, text_or_none, with_options
from headstart.apps.library.watching import Watch, watching
from headstart.arguments import ArgumentError
from headstart.plan.plan import DataPlan, Plan
from headstart.plan.request import Request
from headstart.runs.observers import Observer
from headstart.workflow.keywords import TrainKeywords, with_keywords

if TYPE_CHECKING:
    from typing import Unpack

    from headstart.workflow.training.result import TrainResult


@with_options
@checked
def train(
    data: PathLike | DataPlan | Request | Plan | None = None,
    *,
    plan: Plan | PathLike | None = None,
    out: PathLike | None = None,
    track: Sequence[str] = (),
    observer: Observer | None = None,
    progress: Watch = "auto",
    **options: Unpack[TrainKeywords],
) -> TrainResult:
    """Train a classifier and evaluate it on the test set: `headstart.train("photos", strategy="gradual").accuracy`.

    Args:
        data: DATA: a folder, tar or table; options as one object; or a plan.
        plan: A plan, or the path of its YAML, in place of options; DATA then overrides its source, and
            `budget_seconds` its budget.
        out: Run folder; a new one under `runs/` if None.
        track: Places the run is written to as well, such as `tensorboard` or `mlflow`.
        observer: Receives the events of training.
        progress: auto shows bars and epochs on stderr or in a notebook, none shows nothing.
        options: The options of `headstart train`, by the names of `headstart.Request` and `headstart.DataPlan`:
            strategy, model, domain, input_size, epochs, unfreeze, lr_rule, peak_lr, grain, noncommercial_weights,
            augmentation, head, head_solver, batch_size, lr, optimizer, weight_decay, seed, budget_seconds,
            val, group, fold, unreadable, limit_train, limit_test, bits, bands, window, contrast, links,
            test_fraction, test_seed, validation_fraction, validation, resize, class_weight.

    Raises:
        ArgumentError: no such argument, or arguments that do not go together; a TypeError and ValueError too.
        HeadstartError: see its subclasses; Interrupted after Ctrl-C or SIGTERM, with everything saved.
    """
    from headstart.workflow.training import train as workflow

    request = request_of(data, plan, options)
    budget = options.get("budget_seconds") if isinstance(request, Plan) else None
    with watching(progress, observer) as (shown, told):
        return workflow.train(
            request, out=path_or_none(out), budget_seconds=budget, track=track, observer=told, progress=shown
        )


def request_of(
    data: PathLike | DataPlan | Request | Plan | None, plan: Plan | PathLike | None, options: Mapping[str, Any]
) -> Request | Plan:
    """Plan, or options to make one from.

    Raises:
        ArgumentError: no images, two plans, or options together with a plan.
    """
    if isinstance(data, Plan):
        if plan is not None:
            raise ArgumentError("both data and plan are plans", remedy="give one of them")
        data, plan = None, data
    if plan is not None:
        odd = sorted(set(options) - {"budget_seconds"})
        if odd or isinstance(data, Request | DataPlan):
            found = f"{', '.join(odd) or type(data).__name__} has no effect together with a plan"
            raise ArgumentError(found, remedy="change the plan: plan.changed(...), or its YAML")
        found_plan = plan if isinstance(plan, Plan) else Plan.read(Path(plan))
        if data is None:
            return found_plan
        return found_plan.changed(data=found_plan.data.model_copy(update={"source": os.fspath(data)}))
    if data is None:
        raise ArgumentError("no images are given", expected="DATA, such as a folder of class folders, or a plan")
    if isinstance(data, Request):
        asked = data
    else:
        part = data if isinstance(data, DataPlan) else DataPlan.from_options(source=os.fspath(data))
        asked = Request(part)
    return with_keywords(asked, options, where="headstart.train")


@checked
def resume(
    folder: PathLike,
    data: PathLike | None = None,
    *,
    val: PathLike | None = None,
    budget_seconds: float | None = None,
    observer: Observer | None = None,
    progress: Watch = "auto",
) -> TrainResult:
    """Resume a run that was stopped, killed or out of budget; the result is the same as without a stop.

    Args:
        folder: Of the run.
        data: Where its images are now, if they moved.
        val: The same of the folder of the test set.
        budget_seconds: In place of the plan's own, from now on; infinite lifts it.
        observer: Receives the events of training.
        progress: As in `train`.

    Raises:
        RunError: not a run, its checkpoint is damaged, or its images changed.
    """
    from headstart.workflow.training import resume as workflow

    with watching(progress, observer) as (shown, told):
        return workflow.resume(
            Path(folder),
            data=text_or_none(data),
            val=text_or_none(val),
            budget_seconds=budget_seconds,
            observer=told,
            progress=shown,
        )


@with_options
@checked
def make_plan(
    data: PathLike | DataPlan | Request, *, progress: Watch = "auto", **options: Unpack[TrainKeywords]
) -> Plan:
    """The plan that `train` would begin with; nothing is trained: `headstart.make_plan("photos", strategy="partial")`.

    Args:
        data: DATA: a folder, tar or table; or options as one object.
        progress: As in `train`, while the images are counted.
        options: Those of `train`.

    Raises:
        ArgumentError: no such argument, or arguments that do not go together; a TypeError and ValueError too.
        HeadstartError: whatever `train` would refuse before it trains.
    """
    from headstart.workflow.planning import plan_of

    request = request_of(data, None, options)
    assert isinstance(request, Request), "without a plan there are options"
    with watching(progress) as (shown, _):
        return plan_of(request, progress=shown)
