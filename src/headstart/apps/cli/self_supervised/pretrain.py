"""The command `headstart pretrain`: a backbone from images without labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from headstart.amounts import duration_text
from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.options import training as of
from headstart.apps.cli.options.parsing import parse_seconds, refuse_others
from headstart.apps.cli.text.printing import json_text, next_line, show_text
from headstart.knowledge.domain import Domain

if TYPE_CHECKING:
    from headstart.training.self_supervised.settings import PretrainedEpoch
    from headstart.workflow.pretraining.pretrain import PretrainResult


def pretrain(
    context: typer.Context,
    data: Annotated[
        str | None, typer.Argument(metavar="UNLABELLED", help="Any DATA; labels are not used, and need not be there.")
    ] = None,
    init: Annotated[
        str | None, typer.Option("--init", help="Network whose weights it starts from; default: that of train.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Default: 20.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", "--time-limit", help="Time limit, such as 90s, 10m or 2h; what is trained then is kept."
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=4, help="Images a step; default: 32.", rich_help_panel="Training")
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option("--lr", help="Peak learning rate of the backbone; default: 1e-4.", rich_help_panel="Training"),
    ] = None,
    batch_norm: Annotated[
        Literal["pretrained_statistics", "adapt_statistics", "train"] | None,
        typer.Option(
            "--batch-norm",
            help="What BatchNorm layers of the backbone do; default: pretrained_statistics.",
            rich_help_panel="Training",
        ),
    ] = None,
    domain: Annotated[
        Domain | None,
        typer.Option("--domain", help="What the images show; decides mirroring. Default: photo."),
    ] = None,
    input_size: of.InputSize = None,
    bits: of.Bits = None,
    bands: of.BandsOption = None,
    window: of.WindowOption = None,
    contrast: of.ContrastOption = None,
    links: of.LinksOption = "inside",
    seed: of.Seed = 0,
    allow_noncommercial: of.AllowNoncommercial = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default: a new one under pretrained/.")] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Resume this pretraining.", rich_help_panel="Run")
    ] = None,
    as_json: data_and_json.Json = False,
) -> None:
    """Pretrain a network on images without labels.

    Self-supervised (SimSiam), from pretrained weights. The result is a file of weights for --model ARCH:file:PATH.
    """
    from headstart.apps.cli.text import console
    from headstart.plan.sections import DataPlan
    from headstart.workflow.pretraining import pretrain as workflow

    seconds = parse_seconds(budget)
    with console.training() as watcher:

        def say(epoch: PretrainedEpoch) -> None:
            watcher.say(epoch_line(epoch))

        if resume is not None:
            allowed = {"resume", "budget", "as_json"}
            refuse_others(context, allowed, when="together with --resume", why="it goes on with what was requested")
            result = workflow.resume_backbone(resume, budget_seconds=seconds, progress=watcher.progress, on_epoch=say)
        elif data is None:
            raise typer.BadParameter("UNLABELLED is missing (or --resume)", param_hint="UNLABELLED")
        else:
            given = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "batch_norm": batch_norm, "seed": seed}
            settings = replace(workflow.DEFAULTS, **{name: one for name, one in given.items() if one is not None})  # type: ignore[arg-type]
            part = DataPlan.from_options(
                source=data, bits=bits, bands=bands, window=window, contrast=contrast, links=links
            )
            result = workflow.pretrain_backbone(
                part,
                init=init,
                input_size=input_size,
                domain=domain,
                settings=settings,
                noncommercial_weights="allow" if allow_noncommercial else "refuse",
                budget_seconds=seconds,
                out=out,
                progress=watcher.progress,
                on_epoch=say,
            )
    show_text(json_text(result.to_dict()) if as_json else pretrained_text(result))


def epoch_line(epoch: PretrainedEpoch) -> str:
    """Line of an epoch."""
    return (
        f"epoch {epoch.epoch}: loss {epoch.loss:+.3f}, spread of features {epoch.spread:.2f}, "
        f"{duration_text(epoch.seconds)}"
    )


def pretrained_text(result: PretrainResult) -> str:
    """Text of a result."""
    ended = "all epochs" if result.ended == "finished" else "stopped by the budget"
    lines = [f"backbone of {result.init}, trained on {result.images:,} images without labels ({ended})"]
    if result.epochs:
        lines.append(epoch_line(result.epochs[-1]))
    if result.has_collapsed:
        lines.append(
            "warning: all images have nearly the same features, so this backbone is of no use: try a lower --lr"
        )
    lines += [f"folder: {result.folder}", "whether it is better is measured by a probe on labelled images:"]
    return "\n".join([*lines, next_line("probe", "DATA", "--model", result.model)])
