"""One trial of a comparison: options and changes -> plan -> a run folder, begun or taken up again."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from headstart.errors import Interrupted, PlanError, WeightsUnavailableError, nearest
from headstart.experiments.comparison import TrialEnd
from headstart.experiments.grid import Changes, changed, split_changes
from headstart.plan import DataPlan, Plan
from headstart.train.observers import Observer
from headstart.workflow.advising import advised_plan
from headstart.workflow.images import drawn_by_name
from headstart.workflow.plans import AUTO, TrainOptions, make_plan
from headstart.workflow.train import resume, train

OPTIONS = tuple(item.name for item in fields(TrainOptions) if item.name not in ("data", "seed"))
"""What a comparison may set or vary beside paths in the plan."""

RANDOM = {"model.weights": "random"}


@dataclass(frozen=True)
class TrialTask:
    """What a process needs to know to run one trial."""

    folder: Path
    """Of its run."""
    data: DataPlan
    seed: int
    changes: Changes = field(default_factory=dict)
    """Options of `train` and paths in the plan, base and variant together."""
    start: Literal["anew", "resume"] = "anew"
    missing_weights: Literal["random", "fail"] = "random"


def trial_plan(task: TrialTask) -> TrainOptions | Plan:
    """What `train` is asked for: options where that is all there is, else the plan with values put at paths.

    Raises:
        PlanError: an option has no such value, or a path leads nowhere.
    """
    named, paths = split_changes(task.changes, OPTIONS)
    options = TrainOptions(task.data, seed=task.seed, **named)
    if not paths:
        return options
    plan = advised_plan(options) if options.strategy == AUTO else make_plan(options)
    if options.strategy != AUTO:
        roles = drawn_by_name(plan)[-1]
        plan = make_plan(options, training_images=len(roles.train), fit_images=len(roles.fit))
    raw = plan.model_dump(mode="json")
    reasons = raw["reasons"]
    plan = Plan.from_dict(changed(raw, paths), source="the changed plan")
    kept = {path: why for path, why in reasons.items() if not any(path.startswith(p.split("[")[0]) for p in paths)}
    return plan.model_copy(update={"reasons": kept})


def refuse_unknown(changes: Changes) -> None:
    """A key that is neither an option nor looks like a path is a slip of the pen.

    Raises:
        PlanError: with every such key.
    """
    sections = Plan.model_fields
    faults = []
    for key in changes:
        first = key.split(".")[0].split("[")[0]
        if key not in OPTIONS and (first not in sections or first in ("data", "seed", "schema_version", "reasons")):
            hint = nearest(key, [*OPTIONS, *sections])
            faults.append(
                f"{key}: is no option of headstart train and no path in a plan" + (f"; {hint}" if hint else "")
            )
    if faults:
        raise PlanError(faults, source="what is compared")


def run_trial(task: TrialTask, observer: Observer) -> TrialEnd:
    """Train, judge, and say how it ended; weights that cannot be had are replaced by random ones where that is wanted.

    Raises:
        HeadstartError: as `train`; Interrupted after SIGTERM, with everything saved.
    """
    started = time.monotonic()

    def watch(what: str, total: int) -> Callable[[int], object]:
        observer.work_started(what, total)
        return observer.work_done

    if task.start == "resume":
        answer = resume(task.folder, observer=observer, progress=watch, started=started)
    else:
        try:
            answer = train(trial_plan(task), out=task.folder, observer=observer, progress=watch, started=started)
        except WeightsUnavailableError as error:
            if task.missing_weights == "fail":
                raise
            observer.noted("random_weights", {"why": error.found})
            task = _with_random_weights(task)
            started = time.monotonic()  # tries to download are no training
            answer = train(trial_plan(task), out=task.folder, observer=observer, progress=watch, started=started)
    metrics = answer.metrics
    if metrics["stopped"] == "signal":
        raise Interrupted("stopped; everything is saved", remedy="go on with --resume")
    phases = sum(row["seconds"] for row in metrics["phases"])
    return TrialEnd(
        "done",
        weights=answer.run.plan().model.weights,
        seconds=max(metrics["seconds"]["total"], phases),
        peak_memory_bytes=peak_memory_bytes(),
        resumed=sum(event["event"] == "resumed" for event in answer.run.events()),
    )


def _with_random_weights(task: TrialTask) -> TrialTask:
    """The same from random weights: as there are no statistics to keep, trained phases normalise by batch."""
    made = trial_plan(task)
    plan = made if isinstance(made, Plan) else advised_plan(made) if made.strategy == AUTO else make_plan(made)
    trained = [index for index, phase in enumerate(plan.phases) if phase.kind == "train"]
    changes = {**RANDOM, **{f"phases[{index}].batch_norm": "train" for index in trained}}
    return replace(task, changes={**task.changes, **changes})


def peak_memory_bytes() -> int | None:
    """Most that this process has held in memory so far."""
    with contextlib.suppress(OSError, ValueError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return None
