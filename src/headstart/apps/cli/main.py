"""The command line: parse, call one workflow function, show. Nothing here imports torch."""

from __future__ import annotations

import io
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from headstart.amounts import count_text
from headstart.apps.cli.advise import advise
from headstart.apps.cli.cache import cache
from headstart.apps.cli.compare import compare
from headstart.apps.cli.embed import embed
from headstart.apps.cli.exits import Commands, exit_code
from headstart.apps.cli.models import models
from headstart.apps.cli.options import training as of
from headstart.apps.cli.options.parsing import refuse_others
from headstart.apps.cli.options.words import Head, HeadSolver, SeenImages
from headstart.apps.cli.plan import plan as plan_command
from headstart.apps.cli.probe import probe
from headstart.apps.cli.report import report
from headstart.apps.cli.runs import runs
from headstart.apps.cli.shortlist import shortlist
from headstart.apps.cli.text.printing import json_text, left_out_lines, show_text, without_prediction
from headstart.apps.cli.web import web
from headstart.data.sources.reading import DIGITS, EMBEDDED_DIGITS

app = typer.Typer(
    name="headstart",
    cls=Commands,
    help="Transfer learning on images: from a folder of labelled photos to a classifier that can be trusted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def demo(
    as_json: of.Json = False, out: Annotated[Path | None, typer.Option("--out", help="Run folder.")] = None
) -> None:
    """Train on the embedded handwritten digits with the embedded weights: the whole way in about a minute."""
    options = {"source": EMBEDDED_DIGITS if Path(DIGITS).exists() else DIGITS}
    _train(options, {"input_size": 48, "epochs": 3, "budget_seconds": 70.0}, out=out, as_json=as_json)


@app.command()
def check(
    context: typer.Context,
    data: of.Data,
    as_json: of.Json = False,
    val: Annotated[str | None, typer.Option("--val", help="Folder that will report.")] = None,
    group: of.Group = None,
    preview: Annotated[
        Path | None, typer.Option("--preview", help="Write a PNG of images exactly as the network sees them.")
    ] = None,
    near_duplicates: Annotated[
        Path | None,
        typer.Option(
            "--near-duplicates", help="Write a .csv of image, label and group; near-identical images share one."
        ),
    ] = None,
    model: of.Model = None,
    domain: of.DomainOption = None,
    augmentation: of.AugmentationOption = None,
    input_size: of.InputSize = None,
    resize: of.ResizeOption = None,
    bits: of.Bits = None,
    seed: of.Seed = 0,
) -> None:
    """Look at the images before training: counts, unreadable files, sizes, what is suspicious."""
    from headstart.apps.cli.text import console
    from headstart.plan.plan import DataPlan
    from headstart.workflow import images, plans

    if preview is None:
        allowed = {"data", "as_json", "val", "group", "near_duplicates", "model", "input_size", "resize", "bits"}
        refuse_others(context, allowed, when="without --preview", why="it decides about training views")
    else:
        images.refuse_preview(data, preview)
    seen: dict[str, Any] = {"model": model, "input_size": input_size, "resize": resize}
    answer = images.check(
        data, val=val, group=group, bits=bits, group_table=near_duplicates, progress=console.progress(), **seen
    )
    if preview is not None:
        options = plans.TrainOptions(
            DataPlan.from_options(source=data, bits=bits),
            domain=domain,
            augmentation=augmentation,
            seed=seed,
            **seen,
        )
        images.preview(options, preview)
        answer["preview"] = str(preview)
    _show(answer, as_json=as_json, text=console.check_text)


@app.command()
def train(
    context: typer.Context,
    data: of.OptionalData = None,
    strategy: of.StrategyOption = None,
    plan: Annotated[Path | None, typer.Option("--plan", help="A plan as YAML; DATA overrides its source.")] = None,
    model: of.Model = None,
    epochs: of.Epochs = None,
    thaw: of.Thaw = None,
    rates: of.RatesOption = None,
    grain: of.GrainOption = None,
    find_rate: of.FindRate = False,
    allow_noncommercial: of.AllowNoncommercial = False,
    domain: of.DomainOption = None,
    val: of.Val = None,
    group: of.Group = None,
    head: of.HeadOption = Head.linear,
    head_solver: of.HeadSolverOption = HeadSolver.solved,
    augmentation: of.AugmentationOption = None,
    input_size: of.InputSize = None,
    resize: of.ResizeOption = None,
    bits: of.Bits = None,
    batch_size: of.BatchSize = None,
    limit_train: of.LimitTrain = None,
    limit_test: of.LimitTest = None,
    strict: of.Strict = False,
    seed: of.Seed = 0,
    budget: of.Budget = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder; default: a new one under runs/.")] = None,
    track: Annotated[
        list[str] | None, typer.Option("--track", help="tensorboard[:FOLDER] or mlflow[:URI]; may be given again.")
    ] = None,
    resume: Annotated[Path | None, typer.Option("--resume", help="Go on with this run; DATA if it moved.")] = None,
    as_json: of.Json = False,
) -> None:
    """Train a classifier, judge it, and write the bundle that `predict` and `evaluate` use."""
    from headstart.apps.cli.options.parsing import parse_seconds

    seconds = parse_seconds(budget)
    if resume is not None:
        allowed = {"resume", "data", "val", "budget", "as_json"}
        refuse_others(context, allowed, when="beside --resume", why="the run's own plan is used")
        _resume(resume, data, val, budget_seconds=seconds, as_json=as_json)
        return
    if plan is not None:
        allowed = {"plan", "data", "out", "budget", "track", "as_json"}
        refuse_others(context, allowed, when="beside --plan", why="change the plan file")
        _train_plan(plan, data, budget_seconds=seconds, track=track or (), out=out, as_json=as_json)
        return
    if data is None:
        raise typer.BadParameter("DATA is missing (or --plan, or --resume)", param_hint="DATA")
    source, chosen = of.said_of(context.params)
    _train(source, chosen, track=track or (), out=out, as_json=as_json)


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Bundle or run folder that training made.")],
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help=f"{of.DATA_HELP} Default: the run's own test images once more."),
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="train, val or test; default: test, else val.")] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            help="Regular expression on the image path; intervals count what group 1 names. Default: as in training.",
        ),
    ] = None,
    seen: Annotated[
        SeenImages | None,
        typer.Option("--seen", help="Images the bundle was trained on: leave_out (default with DATA) or include."),
    ] = None,
    as_json: of.Json = False,
) -> None:
    """Judge a bundle on labelled images: accuracy with its interval, figures of each class, confusion."""
    from headstart.apps.cli.text import console, figures
    from headstart.workflow import evaluating

    policy: Any = None if seen is None else seen.value
    answer = evaluating.evaluate(bundle, data, split=split, group=group, seen=policy, progress=console.progress())
    _show(answer, as_json=as_json, text=figures.figures_text)


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that training made.")],
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Images, or folders of images.")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Write a .csv or .parquet: file, label, probability, and one column a class."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop if any file gives no prediction, instead of naming it.")
    ] = False,
    as_json: of.Json = False,
) -> None:
    """Say what is on images, with the probability of every class; JSON names the files without a prediction too."""
    from headstart.apps.cli.text import console
    from headstart.delivery import predictions
    from headstart.workflow import evaluating

    if out is not None:
        predictions.refuse_prediction_file(out)
    answers, left_out = evaluating.predict(
        bundle, files, left_out="stop" if strict else "name", progress=console.progress()
    )
    for line in left_out_lines(left_out):
        console.warn(line)
    if out is not None:
        predictions.write_predictions(answers, list(answers[0]["probabilities"]), out)
    if as_json:
        show_text(json_text([*({**answer, "error": None} for answer in answers), *without_prediction(left_out)]))
    elif out is not None:
        show_text(f"{count_text(len(answers), 'prediction')} in {out}")
    else:
        show_text(console.predictions_text(answers))


app.command()(advise)
app.command()(models)
app.command()(cache)
app.command()(embed)
app.command()(compare)
app.command("plan")(plan_command)
app.command()(probe)
app.command()(report)
app.command()(runs)
app.command()(shortlist)
app.command()(web)


def _train(
    source: dict[str, Any], chosen: dict[str, Any], *, out: Path | None, as_json: bool, track: Sequence[str] = ()
) -> None:
    from headstart.apps.cli.text import console
    from headstart.plan.plan import DataPlan
    from headstart.workflow import plans
    from headstart.workflow.training import train as workflow

    options = plans.TrainOptions(DataPlan.from_options(**source), **chosen)
    with console.training() as observer:
        answer = workflow.train(
            options, out=out, track=track, observer=observer, progress=observer.progress, started=_STARTED
        )
    _show(answer.metrics, as_json=as_json, text=console.training_text)


def _train_plan(
    path: Path,
    data: str | None,
    *,
    budget_seconds: float | None,
    track: Sequence[str],
    out: Path | None,
    as_json: bool,
) -> None:
    from headstart.apps.cli.text import console
    from headstart.plan.plan import Plan
    from headstart.workflow.training import train as workflow

    plan = Plan.read(path)
    if data is not None:
        plan = plan.changed(data=plan.data.model_copy(update={"source": data}))
    with console.training() as observer:
        answer = workflow.train(
            plan,
            out=out,
            budget_seconds=budget_seconds,
            track=track,
            observer=observer,
            progress=observer.progress,
            started=_STARTED,
        )
    _show(answer.metrics, as_json=as_json, text=console.training_text)


def _resume(run: Path, data: str | None, val: str | None, *, budget_seconds: float | None, as_json: bool) -> None:
    from headstart.apps.cli.text import console
    from headstart.workflow.training import resume as workflow

    with console.training() as observer:
        answer = workflow.resume(
            run,
            data=data,
            val=val,
            budget_seconds=budget_seconds,
            observer=observer,
            progress=observer.progress,
            started=_STARTED,
        )
    _show(answer.metrics, as_json=as_json, text=console.training_text)


def _show(answer: Any, *, as_json: bool, text: Any) -> None:  # noqa: ANN401 - answers differ by command
    if as_json:
        show_text(json_text(answer))
    else:
        show_text(text(answer))


_STARTED = time.monotonic()


def main() -> NoReturn:
    """Run the command; a user's mistake is one line on stderr and exit code 1."""
    warnings.filterwarnings("ignore", module=r"PIL\..*")  # odd metadata and large images: checked where they are read
    _print_whatever_comes()
    sys.exit(exit_code(app))


def _print_whatever_comes() -> None:
    """A name that the terminal's encoding lacks is escaped; it must not end a command whose work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
