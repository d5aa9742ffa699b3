"""train: folder -> plan -> training -> bundle -> figures."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from headstart.data.checks import image_checks
from headstart.data.loading import choose_workers
from headstart.data.trained_on import TrainedOn, write_trained_on
from headstart.distributed.background import in_background_thread
from headstart.errors import DataError, Interrupted, ModelError, RunError, UnreachableError, require
from headstart.files import is_free
from headstart.input_spec import InputSpec
from headstart.machine import choose_device
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan, Plan
from headstart.plan.request import Request
from headstart.runs.event import Event
from headstart.runs.events import Stopping, WeightsLoaded
from headstart.runs.folder import Run, new_folder, resume_command
from headstart.runs.observers import Observer
from headstart.runs.progress import Progress, no_progress
from headstart.runs.warnings import AdviceWarning, DataFinding, OptionWithoutEffect
from headstart.training.trackers.trackers import Tracker, TrackerChoice, chosen_trackers
from headstart.workflow.advising import advised
from headstart.workflow.evaluating import kept_features
from headstart.workflow.images import CheckedData, check_for_training, content_hash, with_absolute_paths
from headstart.workflow.planning import counted_plan
from headstart.workflow.plans import (
    AUTO,
    make_plan,
    options_without_effect,
    refuse_by_licence,
    refuse_missing_steps,
)
from headstart.workflow.training.final_figures import final_figures
from headstart.workflow.training.image_weights import image_weights
from headstart.workflow.training.result import TrainResult
from headstart.workflow.training.run_data import data_json

if TYPE_CHECKING:
    from headstart.engine.store.training_images import TrainingImages
    from headstart.networks.backbone import Classifier
    from headstart.training.best_epoch import Outcome


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
    """Folder -> plan -> training -> bundle -> figures.

    Everything that can be wrong with options, plan, data and weights is found before the run folder is made.

    Args:
        request: DATA, options to make a plan from, or a plan.
        out: Run folder; a new one under `runs/` if None.
        budget_seconds: In place of the plan's own; infinite lifts it.
        track: Places the run is written to as well, such as `tensorboard` or `mlflow`.
        observer: Told what happens while training.
        progress: Told how far the reading of images is.
        started: `time.monotonic()` when the command began, for the budget and the total.

    Raises:
        HeadstartError: see its subclasses; Interrupted after Ctrl-C or SIGTERM, with everything saved.
    """
    started = started if started is not None else time.monotonic()
    if isinstance(request, str):
        request = Request(DataPlan.from_options(source=request))
    asked = request if isinstance(request, Request) else None
    notes: list[Event] = []
    if asked is not None and asked.strategy == AUTO:
        advice = advised(asked)
        request, notes = advice.plan, [AdviceWarning(text) for text in advice.warnings]
    plan = with_budget(request if isinstance(request, Plan) else make_plan(request), budget_seconds)
    refuse_missing_steps(plan)
    trackers = chosen_trackers(track)
    out = None if out is None else Path(out)
    choice = find_model(plan.model.name)
    refuse_by_licence(plan, choice)
    if out is not None and not is_free(out):
        raise RunError(
            f"{out} exists already", remedy=f"choose another --out, or go on with: {resume_command('train', out)}"
        )
    require("torch", extra="train")
    use_machine(plan)
    with in_background_thread(partial(check_for_training, plan), progress) as reading:
        settle(plan, choice)  # faults of the plan end it before all images are read
        _import_what_trains(choice)
        data = reading.result()
    if isinstance(request, Request):
        plan = with_budget(counted_plan(request, data), budget_seconds)
    for name in options_without_effect(asked, plan) if asked is not None else ():
        notes.append(OptionWithoutEffect(name, plan.strategy))
    given = Given(plan, out, trackers, notes)
    return train_settled(given, settle(plan, choice), choice, data, resumed=None, observer=observer, started=started)


@dataclass(frozen=True)
class Given:
    """What was asked for, as it was."""

    plan: Plan
    out: Path | None
    trackers: Sequence[TrackerChoice]
    notes: Sequence[Event] = ()
    """Events from before there was a run to tell them."""


def train_settled(
    given: Given,
    plan: Plan,
    choice: ModelChoice,
    data: CheckedData,
    *,
    resumed: Run | None,
    observer: Observer | None,
    started: float,
) -> TrainResult:
    """Build the network, make the run folder, train, write the bundle, judge it on the images that report."""
    from headstart.engine.costs.run_estimate import run_estimates
    from headstart.engine.costs.timing import TimingObserver
    from headstart.prediction.bundle import save_bundle
    from headstart.runs.observers import All, EventLog
    from headstart.training.loop import fit
    from headstart.training.stopping import StopRequest
    from headstart.training.training import Training

    _make_deterministic()
    classifier = _build(plan, choice, num_classes=len(data.roles.classes))
    images = _training_images(plan, choice, data)
    if resumed is None:
        plan = _with_absolute_paths(plan, choice)
    run = resumed or _new_run(given, plan, data, images.spec)
    timing = TimingObserver(run_estimates(classifier, images, started=started))
    counted = All([EventLog(run), timing, observer or Observer()])
    settings = plan.model_dump(mode="json", exclude={"reasons", "schema_version"})
    tracker = Tracker(run, given.trackers, parameters=settings, tell=counted)
    watchers = All([counted, tracker])
    for event in given.notes:
        watchers.noted(event)
    if choice.file is not None and classifier.report is not None:
        watchers.noted(WeightsLoaded(**asdict(classifier.report)))
    for finding in image_checks.find_image_findings(data.dataset, data.facts, images.spec):
        if finding.level != "info":
            watchers.noted(DataFinding.of(finding))
    teller = observer or Observer()
    stop = StopRequest(
        budget_seconds=plan.budget_seconds,
        started=started,
        tell=lambda text: teller.noted(Stopping(text)),
    )
    with _way_on(run), stop.listening(), tracker:
        outcome = fit(Training(plan, classifier, images, run=run, observer=watchers, stop=stop, costs=timing.estimates))
        _raise_if_interrupted(outcome, run)
        save_bundle(run.bundle, classifier, classes=data.roles.classes, spec=images.spec)
        write_trained_on(run.bundle, _trained_on(plan, data))
        digests = data.facts.digests
        kept = kept_features(plan.phases, outcome.chosen, plan.activation_cache, plan.model.weights, digests)
        metrics = final_figures(run, data, outcome, observer=watchers, timing=timing, kept=kept, started=started)
        tracker.report(metrics)
        return TrainResult(run, metrics)


def _with_absolute_paths(plan: Plan, choice: ModelChoice) -> Plan:
    """The plan as a resume finds its images and weights from any folder."""
    name = choice.name if choice.file is None else replace(choice, file=choice.file.absolute()).name
    model = plan.model.model_copy(update={"name": name})
    return plan.model_copy(update={"data": with_absolute_paths(plan.data), "model": model})


def _new_run(given: Given, plan: Plan, data: CheckedData, spec: InputSpec) -> Run:
    return Run.create(
        given.out or new_folder(Path("runs"), f"{data.dataset.name}-{time.strftime('%Y%m%d-%H%M%S')}"),
        given=given.plan,
        settled=plan,
        data=data_json(given.plan.data.source, data, spec),
    )


@contextmanager
def _way_on(run: Run) -> Iterator[None]:
    """Whatever ends training before its end: the line names the command that goes on."""
    try:
        yield
    except KeyboardInterrupt as stopped:  # a second Ctrl-C
        way_on = f"go on with: {run.resume_command}"
        raise Interrupted("stopped at once; what was saved last is whole", remedy=way_on) from stopped
    except (RunError, DataError, UnreachableError) as error:
        remedy = "; then ".join(filter(None, (error.remedy, f"go on with: {run.resume_command}")))
        raise type(error)(error.found, expected=error.expected, remedy=remedy) from error


def _build(plan: Plan, choice: ModelChoice, *, num_classes: int) -> Classifier:
    """The network of a settled plan, on the device that will train it."""
    from headstart.engine.prefix.depth_features import with_depths
    from headstart.machine import best_device
    from headstart.networks.backbone import build_classifier

    assert isinstance(plan.input.size, int)
    classifier = build_classifier(
        choice,
        kind="linear" if plan.head.kind == "multi_depth" else plan.head.kind,
        num_classes=num_classes,
        seed=plan.seed,
        input_size=plan.input.size,
        weights=plan.model.weights,
        grain=plan.model.grain,
    )
    if plan.head.kind == "multi_depth":
        classifier = with_depths(classifier, plan.input.size)
    classifier.network.to(best_device())
    return classifier


def _training_images(plan: Plan, choice: ModelChoice, data: CheckedData) -> TrainingImages:
    """Roles, what the network sees of an image, and where the settled plan keeps what is frozen."""
    from headstart.engine.store.store import ActivationStore
    from headstart.engine.store.training_images import TrainingImages

    assert isinstance(plan.input.size, int)
    return TrainingImages(
        data.roles,
        choice.card.input.as_requested(size=plan.input.size, resize=plan.input.resize, bits=plan.data.bits),
        data.groups,
        digests={name: bytes.fromhex(digest) for name, digest in data.facts.digests.items()},
        store=None if plan.activation_cache == "off" else ActivationStore(),
        precision="float32" if plan.activation_cache == "float32" else "float16",
        weights=image_weights(plan.class_weight, data.roles.training_pool, head=plan.head),
        pixels=round(median(width * height for width, height in data.facts.sizes.values())),
    )


def _raise_if_interrupted(outcome: Outcome, run: Run) -> None:
    if outcome.stopped == "signal":
        raise Interrupted("stopped; everything is saved", remedy=f"go on with: {run.resume_command}")


def _trained_on(plan: Plan, data: CheckedData) -> TrainedOn:
    """What the bundle remembers of its images; validation images count as such even if the final head learned them."""
    train, validation = ([data.facts.digests[r.id] for r in part] for part in (data.roles.train, data.roles.validation))
    return TrainedOn.of(train, validation, content=content_hash(data), group=plan.data.group)


def _import_what_trains(choice: ModelChoice) -> None:
    """All that training will import anyway; some two seconds."""
    require(choice.card.library, extra="train")
    import headstart.prediction.predictor
    import headstart.training.loop  # noqa: F401


def use_machine(plan: Plan) -> None:
    """Let this process compute on the device of a plan, and decode with as many threads as it says.

    Raises:
        HeadstartError: this machine has no such device.
    """
    choose_workers(None if plan.workers == "auto" else plan.workers)
    choose_device(plan.device)


def _make_deterministic() -> None:
    """The same operations in the same order give the same bits; on a CPU they do for a given number of threads."""
    import torch

    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False


def settle(plan: Plan, choice: ModelChoice) -> Plan:
    """The plan with every `auto` decided by the network of `choice`.

    Raises:
        ModelError: it has no layer groups.
        PlanError: the plan does not fit its groups.
    """
    from headstart.networks.backbone import group_names_of

    size = choice.card.input.size
    names = group_names_of(
        choice, input_size=size if plan.input.size == "auto" else plan.input.size, grain=plan.model.grain
    )
    if len(names) < 2:
        raise ModelError(f"{choice.name} cannot be given classes", expected="a network that ends in a classifier")
    resize = choice.card.input.resize_name
    return plan.resolved(model_name=choice.name, input_size=size, group_names=names, input_resize=resize)


def with_budget(plan: Plan, budget_seconds: float | None) -> Plan:
    """The plan with another budget; None leaves its own, infinite lifts it."""
    if budget_seconds is None:
        return plan
    return plan.model_copy(update={"budget_seconds": None if budget_seconds == math.inf else budget_seconds})
