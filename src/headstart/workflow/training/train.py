"""train: folder -> plan -> training -> bundle -> figures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from headstart.data.early_views import make_early_views
from headstart.data.sources.opened_once import opened_once
from headstart.distributed.background import in_background_thread
from headstart.errors import RunError, require_installed
from headstart.files import is_free
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import Plan
from headstart.plan.request import Request
from headstart.runs.folder import Run, new_folder, resume_command
from headstart.runs.observers import Observer
from headstart.runs.progress import Progress, no_progress
from headstart.training.trackers.trackers import chosen_trackers
from headstart.workflow.images import check_for_training, view_of_probe, with_absolute_paths
from headstart.workflow.planning import requested_plan, resolved_plan, with_budget
from headstart.workflow.plans import refuse_by_licence, refuse_missing_steps
from headstart.workflow.training.build import BuiltTraining, build_training, import_training, use_machine
from headstart.workflow.training.fit_run import fit_run
from headstart.workflow.training.result import TrainResult
from headstart.workflow.training.run_data import run_data


@opened_once()
def train(
    request: str | Request | Plan,
    *,
    out: str | Path | None = None,
    budget_seconds: float | None = None,
    track: Sequence[str] = (),
    observer: Observer | None = None,
    progress: Progress = no_progress,
    started: float | None = None,
) -> TrainResult:
    """Result of a training: find the plan, check the data, build the network, fit, write the bundle, evaluate.

    Everything that can be wrong with options, plan, data and weights is found before the run folder is made. The plan
    is made and resolved once; only what depends on the number of images is completed after they were read.

    Args:
        request: DATA, options to make a plan from, or a plan.
        out: Run folder; a new one under `runs/` if None.
        budget_seconds: In place of the plan's own; infinite lifts it.
        track: Places the run is written to as well, such as `tensorboard` or `mlflow`.
        observer: Receives what happens while training.
        progress: Receives how far the reading of images is.
        started: `time.monotonic()` when the command began, for the budget and the total.

    Raises:
        HeadstartError: see its subclasses; Interrupted after Ctrl-C or SIGTERM, with everything saved.
    """
    started = started if started is not None else time.monotonic()
    requested = requested_plan(request)
    plan = with_budget(requested.plan, budget_seconds)
    refuse_missing_steps(plan)
    trackers = chosen_trackers(track)
    choice = find_model(plan.model.name)
    refuse_by_licence(plan.model, choice)
    folder = None if out is None else _free_folder(Path(out))
    # Reading all images takes longest: whatever can be wrong without them is found before.
    require_installed("torch", extra="train")
    use_machine(device=plan.device, workers=plan.workers)
    with make_early_views(view_of_probe(plan)):
        with in_background_thread(partial(check_for_training, plan), progress) as reading:
            resolved = resolved_plan(plan, choice)  # its faults end the command before all images are read
            import_training(resolved, choice)
            data = reading.result()
        # Both are written into the run folder: plan.yaml as it was requested, plan.resolved.yaml with every auto
        # decided.
        sizes = data.facts.sizes
        plan, resolved = (requested.counted(one, data.roles, sizes) for one in (plan, resolved))
        built = build_training(_with_absolute_paths(resolved, choice), choice, data)
        run = _new_run(folder, plan, built)
        return fit_run(built, run, trackers=trackers, notes=requested.notes, observer=observer, started=started)


def _free_folder(out: Path) -> Path:
    """`out`, if a run can be made there.

    Raises:
        RunError: it exists and is not empty.
    """
    if is_free(out):
        return out
    raise RunError(
        f"{out} exists already", remedy=f"choose another --out, or go on with: {resume_command('train', out)}"
    )


def _with_absolute_paths(plan: Plan, choice: ModelChoice) -> Plan:
    """The plan as a resume finds its images and weights from any folder."""
    name = choice.name if choice.file is None else replace(choice, file=choice.file.absolute()).name
    model = plan.model.model_copy(update={"name": name})
    return plan.model_copy(update={"data": with_absolute_paths(plan.data), "model": model})


def _new_run(folder: Path | None, given: Plan, built: BuiltTraining) -> Run:
    """A new run folder with the plan as it was given and as it was resolved, and with the images by role."""
    data = built.data
    return Run.create(
        folder or new_folder(Path("runs"), f"{data.dataset.name}-{time.strftime('%Y%m%d-%H%M%S')}"),
        given=given,
        resolved=built.plan,
        data=run_data(given.data, data, built.images.spec),
    )
