"""The Python door: what `import headstart` calls, with the keyword arguments of the command line.

Each function checks its arguments, calls one function of `workflow`, and shows on stderr how far it is.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, get_type_hints

from headstart.apps.library.watching import Watch, watching
from headstart.arguments import ArgumentError, fault_of, refuse_unknown
from headstart.plan.plan import DataPlan, Domain, Plan
from headstart.plan.request import Resize
from headstart.runs.observers import Observer
from headstart.workflow.keywords import (
    INSTEAD,
    AugmentationName,
    TrainKeywords,
    defaults,
    refuse_wrong_values,
    with_keywords,
)
from headstart.workflow.plans import TrainOptions

if TYPE_CHECKING:
    from typing import Unpack

    from headstart.workflow.reporting import Report
    from headstart.workflow.training.train import TrainingAnswer

PathLike = str | os.PathLike[str]
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def checked(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """The function, with the names and the types of its arguments checked; ranges are checked where they are used.

    An argument `options` that takes all other keywords is left to the function.
    """
    signature = inspect.signature(function)
    free = {p.name for p in signature.parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD}
    where = f"headstart.{function.__name__}"

    @functools.wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        if not free:
            refuse_unknown(kwargs, signature.parameters, where=where, instead=INSTEAD)
        given = signature.bind(*args, **kwargs).arguments
        names = {name: hint for name, hint in _hints(function).items() if name in given and name not in free}
        refuse_wrong_values({name: given[name] for name in names}, names)
        return function(*args, **kwargs)

    return call


def _hints(function: Callable[..., object]) -> dict[str, Any]:
    """Annotations of the arguments; that of the answer may name a module that is not loaded yet."""
    found = dict(function.__annotations__)
    found.pop("return", None)
    found.pop("options", None)
    holder = type("Holder", (), {"__annotations__": found, "__module__": function.__module__})
    return get_type_hints(holder)


def with_options(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Show each keyword of training with its default where signatures are shown: `help`, notebooks."""
    signature = inspect.signature(function)
    plain = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    hints = TrainKeywords.__annotations__
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=_written(hints[name]))
        for name, value in defaults().items()
        if name not in {p.name for p in plain}
    ]
    function.__signature__ = signature.replace(parameters=[*plain, *options])  # type: ignore[attr-defined]
    return function


def _written(hint: Any) -> str:  # noqa: ANN401
    return getattr(hint, "__forward_arg__", str(hint))


@with_options
@checked
def fit(
    data: PathLike | DataPlan | TrainOptions | Plan | None = None,
    *,
    plan: Plan | PathLike | None = None,
    out: PathLike | None = None,
    track: Sequence[str] = (),
    observer: Observer | None = None,
    progress: Watch = "auto",
    **options: Unpack[TrainKeywords],
) -> TrainingAnswer:
    """Train a classifier on DATA, judge it, and write its bundle: `headstart.fit("photos", strategy="gradual")`.

    Args:
        data: DATA: a folder, tar or table; options as one object; or a plan.
        plan: A plan, or the path of its YAML, in place of options; DATA then overrides its source, and
            `budget_seconds` its budget.
        out: Run folder; a new one under `runs/` if None.
        track: Places the run is written to as well, such as `tensorboard` or `mlflow`.
        observer: Told what happens while training.
        progress: auto shows bars and epochs on stderr or in a notebook, none shows nothing.
        options: The options of `headstart train`, by the names of `headstart.TrainOptions` and `headstart.DataPlan`:
            strategy, model, domain, input_size, epochs, thaw, rates, peak_rates, grain, noncommercial_weights,
            augmentation, head, head_solver, batch_size, learning_rate, optimizer, weight_decay, seed, budget_seconds,
            val, group, unreadable, limit_train, limit_test, bits, report_share,
            report_seed, select_share, validation, resize, class_weight.

    Raises:
        ArgumentError: no such argument, or arguments that do not go together; a TypeError and ValueError too.
        HeadstartError: see its subclasses; Interrupted after Ctrl-C or SIGTERM, with everything saved.
    """
    from headstart.workflow.training.train import train

    request = request_of(data, plan, options)
    budget = options.get("budget_seconds") if isinstance(request, Plan) else None
    with watching(progress, observer) as (shown, told):
        return train(request, out=_path(out), budget_seconds=budget, track=track, observer=told, progress=shown)


def request_of(
    data: PathLike | DataPlan | TrainOptions | Plan | None, plan: Plan | PathLike | None, options: Mapping[str, Any]
) -> TrainOptions | Plan:
    """What is to be trained.

    Raises:
        ArgumentError: no images, two plans, or options beside a plan.
    """
    if isinstance(data, Plan):
        if plan is not None:
            raise ArgumentError("both data and plan are plans", remedy="give one of them")
        data, plan = None, data
    if plan is not None:
        odd = sorted(set(options) - {"budget_seconds"})
        if odd or isinstance(data, TrainOptions | DataPlan):
            found = f"{', '.join(odd) or type(data).__name__} has no effect beside a plan"
            raise ArgumentError(found, remedy="change the plan: plan.changed(...), or its YAML")
        found_plan = plan if isinstance(plan, Plan) else Plan.read(Path(plan))
        if data is None:
            return found_plan
        return found_plan.changed(data=found_plan.data.model_copy(update={"source": os.fspath(data)}))
    if data is None:
        raise ArgumentError("no images are given", expected="DATA, such as a folder of class folders, or a plan")
    if isinstance(data, TrainOptions):
        asked = data
    else:
        part = data if isinstance(data, DataPlan) else DataPlan.from_options(source=os.fspath(data))
        asked = TrainOptions(part)
    return with_keywords(asked, options, where="headstart.fit")


@checked
def resume(
    folder: PathLike,
    data: PathLike | None = None,
    *,
    val: PathLike | None = None,
    budget_seconds: float | None = None,
    observer: Observer | None = None,
    progress: Watch = "auto",
) -> TrainingAnswer:
    """Go on with a run that was stopped, killed or out of budget; the result is the one it would have had.

    Args:
        folder: Of the run.
        data: Where its images lie now, if they moved.
        val: The same of a folder that reports.
        budget_seconds: In place of the plan's own, from now on; infinite lifts it.
        observer: Told what happens while training.
        progress: As in `fit`.

    Raises:
        RunError: not a run, its checkpoint is damaged, or its images changed.
    """
    from headstart.workflow.training import resume as workflow

    with watching(progress, observer) as (shown, told):
        return workflow.resume(
            Path(folder),
            data=_text(data),
            val=_text(val),
            budget_seconds=budget_seconds,
            observer=told,
            progress=shown,
        )


@checked
def score(
    bundle: PathLike,
    data: PathLike | None = None,
    *,
    split: Literal["train", "val", "test"] | None = None,
    group: str | None = None,
    seen: Literal["leave_out", "include"] | None = None,
    progress: Watch = "auto",
) -> dict[str, Any]:
    """Figures of a bundle on labelled images, as `headstart evaluate --json` prints them.

    Args:
        bundle: Folder of the bundle, or of the run that made it.
        data: DATA; None repeats the test images of the run.
        split: Of split folders; test, else val, else everything if None.
        group: Pattern whose group 1 names what belongs together, which intervals count; as in training if None.
        seen: Whether images that the bundle was trained on are judged; left out if None and there is DATA.
        progress: As in `fit`.

    Raises:
        DataError: the images have classes the bundle does not know, or cannot be read.
        BundleError: not a bundle.
    """
    from headstart.workflow import evaluating

    with watching(progress) as (shown, _):
        return evaluating.evaluate(Path(bundle), _text(data), split=split, group=group, seen=seen, progress=shown)


@checked
def check(
    data: PathLike,
    *,
    val: PathLike | None = None,
    group: str | None = None,
    model: str | None = None,
    input_size: int | None = None,
    resize: Resize | None = None,
    bits: int | None = None,
    near_duplicates: PathLike | None = None,
    preview: PathLike | None = None,
    domain: Domain | None = None,
    augmentation: AugmentationName | None = None,
    seed: int = 0,
    progress: Watch = "auto",
) -> dict[str, Any]:
    """What is in DATA and what is suspicious there, as `headstart check --json` prints it.

    Args:
        data: DATA.
        val: A folder that reports, as in `fit`.
        group: Pattern whose group 1 names what must stay together.
        model: Whose input; the default of `fit` if None.
        input_size: Side in pixels.
        resize: How an image becomes a square; the way of the weights if None.
        bits: Bits that grey images of more than 8 bits use; all if None.
        near_duplicates: A .csv to write: image, label and group; near-identical images share one.
        preview: A PNG to write: images exactly as the network sees them. The arguments after it are for it only.
        domain: Kind of images; decides augmentation.
        augmentation: How far views may vary.
        seed: Of the views.
        progress: As in `fit`.

    Raises:
        DataError: there is nothing to read.
        ArgumentError: an argument that has no effect without `preview`.
    """
    from headstart.workflow import images

    of_preview = {"domain": domain, "augmentation": augmentation}
    odd = [name for name, value in of_preview.items() if value is not None] + ["seed"] * (seed != 0)
    if preview is None and odd:
        raise ArgumentError(f"{', '.join(odd)} has no effect without preview", remedy="preview='sheet.png' writes one")
    source = os.fspath(data)
    if preview is not None:
        images.refuse_preview(source, Path(preview))
    with watching(progress) as (shown, _):
        answer = images.check(
            source,
            val=_text(val),
            group=group,
            model=model,
            input_size=input_size,
            resize=resize,
            bits=bits,
            group_table=_path(near_duplicates),
            progress=shown,
        )
        if preview is not None:
            part = DataPlan.from_options(source=source, bits=bits)
            options = TrainOptions(
                part,
                model=model,
                domain=domain,
                augmentation=augmentation,
                input_size=input_size,
                resize=resize,
                seed=seed,
            )
            images.preview(options, Path(preview))
            answer["preview"] = os.fspath(preview)
    return answer


@checked
def report(
    runs: PathLike | Sequence[PathLike], *, out: PathLike | None = None, images: Literal["named", "shown"] = "named"
) -> list[Report]:
    """Write one HTML page for each run or comparison, `report.html` in its folder.

    Args:
        runs: Folder of a run or comparison, or several.
        out: Another file, for a single page.
        images: shown puts small copies of the images behind mistakes into the page.

    Raises:
        RunError: no run, a damaged file, or nothing was trained yet.
        HeadstartError: `out` for several pages, or a file that cannot be written.
    """
    from headstart.workflow import reporting

    folders = [runs] if isinstance(runs, str | os.PathLike) else list(runs)
    if wrong := [fault for at, one in enumerate(folders) if (fault := fault_of(f"runs[{at}]", one, PathLike))]:
        raise ArgumentError(wrong[0])
    return reporting.report([Path(folder) for folder in folders], out=_path(out), images=images)


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)


def _text(path: PathLike | None) -> str | None:
    return None if path is None else os.fspath(path)
