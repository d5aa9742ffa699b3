"""The commands `headstart train` and `headstart demo`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from headstart.apps.cli.options import training as of
from headstart.apps.cli.options.parsing import refuse_others
from headstart.apps.cli.options.words import Head, HeadSolver
from headstart.apps.cli.text.printing import show_result
from headstart.apps.cli.text.training import training_text
from headstart.data.sources.reading import DIGITS, EMBEDDED_DIGITS

if TYPE_CHECKING:
    from headstart.plan.plan import Plan
    from headstart.workflow.plans import TrainOptions
    from headstart.workflow.training.result import TrainResult

_STARTED = time.monotonic()
"""When the command began, for the budget and the total."""


def demo(
    as_json: of.Json = False, out: Annotated[Path | None, typer.Option("--out", help="Run folder.")] = None
) -> None:
    """Train on embedded handwritten digits, in about a minute."""
    data = {"source": EMBEDDED_DIGITS if Path(DIGITS).exists() else DIGITS}
    options = _options(data, {"input_size": 48, "epochs": 3, "budget_seconds": 70.0})
    _show(_train(options, out=out), as_json=as_json)


def train(
    context: typer.Context,
    data: of.OptionalData = None,
    strategy: of.StrategyOption = None,
    plan: Annotated[Path | None, typer.Option("--plan", help="A plan as YAML; DATA overrides its source.")] = None,
    model: of.Model = None,
    epochs: of.Epochs = None,
    unfreeze: of.Unfreeze = None,
    lr_rule: of.LrRuleOption = None,
    grain: of.GrainOption = None,
    find_lr: of.FindLr = False,
    allow_noncommercial: of.AllowNoncommercial = False,
    domain: of.DomainOption = None,
    val: of.Val = None,
    group: of.Group = None,
    head: of.HeadOption = Head.linear,
    head_solver: of.HeadSolverOption = HeadSolver.logistic,
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
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Resume this run; name DATA only if it moved.")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Print the reason of every decision; the plan and the report hold them too."),
    ] = False,
    as_json: of.Json = False,
) -> None:
    """Train a classifier and evaluate it on the test set.

    Writes a run folder, and in it the bundle that `predict` and `evaluate` use.
    """
    from headstart.apps.cli.options.parsing import parse_seconds

    seconds, shown = parse_seconds(budget), {"explain", "as_json"}
    if resume is not None:
        allowed = {"resume", "data", "val", "budget", *shown}
        refuse_others(context, allowed, when="together with --resume", why="the run's own plan is used")
        result = _resume(resume, data, val, budget_seconds=seconds)
    elif plan is not None:
        allowed = {"plan", "data", "out", "budget", "track", *shown}
        refuse_others(context, allowed, when="together with --plan", why="change the plan file")
        result = _train(_read_plan(plan, data), out=out, track=track or (), budget_seconds=seconds)
    elif data is None:
        raise typer.BadParameter("DATA is missing (or --plan, or --resume)", param_hint="DATA")
    else:
        result = _train(_options(*of.said_of(context.params)), out=out, track=track or ())
    _show(result, as_json=as_json, reasons="shown" if explain else "hidden")


def _options(source: Mapping[str, Any], chosen: Mapping[str, Any]) -> TrainOptions:
    from headstart.plan.plan import DataPlan
    from headstart.workflow.plans import TrainOptions

    return TrainOptions(DataPlan.from_options(**source), **chosen)


def _read_plan(path: Path, data: str | None) -> Plan:
    """The plan of a file; DATA overrides its source."""
    from headstart.plan.plan import Plan

    plan = Plan.read(path)
    return plan if data is None else plan.changed(data=plan.data.model_copy(update={"source": data}))


def _train(
    request: TrainOptions | Plan,
    *,
    out: Path | None,
    track: Sequence[str] = (),
    budget_seconds: float | None = None,
) -> TrainResult:
    from headstart.apps.cli.text import console
    from headstart.workflow.training import train as workflow

    with console.training() as observer:
        return workflow.train(
            request,
            out=out,
            budget_seconds=budget_seconds,
            track=track,
            observer=observer,
            progress=observer.progress,
            started=_STARTED,
        )


def _resume(run: Path, data: str | None, val: str | None, *, budget_seconds: float | None) -> TrainResult:
    from headstart.apps.cli.text import console
    from headstart.workflow.training import resume as workflow

    with console.training() as observer:
        return workflow.resume(
            run,
            data=data,
            val=val,
            budget_seconds=budget_seconds,
            observer=observer,
            progress=observer.progress,
            started=_STARTED,
        )


def _show(result: TrainResult, *, as_json: bool, reasons: Literal["shown", "hidden"] = "hidden") -> None:
    show_result(result.metrics, as_json=as_json, text=partial(training_text, reasons=reasons))
