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
from headstart.apps.advise import advise
from headstart.apps.cache import cache
from headstart.apps.compare import compare
from headstart.apps.embed import embed
from headstart.apps.models import models
from headstart.apps.option_words import Augmentation, DomainName, Grain, Head, HeadSolver, Rates, Resize, Strategy
from headstart.apps.parsing import refuse_others
from headstart.apps.printing import json_text, show_text, visible_name
from headstart.apps.probe_command import probe
from headstart.apps.report import report
from headstart.apps.runs import runs
from headstart.apps.shortlist import shortlist
from headstart.apps.web import web
from headstart.errors import HeadstartError

app = typer.Typer(
    name="headstart",
    help="Transfer learning on images: from a folder of labelled photos to a classifier that can be trusted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

DATA_HELP = "Folder of class folders, of train/val/test folders of class folders, a .tar of either, or `digits`."


Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON on stdout; progress stays on stderr.")]
Model = Annotated[str | None, typer.Option("--model", help="ARCH, ARCH:TAG or ARCH:file:PATH; see `headstart models`.")]
Group = Annotated[
    str | None,
    typer.Option("--group", help="Regular expression on the image path; what group 1 matches stays on one side."),
]
DomainOption = Annotated[DomainName | None, typer.Option("--domain", help="Kind of images; decides augmentation.")]
AugmentationOption = Annotated[Augmentation | None, typer.Option("--augmentation", help="How far views may vary.")]
InputSize = Annotated[int | None, typer.Option("--input-size", help="Side in pixels; default: the weights' own.")]
ResizeOption = Annotated[
    Resize | None,
    typer.Option(
        "--resize", help="squash and letterbox keep the whole image; default: as the weights want, mostly crop."
    ),
]
Bits = Annotated[
    int | None, typer.Option("--bits", help="Bits that grey images of more than 8 bits use, such as 12; default: all.")
]
Seed = Annotated[int, typer.Option("--seed", help="Decides splits, order, views and head.")]


@app.command()
def demo(as_json: Json = False, out: Annotated[Path | None, typer.Option("--out", help="Run folder.")] = None) -> None:
    """Train on the embedded handwritten digits with the embedded weights: the whole way in about a minute."""
    options = {"source": "digits"}
    _train(options, {"input_size": 48, "epochs": 3, "budget_seconds": 70.0}, out=out, as_json=as_json)


@app.command()
def check(
    context: typer.Context,
    data: Data,
    as_json: Json = False,
    val: Annotated[str | None, typer.Option("--val", help="Folder that will report.")] = None,
    group: Group = None,
    preview: Annotated[
        Path | None, typer.Option("--preview", help="Write a PNG of images exactly as the network sees them.")
    ] = None,
    model: Model = None,
    domain: DomainOption = None,
    augmentation: AugmentationOption = None,
    input_size: InputSize = None,
    resize: ResizeOption = None,
    bits: Bits = None,
    seed: Seed = 0,
) -> None:
    """Look at the images before training: counts, unreadable files, sizes, what is suspicious."""
    from headstart.apps import console
    from headstart.plan import DataPlan
    from headstart.workflow import images, plans

    if preview is None:
        allowed = {"data", "as_json", "val", "group", "model", "input_size", "resize", "bits"}
        refuse_others(context, allowed, when="without --preview", why="it decides about training views")
    seen: dict[str, Any] = {"model": model, "input_size": input_size, "resize": resize}
    answer = images.check(data, val=val, group=group, bits=bits, progress=console.progress(), **seen)
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
    data: Annotated[str | None, typer.Argument(metavar="[DATA]", help=DATA_HELP)] = None,
    strategy: Annotated[
        Strategy | None, typer.Option("--strategy", help="Default: probe_then_tune; auto takes the advice.")
    ] = None,
    plan: Annotated[Path | None, typer.Option("--plan", help="A plan as YAML; DATA overrides its source.")] = None,
    model: Model = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Of every trained phase.")] = None,
    thaw: Annotated[
        int | None, typer.Option("--thaw", help="Layer groups that learn beside the head, from the last; see --grain.")
    ] = None,
    rates: Annotated[Rates | None, typer.Option("--rates", help="How groups share the learning rate.")] = None,
    grain: Annotated[Grain | None, typer.Option("--grain", help="What a layer group is; default: stage.")] = None,
    find_rate: Annotated[
        bool, typer.Option("--find-rate", help="Search the learning rates of head and backbone before training.")
    ] = False,
    allow_noncommercial: Annotated[
        bool, typer.Option("--allow-noncommercial", help="Use weights whose licence forbids commercial use.")
    ] = False,
    domain: DomainOption = None,
    val: Annotated[str | None, typer.Option("--val", help="Folder of class folders that reports.")] = None,
    group: Group = None,
    head: Annotated[
        Head,
        typer.Option(
            "--head", help="multi_depth (all layer groups) goes with feature_extraction, mlp with scratch too."
        ),
    ] = Head.linear,
    head_solver: Annotated[
        HeadSolver,
        typer.Option("--head-solver", help="ridge: by squared error; adam trains a linear head with augmentation."),
    ] = HeadSolver.solved,
    augmentation: AugmentationOption = None,
    input_size: InputSize = None,
    resize: ResizeOption = None,
    bits: Bits = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Images a step; default 32, with --rates bit 128.")
    ] = None,
    limit_train: Annotated[
        str | None, typer.Option("--limit-train", help="Train on a seeded sample: 1000, or 100/class.")
    ] = None,
    limit_test: Annotated[
        str | None, typer.Option("--limit-test", help="Report on a seeded sample: 1000, or 100/class.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at an unreadable image instead of leaving it out.")
    ] = False,
    seed: Seed = 0,
    budget: Annotated[
        str | None,
        typer.Option("--budget", help="Wall clock, such as 90s, 10m, 2h; the best so far is kept."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder; default: a new one under runs/.")] = None,
    track: Annotated[
        list[str] | None, typer.Option("--track", help="tensorboard[:FOLDER] or mlflow[:URI]; may be given again.")
    ] = None,
    resume: Annotated[Path | None, typer.Option("--resume", help="Go on with this run; needs no DATA.")] = None,
    as_json: Json = False,
) -> None:
    """Train a classifier, judge it, and write the bundle that `predict` and `evaluate` use."""
    from headstart.apps.parsing import parse_seconds

    seconds = parse_seconds(budget)
    if resume is not None:
        refuse_others(
            context, {"resume", "budget", "as_json"}, when="beside --resume", why="the run's own plan is used"
        )
        _resume(resume, budget_seconds=seconds, as_json=as_json)
        return
    if plan is not None:
        allowed = {"plan", "data", "out", "budget", "track", "as_json"}
        refuse_others(context, allowed, when="beside --plan", why="change the plan file")
        _train_plan(plan, data, budget_seconds=seconds, track=track or (), out=out, as_json=as_json)
        return
    if data is None:
        raise typer.BadParameter("DATA is missing (or --plan, or --resume)", param_hint="DATA")
    source = {
        "source": data,
        "val": val,
        "group": group,
        "limit_train": limit_train,
        "limit_test": limit_test,
        "bits": bits,
        "unreadable": "stop" if strict else "leave_out",
    }
    chosen = {
        "model": model,
        "domain": domain,
        "input_size": input_size,
        "resize": resize,
        "epochs": epochs,
        "thaw": thaw,
        "rates": rates,
        "peak_rates": "find" if find_rate else "planned",
        "grain": grain,
        "noncommercial_weights": "allow" if allow_noncommercial else "refuse",
        "augmentation": augmentation,
        "head": head,
        "head_solver": head_solver,
        "batch_size": batch_size,
        "seed": seed,
        "budget_seconds": seconds,
    }
    if strategy is not None:
        chosen["strategy"] = strategy
    _train(source, chosen, track=track or (), out=out, as_json=as_json)


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that training made.")],
    data: Data,
    split: Annotated[str | None, typer.Option("--split", help="train, val or test; default: test, else val.")] = None,
    as_json: Json = False,
) -> None:
    """Judge a bundle on labelled images: accuracy with its interval, figures of each class, confusion."""
    from headstart.apps import console
    from headstart.workflow import judge

    answer = judge.evaluate(bundle, data, split=split, progress=console.progress())
    _show(answer, as_json=as_json, text=console.figures_text)


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that training made.")],
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Images, or folders of images.")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Write a .csv or .parquet: file, label, probability, and one column a class."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is on images, with the probability of every class."""
    from headstart.apps import console
    from headstart.workflow import judge, prediction_files

    if out is not None:
        prediction_files.refuse_prediction_file(out)
    answers, unreadable = judge.predict(bundle, files, progress=console.progress())
    for name, reason in unreadable.items():
        console.warn(f"left out {name}: {reason}")
    if out is not None:
        prediction_files.write_predictions(answers, list(answers[0]["probabilities"]), out)
        if not as_json:
            print(f"{count_text(len(answers), 'prediction')} in {out}")
            return
    _show(answers, as_json=as_json, text=console.predictions_text)


app.command()(advise)
app.command()(models)
app.command()(cache)
app.command()(embed)
app.command()(compare)
app.command()(probe)
app.command()(report)
app.command()(runs)
app.command()(shortlist)
app.command()(web)


def _train(
    source: dict[str, Any], chosen: dict[str, Any], *, out: Path | None, as_json: bool, track: Sequence[str] = ()
) -> None:
    from headstart.apps import console
    from headstart.plan import DataPlan
    from headstart.workflow import plans
    from headstart.workflow import train as workflow

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
    from headstart.apps import console
    from headstart.plan import Plan
    from headstart.workflow import train as workflow

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


def _resume(run: Path, *, budget_seconds: float | None, as_json: bool) -> None:
    from headstart.apps import console
    from headstart.workflow import train as workflow

    with console.training() as observer:
        answer = workflow.resume(
            run,
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
    try:
        app()
    except HeadstartError as error:
        print(f"headstart: {visible_name(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print(
            "headstart: interrupted; what had begun goes on with: headstart train (or compare) --resume FOLDER",
            file=sys.stderr,
        )
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
    sys.exit(0)


def _print_whatever_comes() -> None:
    """A name that the terminal's encoding lacks is escaped; it must not end a command whose work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
