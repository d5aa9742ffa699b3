"""The command `headstart plan`: the plan of a training, written down and not carried out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.apps.cli.options import training as of
from headstart.apps.cli.options.words import Head, HeadSolver
from headstart.apps.cli.text.printing import json_text, show_text, write_file

if TYPE_CHECKING:
    from headstart.plan.plan import Plan


def plan(
    context: typer.Context,
    data: of.Data,
    strategy: of.StrategyOption = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="File to write; default: YAML on stdout.")] = None,
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
    as_json: of.Json = False,
) -> None:
    """Write the plan of a training without training.

    Change the file, then train it with `headstart train --plan FILE`.
    """
    from headstart.apps.cli.text import console
    from headstart.plan.plan import DataPlan
    from headstart.workflow.planning import plan_of
    from headstart.workflow.plans import TrainOptions

    source, chosen = of.said_of(context.params)
    made = plan_of(TrainOptions(DataPlan.from_options(**source), **chosen), progress=console.progress())
    if out is not None:
        write_file(out, made.to_yaml())
    if as_json:
        answer = {"plan": made.model_dump(mode="json"), "plan_file": None if out is None else str(out)}
        show_text(json_text(answer))
    else:
        show_text(made.to_yaml().rstrip() if out is None else written_text(made, out))


def written_text(plan: Plan, path: Path) -> str:
    """Where the plan lies, what it does phase by phase, and the command that carries it out."""
    lines = [f"{path}: {plan.strategy} with {plan.model.name} on {plan.data.source}"]
    for phase in plan.phases:
        if phase.kind == "linear_probe":
            lines.append(f"  {phase.name}: the linear probe, fitted on frozen features")
            continue
        trained = (
            "every layer"
            if phase.unfreeze == "all"
            else "the head" + f" and {phase.unfreeze} groups" * bool(phase.unfreeze)
        )
        lines.append(f"  {phase.name}: {phase.epochs} epochs of {trained}, peak lr of the head {phase.head_lr:g}")
    return "\n".join([*lines, f"train it with: headstart train --plan {shlex.quote(str(path))}"])
