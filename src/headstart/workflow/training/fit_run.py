"""Training inside a run folder: fit, write the bundle, evaluate it on the test set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from headstart.data.checks import image_checks
from headstart.data.trained_on import TrainedOn, write_trained_on
from headstart.errors import DataError, Interrupted, RunError, UnreachableError
from headstart.runs.event import Event
from headstart.runs.events import Stopping, WeightsLoaded
from headstart.runs.folder import Run
from headstart.runs.observers import All, EventLog, Observer
from headstart.runs.warnings import DataFinding
from headstart.training.trackers.trackers import Tracker, TrackerChoice
from headstart.workflow.images import CheckedData, content_hash
from headstart.workflow.training.build import BuiltTraining
from headstart.workflow.training.final_figures import final_figures
from headstart.workflow.training.result import TrainResult

if TYPE_CHECKING:
    from headstart.training.best_epoch import Outcome


def fit_run(
    built: BuiltTraining,
    run: Run,
    *,
    trackers: Sequence[TrackerChoice],
    notes: Sequence[Event] = (),
    observer: Observer | None,
    started: float,
) -> TrainResult:
    """Result of training in a run folder, new or resumed: fit -> bundle -> figures on the test set.

    Args:
        built: Plan, network and images.
        run: The folder; a checkpoint in it is where training goes on.
        trackers: Places the run is written to as well.
        notes: Events from before there was a run to log them.
        observer: Receives what happens.
        started: `time.monotonic()` when the command began, for the budget and the total.

    Raises:
        HeadstartError: see its subclasses, each with the command that resumes the run; Interrupted after Ctrl-C or
            SIGTERM, with everything saved.
    """
    from headstart.engine.costs.run_estimate import run_estimates
    from headstart.engine.costs.timing import TimingObserver
    from headstart.prediction.bundle import save_bundle
    from headstart.prediction.evaluation import cached_features
    from headstart.training.loop import fit
    from headstart.training.stopping import StopRequest
    from headstart.training.training import Training

    plan, data, images, classifier = built.plan, built.data, built.images, built.classifier
    teller = observer or Observer()
    timing = TimingObserver(run_estimates(classifier, images, started=started))
    logged = All([EventLog(run), timing, teller])
    settings = plan.model_dump(mode="json", exclude={"reasons", "schema_version"})
    # What a tracker cannot write becomes an event of the run; the tracker itself is not told.
    tracker = Tracker(run, trackers, parameters=settings, tell=logged)
    watchers = All([logged, tracker])
    for event in (*notes, *_first_events(built)):
        watchers.noted(event)
    stop = StopRequest(
        budget_seconds=plan.budget_seconds, started=started, tell=lambda text: teller.noted(Stopping(text))
    )
    with _naming_the_resume_command(run), stop.listening(), tracker:
        training = Training(plan, classifier, images, run=run, observer=watchers, stop=stop, costs=timing.estimates)
        outcome = fit(training)
        _raise_if_interrupted(outcome, run)
        # The bundle is written before it is evaluated: the test figures are those of the files that a user loads.
        save_bundle(
            run.bundle, training.classifier, classes=data.roles.classes, spec=images.spec, balance=images.balance
        )
        write_trained_on(run.bundle, _trained_on(plan.data.group, data))
        digests = data.facts.digests
        cached = cached_features(plan.phases, outcome.chosen, plan.activation_cache, plan.model.weights, digests)
        metrics = final_figures(run, data, outcome, observer=watchers, timing=timing, cached=cached, started=started)
        tracker.report(metrics)
        return TrainResult(run, metrics)


def _first_events(built: BuiltTraining) -> Iterator[Event]:
    """Events from before the first step: a file of weights that was loaded, and findings about the images."""
    yield from built.notes
    report = built.classifier.report
    if built.choice.file is not None and report is not None:
        yield WeightsLoaded(**asdict(report))
    data = built.data
    for finding in image_checks.find_image_findings(data.dataset, data.facts, built.images.spec, groups=data.groups):
        if finding.level != "info":
            yield DataFinding.of(finding)


@contextmanager
def _naming_the_resume_command(run: Run) -> Iterator[None]:
    """Errors that end training name the command that resumes the run."""
    try:
        yield
    except KeyboardInterrupt as stopped:  # a second Ctrl-C
        remedy = f"go on with: {run.resume_command}"
        raise Interrupted("stopped at once; what was saved last is whole", remedy=remedy) from stopped
    except (RunError, DataError, UnreachableError) as error:
        remedy = "; then ".join(filter(None, (error.remedy, f"go on with: {run.resume_command}")))
        raise type(error)(error.found, expected=error.expected, remedy=remedy) from error


def _raise_if_interrupted(outcome: Outcome, run: Run) -> None:
    if outcome.stopped == "signal":
        raise Interrupted("stopped; everything is saved", remedy=f"go on with: {run.resume_command}")


def _trained_on(group: str | None, data: CheckedData) -> TrainedOn:
    """Images that the bundle was trained on; validation images count as such even if the final head learned them.

    Args:
        group: Pattern of groups, as the plan has it.
        data: The images.
    """
    train, validation = ([data.facts.digests[r.id] for r in part] for part in (data.roles.train, data.roles.validation))
    return TrainedOn.of(train, validation, content=content_hash(data), group=group)
