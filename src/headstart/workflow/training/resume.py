"""resume: continue a run that was stopped, from any folder, also if its images have moved."""

from __future__ import annotations

import time
from pathlib import Path

from headstart.data.sources.source_names import is_missing, is_place
from headstart.errors import DataError, RunError, require
from headstart.machine import use_threads
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import Plan
from headstart.runs.folder import Run
from headstart.runs.observers import Observer
from headstart.runs.progress import Progress, no_progress
from headstart.training.trackers.trackers import remembered_trackers
from headstart.workflow.images import CheckedData, check_for_training, content_hash
from headstart.workflow.planning import with_budget
from headstart.workflow.training.build import build_training, use_machine
from headstart.workflow.training.fit_run import fit_run
from headstart.workflow.training.result import TrainResult

_SHOWN_HASH = 8


def resume(
    folder: str | Path,
    *,
    data: str | None = None,
    val: str | None = None,
    budget_seconds: float | None = None,
    observer: Observer | None = None,
    progress: Progress = no_progress,
    started: float | None = None,
) -> TrainResult:
    """Result of a run that was stopped, killed or out of budget, and is resumed: the one it would have had.

    Args:
        folder: Of the run.
        data: Where its images lie now; None is where they were. They must be the same files.
        val: The same for the folder that was given as `val`.
        budget_seconds: In place of the plan's own, counted from now; infinite lifts it.
        observer: Receives what happens while training.
        progress: Receives how far the reading of images is.
        started: `time.monotonic()` when the command began.

    Raises:
        RunError: not a run, its checkpoint is damaged, or its images changed.
        DataError: its images are not where they were.
    """
    started = started if started is not None else time.monotonic()
    require("torch", extra="train")
    run = Run.open(Path(folder))
    trackers = remembered_trackers(run)
    # The resolved plan, not the requested one: nothing is decided a second time, so the result stays the same.
    plan = _with_images_at(run.plan(), run, data=data, val=val)
    _compute_with(run.environment().threads)
    use_machine(device=plan.device, workers=plan.workers)
    checked = check_for_training(plan, progress)
    _refuse_others(run, checked, plan.data.source)
    if data is not None or val is not None:
        run.rewrite_plan(plan)  # the next resume finds them by itself
    plan = with_budget(plan, budget_seconds)
    built = build_training(plan, find_model(plan.model.name), checked)
    return fit_run(built, run, trackers=trackers, observer=observer, started=started)


def _with_images_at(plan: Plan, run: Run, *, data: str | None, val: str | None) -> Plan:
    """Plan with the present place of its images.

    Raises:
        DataError: nothing is there.
    """
    moved = {"source": data, "val": val}
    places = {
        name: str(Path(place).absolute()) for name, place in moved.items() if place is not None and is_place(place)
    }
    plan = plan.model_copy(update={"data": plan.data.model_copy(update=places)})
    if is_missing(plan.data.source):
        command = run.resume_command.replace(" train ", " train DATA ", 1)
        raise DataError(
            f"{plan.data.source} does not exist",
            expected=f"the images that {run.folder} was started with",
            remedy=f"if they were moved, say where they are: {command}",
        )
    return plan


def _refuse_others(run: Run, checked: CheckedData, source: str) -> None:
    """Refuse images that are not those of the run: only the same files give the same result.

    Raises:
        RunError: they differ.
    """
    before, now = run.data(), content_hash(checked)
    if before.content == now:
        return
    roles = checked.roles
    images = len(roles.train) + len(roles.validation) + len(roles.test)
    raise RunError(
        f"the images of {source} are not those {run.folder} was started with: {images:,} images with the hash "
        f"{now[:_SHOWN_HASH]}, not {before.all_images:,} with {before.content[:_SHOWN_HASH]}",
        expected="the same files",
        remedy="restore them, or start a new run",
    )


def _compute_with(threads: int | None) -> None:
    """Compute with as many threads as before: the bits of a sum depend on how many share it."""
    if threads is not None:
        use_threads(threads)
