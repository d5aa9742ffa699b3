"""The command `headstart check`: what is in DATA, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from headstart.apps.cli.options import training as of
from headstart.apps.cli.options.parsing import refuse_others
from headstart.apps.cli.text.printing import show_result


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
    show_result(answer, as_json=as_json, text=console.check_text)
