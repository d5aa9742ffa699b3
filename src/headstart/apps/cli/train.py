"""The commands `headstart train` and `headstart demo`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from headstart.apps.cli.options import training as of
from headstart.apps.cli.options.parsing import refuse_others
from headstart.apps.cli.options.words import Head, HeadSolver
from headstart.apps.cli.text.printing import show_result
from headstart.data.sources.reading import DIGITS, EMBEDDED_DIGITS

_STARTED = time.monotonic()
"""When the command began, for the budget and the total."""


def demo(
    as_json: of.Json = False, out: Annotated[Path | None, typer.Option("--out", help="Run folder.")] = None
) -> None:
    """Train on the embedded handwritten digits with the embedded weights: the whole way in about a minute."""
    options = {"source": EMBEDDED_DIGITS if Path(DIGITS).exists() else DIGITS}
    _train(options, {"input_size": 48, "epochs": 3, "budget_seconds": 70.0}, out=out, as_json=as_json)


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
    show_result(answer.metrics, as_json=as_json, text=console.training_text)


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
    show_result(answer.metrics, as_json=as_json, text=console.training_text)


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
    show_result(answer.metrics, as_json=as_json, text=console.training_text)
