"""The command `headstart evaluate`: how good a bundle is on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.options.words import SeenImages
from headstart.apps.cli.text.printing import json_text, show_text


def evaluate(
    bundle: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, or of its bundle.")],
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help=f"{data_and_json.DATA_HELP} Default: the run's own test images once more."),
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="train, val or test; default: test, else val.")] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            help="What intervals count: group 1 of a regular expression on the image path, folder:LEVEL or "
            "column:NAME. Default: as in training.",
        ),
    ] = None,
    seen: Annotated[
        SeenImages | None,
        typer.Option("--seen", help="Images the bundle was trained on: leave_out (default with DATA) or include."),
    ] = None,
    links: data_and_json.FolderLinks = "inside",
    as_json: data_and_json.Json = False,
) -> None:
    """Evaluate a bundle on labelled images.

    Prints the accuracy with its interval, figures of each class, and the confusion matrix.
    """
    from headstart.apps.cli.text import console, figures
    from headstart.workflow import evaluating

    policy: Any = None if seen is None else seen.value
    result = evaluating.evaluate(
        bundle, data, split=split, group=group, seen=policy, links=links, progress=console.progress()
    )
    show_text(json_text(result.to_dict()) if as_json else figures.figures_text(result, bundle=str(bundle)))
