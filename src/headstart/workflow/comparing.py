"""compare: trials one after the other, each in a process of its own, and the answer after each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from headstart.errors import HeadstartError, Interrupted, RunError, require
from headstart.experiments.answer import answer_of, select_value
from headstart.experiments.comparison import Comparison, TrialEnd
from headstart.experiments.grid import GridPlan, Trial
from headstart.experiments.rounds import Schedule, limit_of_share, schedule
from headstart.models.catalog import find_model
from headstart.train.observers import Observer
from headstart.train.stopping import StopRequest
from headstart.workflow.apart import apart
from headstart.workflow.bundle_speed import inference_of_bundle
from headstart.workflow.images import drawn_by_name
from headstart.workflow.plans import AUTO, TrainOptions, make_plan, refuse_by_licence, refuse_missing_steps
from headstart.workflow.trial import TrialTask, refuse_unknown, run_trial, trial_plan


class Watcher(Observer):
    """Watches the trials beside what each of them tells."""

    def trial_started(self, trial: Trial, *, of: int, resumed: str) -> None:
        """A trial begins; `resumed` says whether it is taken up again: anew or resume."""

    def trial_ended(self, trial: Trial, end: TrialEnd, row: Mapping[str, Any]) -> None:
        """It has ended; `row` is its row of the answer."""


class Apart(Protocol):
    """Does work in another process; tests do it here."""

    def __call__(
        self, work: Callable[[Any, Observer], Any], task: object, *, observer: Observer, stop: StopRequest
    ) -> Any:  # noqa: ANN401 - what the work returns
        """The result of `work(task, observer)`."""


def compare(
    plan: GridPlan, *, out: str | Path | None = None, watcher: Watcher | None = None, run_in: Apart = apart
) -> dict[str, Any]:
    """Run all trials of a comparison, judge them, and say what is better, what is tied, and what to take.

    Options, paths in plans, data and licences are checked before anything is made.

    Args:
        plan: What is compared.
        out: Folder; a new one under `comparisons/` if None.
        watcher: Told what happens.
        run_in: Where a trial runs: a process of its own.

    Raises:
        HeadstartError: see its subclasses; Interrupted after Ctrl-C or SIGTERM, with everything saved.
    """
    require("torch", extra="train")
    _refuse_faults(plan)
    folder = Path(out) if out is not None else _new_folder(plan)
    return _go_on(Comparison.create(folder, plan), watcher or Watcher(), run_in)


def resume_comparison(folder: str | Path, *, watcher: Watcher | None = None, run_in: Apart = apart) -> dict[str, Any]:
    """Go on with a comparison that was stopped or killed; trials that have ended are not run again, failed ones are.

    Raises:
        RunError: not a comparison, or another process works on it.
    """
    require("torch", extra="train")
    comparison = Comparison.open(Path(folder))
    _refuse_faults(comparison.plan())
    return _go_on(comparison, watcher or Watcher(), run_in)


def _go_on(comparison: Comparison, watcher: Watcher, run_in: Apart) -> dict[str, Any]:
    plan = comparison.plan()
    stop, failed_now = StopRequest(), set[str]()
    with comparison.held(), stop.listening():
        while True:
            known = schedule(
                plan,
                has_ended=lambda trial: _has_ended(comparison, trial, failed_now),
                value_of=lambda trial: select_value(comparison, trial, plan.metric),
            )
            left = [trial for trial in known.trials if not _has_ended(comparison, trial, failed_now)]
            if not left:
                break
            trial = left[0]
            try:
                end = _run(comparison, plan, trial, known, watcher, run_in, stop)
            except Interrupted as stopped:
                comparison.write_answer(answer_of(comparison, known))
                raise Interrupted(
                    "stopped; everything is saved", remedy=f"go on with: {comparison.resume_command}"
                ) from stopped
            comparison.end(trial, end)
            if end.state == "failed":
                failed_now.add(trial.name)
            _measure_inference(comparison, trial, end, watcher, run_in, stop)
            answer = answer_of(comparison, known)
            comparison.write_answer(answer)
            row = next(row for row in answer["trials"] if row["trial"] == trial.name)
            watcher.trial_ended(trial, end, row)
    answer = answer_of(comparison, known)
    comparison.write_answer(answer)
    if not any(row["state"] == "done" for row in answer["trials"]):
        raise RunError(f"no trial of {comparison.folder} could be run: {answer['trials'][0]['error']}")
    return answer


def _has_ended(comparison: Comparison, trial: Trial, failed_now: set[str]) -> bool:
    """Failed trials of an earlier call are tried once more."""
    end = comparison.end_of(trial)
    return end is not None and (end.state == "done" or trial.name in failed_now)


def _run(
    comparison: Comparison,
    plan: GridPlan,
    trial: Trial,
    known: Schedule,
    watcher: Watcher,
    run_in: Apart,
    stop: StopRequest,
) -> TrialEnd:
    """Run one trial to its end; a failure is an end too."""
    start = "resume" if comparison.started(trial) else "anew"
    task = _task(comparison, plan, trial, start)
    watcher.trial_started(trial, of=len(known.trials) + known.to_come, resumed=start)
    try:
        end: TrialEnd = run_in(run_trial, task, observer=watcher, stop=stop)
    except Interrupted:
        raise
    except HeadstartError as error:
        if stop.reason == "signal":
            raise Interrupted("stopped") from error
        return TrialEnd("failed", error=str(error))
    return end


def _task(comparison: Comparison, plan: GridPlan, trial: Trial, start: Any) -> TrialTask:  # noqa: ANN401
    data = plan.data
    if trial.share < 1.0:
        whole = trial_plan(_bare_task(plan, trial))
        settled = make_plan(whole) if isinstance(whole, TrainOptions) and whole.strategy != AUTO else whole
        images = len(drawn_by_name(settled)[-1].train) if not isinstance(settled, TrainOptions) else 0
        limit = limit_of_share(trial.share, limit=data.limit_train, images=images)
        data = data.model_copy(update={"limit_train": limit})
    folder = comparison.run_of(trial).folder
    bare = _bare_task(plan, trial)
    return replace(bare, folder=folder, data=data, start=start, missing_weights=plan.missing_weights)


def _bare_task(plan: GridPlan, trial: Trial) -> TrialTask:
    return TrialTask(Path(), plan.data, trial.seed, {**plan.base, **trial.variant.changes})


def _measure_inference(
    comparison: Comparison, trial: Trial, end: TrialEnd, watcher: Watcher, run_in: Apart, stop: StopRequest
) -> None:
    """Speed and memory of prediction, once for each network: strategies and rates do not change them."""
    run = comparison.run_of(trial)
    if end.state != "done":
        return
    settled = run.plan()
    key = f"{settled.model.name}, {settled.head.kind} head, {settled.input.size} px"
    figures = comparison.inference()
    if key not in figures:
        try:
            figures[key] = run_in(inference_of_bundle, run.bundle, observer=Observer(), stop=stop)
        except Interrupted:
            return  # the next call measures it
        except HeadstartError as error:
            figures[key] = {"error": str(error)}
        comparison.write_inference(figures)


def _refuse_faults(plan: GridPlan) -> None:
    """What is wrong with any variant is found before a folder is made."""
    refuse_unknown(plan.base)
    for variant in plan.variants():
        refuse_unknown(variant.changes)
        task = TrialTask(Path(), plan.data, plan.seeds[0], {**plan.base, **variant.changes})
        made = trial_plan(task)
        if isinstance(made, TrainOptions):
            if made.strategy == AUTO:
                continue
            made = make_plan(made)
            drawn_by_name(made)
        refuse_missing_steps(made)
        refuse_by_licence(made, find_model(made.model.name))


def _new_folder(plan: GridPlan) -> Path:
    """comparisons/WHAT-DATE-TIME, with a number when that second is taken."""
    stem = f"{plan.what}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder, count = Path("comparisons") / stem, 2
    while folder.exists():
        folder, count = Path("comparisons") / f"{stem}-{count}", count + 1
    return folder
