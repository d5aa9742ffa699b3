"""The command `headstart predict`: classes of new images, on the terminal, as JSON or as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.amounts import count_text
from headstart.apps.cli.options import training as of
from headstart.apps.cli.text.printing import json_text, left_out_lines, show_text, without_prediction


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
