"""The commands `headstart train` and `headstart demo`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.options import training as of
from headstart.apps.cli.options.parsing import parse_seconds, refuse_others
from headstart.apps.cli.text.printing import json_text, show_text

if TYPE_CHECKING:
    from headstart.plan.plan import Plan
    from headstart.plan.request import Request
    from headstart.workflow.training.result import TrainResult

_STARTED = time.monotonic()
"""When the command began, for the budget and the total."""


def demo(
    as_json: data_and_json.Json = False, out: Annotated[Path | None, typer.Option("--out", help="Run folder.")] = None
) -> None:
    """Train on embedded handwritten digits, in ten seconds."""
    from headstart.data.sources.reading import DIGITS, EMBEDDED_DIGITS

    source = EMBEDDED_DIGITS if Path(DIGITS).exists() else DIGITS
    request = of.request_of(source, {"input_size": 48})
    _show(_train(request, out=out), as_json=as_json)


@of.takes_request
def train(
    context: typer.Context,
    data: data_and_json.OptionalData = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="A plan as YAML; DATA overrides its source.", rich_help_panel="Run")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder; default: a new one under runs/.")] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(
            "--track", help="tensorboard[:FOLDER] or mlflow[:URI]; may be given again.", rich_help_panel="Run"
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", help="Resume this run; name DATA only if it moved.", rich_help_panel="Run"),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Print the reason of every decision; the plan and the report hold them too.",
            rich_help_panel="Run",
        ),
    ] = False,
    as_json: data_and_json.Json = False,
    **options: Any,  # noqa: ANN401 - see `takes_request`
) -> None:
    """Train a classifier and evaluate it on the test set.

    Writes a run folder, and in it the bundle that `predict` and `evaluate` use.
    """
    seconds, shown = parse_seconds(options["budget"]), {"explain", "as_json"}
    if resume is not None:
        allowed = {"resume", "data", "val", "budget", *shown}
        refuse_others(context, allowed, when="together with --resume", why="the run's own plan is used")
        result = _resume(resume, data, options["val"], budget_seconds=seconds)
    elif plan is not None:
        allowed = {"plan", "data", "out", "budget", "track", *shown}
        refuse_others(context, allowed, when="together with --plan", why="change the plan file")
        result = _train(_read_plan(plan, data), out=out, track=track or (), budget_seconds=seconds)
    elif data is None:
        raise typer.BadParameter("DATA is missing (or --plan, or --resume)", param_hint="DATA")
    else:
        result = _train(of.request_of(data, options), out=out, track=track or ())
    _show(result, as_json=as_json, reasons="shown" if explain else "hidden")


def _read_plan(path: Path, data: str | None) -> Plan:
    """The plan of a file; DATA overrides its source."""
    from headstart.plan.plan import Plan

    plan = Plan.read(path)
    return plan if data is None else plan.changed(data=plan.data.model_copy(update={"source": data}))


def _train(
    request: Request | Plan,
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
    if as_json:
        show_text(json_text(result.to_dict()))
    else:
        from headstart.apps.cli.text.training import training_text

        show_text(training_text(result.metrics, reasons=reasons))
