"""The command `headstart plan`: the plan of a training, written down and not carried out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.options import training as of
from headstart.apps.cli.options.parsing import refuse_others
from headstart.apps.cli.text.printing import json_text, next_line, show_text, write_file

if TYPE_CHECKING:
    from headstart.plan.plan import Plan, TrainPhase

UPGRADE = "upgrade"
"""DATA that is a word: the plan is not made, but read from FILE."""


@of.takes_request
def plan(
    context: typer.Context,
    data: data_and_json.Data,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="After the word upgrade: a plan of an older schema version."),
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="File to write; default: YAML on stdout.")] = None,
    as_json: data_and_json.Json = False,
    **options: Any,  # noqa: ANN401 - see `takes_request`
) -> None:
    """Write the plan of a training without training.

    Change the file, then train it with `headstart train --plan FILE`. `headstart plan upgrade FILE -o NEW` writes a
    plan of an older schema version with the keys of today; a folder of that name is ./upgrade.
    """
    from headstart.apps.cli.text import console
    from headstart.plan.plan import Plan
    from headstart.workflow.planning import plan_of

    if file is not None:
        if data != UPGRADE:
            raise typer.BadParameter(f"only `{UPGRADE}` takes a second word, not {data}", param_hint="FILE")
        allowed = {"data", "file", "out", "as_json"}
        refuse_others(context, allowed, when=f"with {UPGRADE}", why="only the names of keys change")
        made = Plan.read(file)
    else:
        made = plan_of(of.request_of(data, options), progress=console.progress())
    if out is not None:
        write_file(out, made.to_yaml())
    if as_json:
        answer = {"plan": made.model_dump(mode="json"), "plan_file": None if out is None else str(out)}
        show_text(json_text(answer))
    else:
        show_text(made.to_yaml().rstrip() if out is None else written_text(made, out))


def written_text(plan: Plan, path: Path) -> str:
    """The file of the plan, its phases, and the command that trains it."""
    lines = [f"{path}: {plan.strategy} with {plan.model.name} on {plan.data.source}"]
    for phase in plan.phases:
        if phase.kind == "linear_probe":
            lines.append(f"  {phase.name}: the linear probe, fitted on frozen features")
            continue
        lines.append(
            f"  {phase.name}: {phase.epochs} epochs of {_trained(phase)}, peak lr of the head {phase.head_lr:g}"
            + ", if it can pay" * (phase.begins == "if_it_can_pay")
        )
    return "\n".join([*lines, next_line("train", "--plan", str(path))])


def _trained(phase: TrainPhase) -> str:
    """What a phase trains, in words."""
    if phase.unfreeze == "all":
        return "every layer"
    if phase.unfreeze == "by_cost":
        return f"the head and the last groups with up to {phase.most_trained_share:.0%} of the MACs"
    return "the head" + f" and {phase.unfreeze} groups" * bool(phase.unfreeze)
