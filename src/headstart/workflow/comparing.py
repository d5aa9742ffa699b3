"""compare: trials one after the other, each in a subprocess, and the result written after each."""

from __future__ import annotations

import importlib.util
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from headstart.comparison.comparison import Comparison, TrialEnd
from headstart.comparison.grid import GridPlan, Trial, trials_of
from headstart.comparison.latencies import MOST_REPEATS, Measurable, better_of, doubtful
from headstart.comparison.measured_variants import network_of
from headstart.comparison.record import ComparisonRecord, TrialResult
from headstart.comparison.rounds import TrialSchedule, limit_of_share, schedule
from headstart.comparison.summary import comparison_result, validation_values
from headstart.distributed.process import run_in_subprocess
from headstart.errors import DiskFullError, HeadstartError, Interrupted, RunError, require
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import Phase
from headstart.prediction.inference_figures import InferenceFigures
from headstart.prediction.latency_process import inference_of_bundle
from headstart.runs.events import Stopping
from headstart.runs.folder import new_folder
from headstart.runs.observers import Observer
from headstart.runs.warnings import LatencyNotMeasured, RandomWeights
from headstart.training.stopping import StopRequest
from headstart.workflow.images import drawn_by_name, with_absolute_paths
from headstart.workflow.plans import refuse_by_licence, refuse_missing_steps
from headstart.workflow.trial import (
    TrialTask,
    refuse_unknown_fields,
    resolve_all,
    run_trial,
    whole_plan,
    why_no_weights,
)


class Watcher(Observer):
    """Observer of a comparison: of its trials and of the events within each."""

    def trial_started(self, trial: Trial, *, of: int, resumed: str) -> None:
        """Called when a trial begins; `resumed` is anew or resume."""

    def trial_ended(self, trial: Trial, end: TrialEnd, result: TrialResult) -> None:
        """Called when it has ended; `result` is as in the record of the comparison."""


class RunInSubprocess(Protocol):
    """Function that runs work in a subprocess; tests run it in this process."""

    def __call__(
        self, work: Callable[[Any, Observer], Any], task: object, *, observer: Observer, stop: StopRequest
    ) -> Any:  # noqa: ANN401 - what the work returns
        """The result of `work(task, observer)`."""


def compare(
    plan: GridPlan,
    *,
    out: str | Path | None = None,
    watcher: Watcher | None = None,
    run_in: RunInSubprocess = run_in_subprocess,
) -> ComparisonRecord:
    """Record of a comparison: all its trials are run and evaluated, its variants compared.

    Options, paths in plans, data and licences are checked before any folder is made.

    Args:
        plan: Plan of the comparison.
        out: Folder; a new one under `comparisons/` if None.
        watcher: Receives events.
        run_in: Where a trial runs: in a subprocess.

    Raises:
        HeadstartError: see its subclasses; Interrupted after Ctrl-C or SIGTERM, with everything saved.
    """
    watcher = watcher or Watcher()
    plan = _with_common_test_set(plan)
    validation = _refuse_faults(plan, watcher, run_in)
    plan = plan.model_copy(update={"data": plan.data.model_copy(update={"validation": validation})})
    stem = f"{plan.what}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = Path(out) if out is not None else new_folder(Path("comparisons"), stem)
    return _run_pending(Comparison.create(folder, plan), watcher, run_in)


def resume_comparison(
    folder: str | Path, *, watcher: Watcher | None = None, run_in: RunInSubprocess = run_in_subprocess
) -> ComparisonRecord:
    """Record of a comparison that is resumed; trials that have ended are not run again.

    Failed trials are, and those that lacked pretrained weights, if these are available now.

    Raises:
        RunError: not a comparison, or another process works on it.
    """
    watcher = watcher or Watcher()
    comparison = Comparison.open(Path(folder))
    _refuse_faults(comparison.plan(), watcher, run_in)
    return _run_pending(comparison, watcher, run_in)


def _run_pending(comparison: Comparison, watcher: Watcher, run_in: RunInSubprocess) -> ComparisonRecord:
    stop = StopRequest(tell=lambda text: watcher.noted(Stopping(text)))
    with comparison.held(), stop.listening():
        work = _PendingWork(comparison, comparison.plan(), watcher, run_in, stop)
        try:
            work.write_result()  # there is a result even if the first trial is killed
            while (trial := work.next_trial()) is not None:
                work.measure_inference()  # between trials: nothing else of the comparison uses the machine
                work.run(trial)
            work.measure_inference()
        except (Interrupted, KeyboardInterrupt) as stopped:  # the latter by a second Ctrl-C
            work.write_result()
            way_on = f"resume with: {comparison.resume_command}"
            raise Interrupted("stopped; everything is saved", remedy=way_on) from stopped
        except DiskFullError as error:
            # Not the remedy of the trial's error: that names the command for a single run.
            way_on = f"what was saved before is intact; free some space, then resume with: {comparison.resume_command}"
            raise DiskFullError(error.found, remedy=way_on) from error
        result = work.write_result()
    if not any(trial.state == "done" for trial in result.trials):
        raise RunError(
            f"no trial of {comparison.folder} could be run: {result.trials[0].error}",
            remedy=f"once that is fixed, resume with: {comparison.resume_command}",
        )
    return result


@dataclass
class _PendingWork:
    """Remaining work of a comparison."""

    comparison: Comparison
    plan: GridPlan
    watcher: Watcher
    run_in: RunInSubprocess
    stop: StopRequest
    tried: set[str] = field(default_factory=set)
    """Trials, and networks whose latency could not be measured, that were tried in this call."""
    again: Counter[str] = field(default_factory=Counter)
    """Repeated latency measurements of each network in this call."""
    unavailable: dict[str, str] = field(default_factory=dict)
    """Network -> reason why its weights are unavailable; each is tried once in this call."""

    def known(self) -> TrialSchedule:
        """Trials that are known so far."""
        return schedule(
            self.plan,
            has_ended=self._has_ended,
            values_of=lambda trials: validation_values(self.comparison, trials, self.plan.metric),
        )

    def next_trial(self) -> Trial | None:
        """First trial that has not ended."""
        return next((trial for trial in self.known().trials if not self._has_ended(trial)), None)

    def write_result(self) -> ComparisonRecord:
        """Record of the comparison; comparison.json is written anew."""
        result = comparison_result(self.comparison, self.known())
        self.comparison.write_result(result)
        return result

    def run(self, trial: Trial) -> None:
        """Run one trial; a failure ends the trial, a full disk stops the comparison."""
        start: Literal["anew", "resume"] = "resume" if self.comparison.started(trial) else "anew"
        before = self.comparison.end_of(trial)
        lacks_weights = before is not None and before.accuracy == "needs download"
        known = self.known()
        self.watcher.trial_started(
            trial, of=len(known.trials) + known.to_come, resumed="anew" if lacks_weights else start
        )
        try:
            if before is not None and lacks_weights:
                end = self._with_weights(trial, before)
            else:
                end = self._ended(trial, start)
        except (Interrupted, DiskFullError):
            raise
        except HeadstartError as error:
            # Ctrl-C ends the subprocess too, which then looks like any other failure of it.
            if self.stop.reason == "signal":
                raise Interrupted("stopped") from error
            end = TrialEnd("failed", error=str(error))
        if end.state == "done":
            self._refuse_other_images(trial)
        self.tried.add(trial.name)
        self.unavailable |= end.missing
        self.comparison.end(trial, end)
        results = {result.trial: result for result in self.write_result().trials}
        self.watcher.trial_ended(trial, end, results[trial.name])

    def _ended(self, trial: Trial, start: Literal["anew", "resume"]) -> TrialEnd:
        end: TrialEnd = self.run_in(run_trial, self._task(trial, start), observer=self.watcher, stop=self.stop)
        return end

    def _with_weights(self, trial: Trial, before: TrialEnd) -> TrialEnd:
        """End of a new run if pretrained weights are available now, else the one with random weights."""
        network = self.comparison.run_of(trial).plan().model.name
        if network in self.unavailable:
            return before
        why: str | None = self.run_in(why_no_weights, network, observer=self.watcher, stop=self.stop)
        if why is not None:
            self.watcher.noted(RandomWeights(why))
            return replace(before, missing={network: why})
        self.comparison.discard(trial)
        return self._ended(trial, "anew")

    def measure_inference(self) -> None:
        """Measure throughput, latency and memory of prediction once for each network: strategies do not change them.

        Figures that are unstable, or implausible compared with those of other networks, are measured again.
        """
        bundles = self._bundles()
        for key in bundles:
            if key not in self.comparison.inference() and key not in self.tried:
                self._measure(key, bundles[key])
        for key in doubtful(self.comparison.inference(), {key: run.macs for key, run in bundles.items()}):
            if self.again[key] < MOST_REPEATS:
                self.again[key] += 1
                self._measure(key, bundles[key])

    def _bundles(self) -> dict[str, Measurable]:
        """Key of throughput and latency -> bundle with which they are measured."""
        found: dict[str, Measurable] = {}
        for trial in self.known().trials:
            end, run = self.comparison.end_of(trial), self.comparison.run_of(trial)
            if end is not None and end.state == "done":
                network = network_of(run)
                found.setdefault(network.inference_key, Measurable(run.bundle, network.macs))
        return found

    def _measure(self, key: str, what: Measurable) -> None:
        try:
            figures: InferenceFigures = self.run_in(
                inference_of_bundle, what.bundle, observer=self.watcher, stop=self.stop
            )
        except (Interrupted, DiskFullError):
            raise
        except HeadstartError as error:
            if self.stop.reason == "signal":
                raise Interrupted("stopped") from error
            self.tried.add(key)
            self.watcher.noted(LatencyNotMeasured(key, str(error)))
            return
        known = self.comparison.inference()
        self.comparison.write_inference({**known, key: better_of(known.get(key), figures)})

    def _has_ended(self, trial: Trial) -> bool:
        """Whether a trial has ended; failed ones and those without weights are retried, except in halving rounds."""
        end = self.comparison.end_of(trial)
        if end is None:
            return False
        is_whole = end.state == "done" and end.accuracy == "measured"
        return is_whole or trial.share < 1.0 or trial.name in self.tried

    def _task(self, trial: Trial, start: Literal["anew", "resume"]) -> TrialTask:
        """Task of a trial, for its subprocess."""
        bare = _bare_task(self.plan, trial)
        data = bare.data
        if trial.share < 1.0:
            # Rounds of halving train on a share of the images: images are counted by name, none is read.
            counts = Counter(record.label for record in drawn_by_name(whole_plan(bare)).roles.training_pool)
            most, images = max(counts.values()), counts.total()
            limit = limit_of_share(trial.share, limit=data.limit_train, images=images, most_of_a_class=most)
            data = data.model_copy(update={"limit_train": limit})
        folder = self.comparison.run_of(trial).folder
        return replace(bare, folder=folder, data=data, start=start, unavailable=dict(self.unavailable))

    def _refuse_other_images(self, trial: Trial) -> None:
        """Refuse a trial whose files differ from those of another with the same seed: verdicts compare image by image.

        Such a trial is removed, so that it is run anew once the files are restored.

        Raises:
            RunError: files were added, removed, changed or given another class since an earlier trial.
        """
        mine = self.comparison.run_of(trial).data()
        for other in self.known().trials:
            end = self.comparison.end_of(other)
            if other.name == trial.name or end is None or end.state != "done":
                continue
            theirs = self.comparison.run_of(other).data()
            same = (other.repeat, other.share) == (trial.repeat, trial.share)
            if same and theirs.validation_source == mine.validation_source and theirs.content != mine.content:
                self.comparison.discard(trial)
                raise RunError(
                    f"the images of {mine.source} changed between the trials {other.name} and {trial.name}",
                    expected="the same files for all trials",
                    remedy=f"restore them, then resume with: {self.comparison.resume_command}; "
                    "or start a new comparison on the present files",
                )


def _bare_task(plan: GridPlan, trial: Trial) -> TrialTask:
    # The metric that compares variants selects inside each trial too, unless a trial names its own.
    selects = {} if plan.metric == "accuracy" else {"metric": plan.metric}
    changes = {**selects, **plan.base, **trial.variant.changes}
    data = plan.data if trial.fold is None else plan.data.model_copy(update={"fold": str(trial.fold)})
    return TrialTask(Path(), data, trial.seed, changes, missing_weights=plan.missing_weights)


def _with_common_test_set(plan: GridPlan) -> GridPlan:
    """Plan with absolute paths, and with one test set for all seeds."""
    data = plan.data
    test_seed = plan.seeds[0] if data.test_seed is None else data.test_seed
    return plan.model_copy(update={"data": with_absolute_paths(data).model_copy(update={"test_seed": test_seed})})


ValidatedAs = Literal["tuned", "tuned out of fold", "head only"]


def _validated_as(phases: Sequence[Phase]) -> ValidatedAs:
    """How the network of a plan with these phases is validated where no validation images are held out."""
    trained = [phase for phase in phases if phase.kind == "train"]
    if any(phase.folds > 1 for phase in trained):
        return "tuned out of fold"
    return "tuned" if trained else "head only"


def _common_validation(ways: Sequence[ValidatedAs], *, values: int) -> Literal["auto", "held_out"]:
    """Validation that is the same for all variants.

    A linear probe is usually validated out-of-fold in all of train, or in a sample of it where features are many; a
    tuned network on images held out of train. The two metrics cannot be compared. Where variants would differ in this,
    the same images are held out for all of them, for linear probes too. A step that is tuned out of fold may be decided
    before every fold is validated, so two variants need not share their images: they are held out there as well.

    Args:
        ways: Of each variant.
        values: Training images times features of the widest network.
    """
    from headstart.solvers.head_solver import SAMPLE_VALUES

    in_a_sample = values > SAMPLE_VALUES and "head only" in ways
    return "held_out" if len(set(ways)) > 1 or in_a_sample or "tuned out of fold" in ways else "auto"


def _refuse_faults(plan: GridPlan, watcher: Watcher, run_in: RunInSubprocess) -> Literal["auto", "held_out"]:
    """Validation for all variants; any fault of a variant is raised before a folder is made."""
    if importlib.util.find_spec("torch") is None:  # not imported: this process only waits for subprocesses
        require("torch", extra="train")
    refuse_unknown_fields(plan.base)
    trials = trials_of(plan.variants(), plan.seeds[:1], plan.folds)[: len(plan.variants())]
    tasks = [_bare_task(plan, trial) for trial in trials]
    plans = []
    for task, trial in zip(tasks, trials, strict=True):
        refuse_unknown_fields(trial.variant.changes)
        made = whole_plan(task)
        refuse_missing_steps(made)
        refuse_by_licence(made.model, find_model(made.model.name))
        plans.append(made)
    images = len(drawn_by_name(plans[0]).roles.training_pool)
    run_in(resolve_all, tasks, observer=watcher, stop=StopRequest())
    widest = max(find_model(made.model.name).card.features or 0 for made in plans)
    return _common_validation([_validated_as(made.phases) for made in plans], values=images * widest)
