"""One trial of a comparison: options and changes -> plan -> run folder, new or resumed."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from headstart.comparison.comparison import TrialEnd
from headstart.comparison.grid import Changes, changed, split_changes
from headstart.errors import HeadstartError, PlanError, RunError, WeightsUnavailableError, nearest
from headstart.machine import peak_memory_bytes
from headstart.networks.cards.finding import find_model
from headstart.plan.faults import sentences
from headstart.plan.plan import DataPlan, Plan
from headstart.plan.reasons import FINGERPRINTS, value_fingerprints
from headstart.plan.request import OPTIONS as ALL_OPTIONS
from headstart.plan.request import Request
from headstart.runs.events import Resumed
from headstart.runs.folder import Run
from headstart.runs.observers import Observer
from headstart.runs.progress import Progress
from headstart.runs.warnings import RandomWeights
from headstart.workflow.images import drawn_by_name
from headstart.workflow.planning import requested_plan, resolved_plan
from headstart.workflow.training.result import TrainResult
from headstart.workflow.training.resume import resume
from headstart.workflow.training.train import train

TRIAL_OPTIONS = tuple(name for name in ALL_OPTIONS if name != "seed")
"""Options that a comparison may set or vary, in addition to paths in the plan."""

RANDOM = {"model.weights": "random"}
Accuracy: TypeAlias = Literal["measured", "needs download"]


@dataclass(frozen=True)
class TrialTask:
    """Task of the subprocess of one trial."""

    folder: Path
    """Folder of its run."""
    data: DataPlan
    seed: int
    changes: Changes = field(default_factory=dict)
    """Options of `train` and paths in the plan, base and variant together."""
    start: Literal["anew", "resume"] = "anew"
    missing_weights: Literal["random", "fail"] = "random"
    unavailable: Mapping[str, str] = field(default_factory=dict)
    """Network -> reason why its weights are unavailable: they are not tried again."""


def trial_plan(task: TrialTask) -> Request | Plan:
    """Options of `train`; a plan with changed values if any change is a path in the plan.

    Raises:
        PlanError: an option has no such value, or a path is not in the plan.
    """
    named, paths = split_changes(task.changes, TRIAL_OPTIONS)
    try:
        options = TypeAdapter(Request).validate_python({"data": task.data, "seed": task.seed, **named})
    except ValidationError as error:
        raise PlanError(sentences(error, named), source="what is compared") from error
    if not paths:
        return options
    requested = requested_plan(options)
    plan = requested.plan
    if requested.options is not None:
        plan = requested.counted(plan, drawn_by_name(plan).roles)
    # Reasons go with the values they were written for: the fingerprints tell which values a path has changed.
    raw = plan.model_dump(mode="json")
    written_for = value_fingerprints(raw)  # before values are put in place
    return Plan.from_dict(changed(raw, paths) | {FINGERPRINTS: written_for}, source="the changed plan")


def whole_plan(task: TrialTask) -> Plan:
    """Plan of a trial, with the advised strategy if it is auto.

    Raises:
        HeadstartError: as `trial_plan`, and if the images cannot be found.
    """
    return requested_plan(trial_plan(task)).plan


def resolve_all(tasks: Sequence[TrialTask], observer: Observer) -> None:
    """Resolve the plans of all variants against their networks, so that faults are found before training.

    Raises:
        HeadstartError: a network without groups, a size it does not take, more groups to unfreeze than there are.
    """
    observer.work_started("networks", len(tasks))
    for task in tasks:
        plan = whole_plan(task)
        resolved_plan(plan, find_model(plan.model.name))
        observer.work_done(1)


def refuse_unknown_fields(changes: Changes) -> None:
    """Refuse keys that are neither options nor paths in the plan.

    Raises:
        PlanError: with every such key.
    """
    sections = Plan.model_fields
    faults = []
    for key in changes:
        first = key.split(".")[0].split("[")[0]
        if key not in TRIAL_OPTIONS and (
            first not in sections or first in ("data", "seed", "schema_version", "reasons")
        ):
            hint = nearest(key, [*TRIAL_OPTIONS, *sections])
            faults.append(
                f"{key}: is neither an option of headstart train nor a path in a plan" + (f"; {hint}" if hint else "")
            )
    if faults:
        raise PlanError(faults, source="what is compared")


def run_trial(task: TrialTask, observer: Observer) -> TrialEnd:
    """End of a trial that is trained and evaluated; missing weights are replaced by random ones if the task allows it.

    Raises:
        HeadstartError: as `train`; Interrupted after SIGTERM, with everything saved.
    """
    try:
        return _run_trial(task, observer)
    except (HeadstartError, BrokenPipeError):  # a broken pipe: the parent has ended, and nobody reads a report
        raise
    except Exception as error:
        lines = (str(error).strip() or type(error).__name__).splitlines()
        path = task.folder / "traceback.txt"
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(traceback.format_exc(), encoding="utf-8")
        remedy = f"{path} has the details; if memory ran out, a smaller --batch-size or --input-size needs less"
        raise RunError(f"{type(error).__name__}: {lines[0]}", remedy=remedy) from error


def _run_trial(task: TrialTask, observer: Observer) -> TrialEnd:
    started = time.monotonic()
    if task.start == "resume":
        return _resumed(task, observer, started)
    network = _network_of(task) if task.unavailable else ""
    known = task.unavailable.get(network)
    if known is None:
        try:
            return _end_of(_trained(task, observer, started), "measured")
        except WeightsUnavailableError as error:
            network, why = _network_of(task), str(error)
    else:
        why = known
    missing = {network: why}
    if task.missing_weights == "fail":
        return TrialEnd("failed", error=why, missing=missing)
    observer.noted(RandomWeights(why if known is None else f"those of {network} are unavailable, as before"))
    started = time.monotonic()  # the download is not part of the training time
    result = _trained(_with_random_weights(task), observer, started)
    return replace(_end_of(result, "needs download"), missing=missing)


def _trained(task: TrialTask, observer: Observer, started: float) -> TrainResult:
    return train(trial_plan(task), out=task.folder, observer=observer, progress=_progress_to(observer), started=started)


def _resumed(task: TrialTask, observer: Observer, started: float) -> TrialEnd:
    """End of a resumed trial.

    A budget is for the whole trial, however often it is resumed: all trials must have the same to be compared.
    """
    from headstart.training.checkpoint import trained_seconds

    run, accuracy = Run(task.folder), _accuracy_of(task)
    if (metrics := run.metrics()) is not None:  # killed after its last file was written
        return replace(_end_of(TrainResult(run, metrics), accuracy), peak_memory_bytes=None)
    started -= trained_seconds(run.checkpoint)  # the budget counts from here
    result = resume(task.folder, observer=observer, progress=_progress_to(observer), started=started)
    return _end_of(result, accuracy)


def _progress_to(observer: Observer) -> Progress:
    """Progress of reading images, passed on to an observer."""

    def watch(what: str, total: int) -> Callable[[int], object]:
        observer.work_started(what, total)
        return observer.work_done

    return watch


def _end_of(result: TrainResult, accuracy: Accuracy) -> TrialEnd:
    metrics = result.metrics
    seconds = max(metrics.total_seconds, sum(row.seconds for row in metrics.phases))
    resumed = sum(isinstance(line.event, Resumed) for line in result.run.events())
    return TrialEnd("done", accuracy=accuracy, seconds=seconds, peak_memory_bytes=peak_memory_bytes(), resumed=resumed)


def why_no_weights(network: str, observer: Observer) -> str | None:
    """Reason why the weights of a network are unavailable, with the way out; None once they are downloaded.

    Args:
        network: As a resolved plan names it.
        observer: Receives the progress.
    """
    from headstart.networks.weights.loading import weight_file

    observer.work_started("weights", 1)
    try:
        choice = find_model(network)
        if choice.file is None:
            weight_file(choice.card)
    except WeightsUnavailableError as error:
        return str(error)
    observer.work_done(1)
    return None


def _network_of(task: TrialTask) -> str:
    """Full name of the network of a trial."""
    name = whole_plan(task).model.name
    with contextlib.suppress(WeightsUnavailableError):  # of a repository that is unreachable
        return find_model(name).name
    return name


def _accuracy_of(task: TrialTask) -> Accuracy:
    """Needs download if a resumed trial has random weights that were not requested."""
    if task.start == "anew" or Run(task.folder).plan().model.weights == "pretrained":
        return "measured"
    return "measured" if whole_plan(task).model.weights == "random" else "needs download"


def _with_random_weights(task: TrialTask) -> TrialTask:
    """Task with random weights: without pretrained statistics, BatchNorm uses those of the batch in trained phases."""
    trained = [index for index, phase in enumerate(whole_plan(task).phases) if phase.kind == "train"]
    changes = {**RANDOM, **{f"phases[{index}].batch_norm": "train" for index in trained}}
    return replace(task, changes={**task.changes, **changes})
