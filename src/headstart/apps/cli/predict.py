"""The command `headstart predict`: classes of new images, on the terminal, as JSON or as a table."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.amounts import count_text
from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.text.printing import json_text, left_out_lines, show_text, visible_name, without_prediction
from headstart.errors import DataError

if TYPE_CHECKING:
    from headstart.prediction.predictor import Prediction
    from headstart.workflow.evaluating import Unreadable

STDIN = "-"


def predict(
    bundle: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, or of its bundle.")],
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES",
            help="Images, folders, patterns such as 'photos/*.jpg', a .csv or .parquet with a column image, or - for "
            "paths from standard input, one a line.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Write a .csv or .parquet: file, label, probability, and one column a class."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", min=1, help="Show this many classes an image, best first; in -o instead of all classes."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop if any file gives no prediction, instead of naming it.")
    ] = False,
    links: data_and_json.FolderLinks = "inside",
    as_json: data_and_json.Json = False,
) -> None:
    """Predict the class of new images."""
    from headstart.apps.cli.text import console
    from headstart.delivery.predictions import refuse_prediction_file
    from headstart.workflow import evaluating

    if out is not None:
        refuse_prediction_file(out)
    policy: Unreadable = "stop" if strict else "leave_out"
    found = evaluating.predict(bundle, with_stdin(files), unreadable=policy, links=links, progress=console.progress())
    for line in left_out_lines(found.left_out):
        console.warn(line)
    if out is not None:
        found.write(out, top=top)
    if as_json:
        rows = [{**row, "error": None} for row in found.to_dicts(top=top)]
        show_text(json_text([*rows, *without_prediction(found.left_out, top=top)]))
    elif out is not None:
        missing = f"; {count_text(len(found.left_out), 'file')} left out" if found.left_out else ""
        show_text(f"{count_text(len(found), 'prediction')} in {out}{missing}")
    else:
        show_text(predictions_text(found, top=top or 1))


def with_stdin(files: Sequence[str]) -> list[str]:
    """The paths, with the lines of standard input in place of `-`.

    Raises:
        DataError: standard input holds no path.
    """
    if STDIN not in files:
        return list(files)
    # Bytes, because the name of a file may be no UTF-8.
    lines = [os.fsdecode(line) for line in sys.stdin.buffer.read().splitlines() if line.strip()]
    if not lines:
        raise DataError("standard input holds no path", expected="paths of images, one a line, where - is given")
    at = files.index(STDIN)
    return [*files[:at], *lines, *files[at + 1 :]]


def predictions_text(predictions: Sequence[Prediction], *, top: int = 1) -> str:
    """`a.jpg: ant 0.988`, one line an image.

    Args:
        predictions: Of images.
        top: Classes to name, best first.
    """
    return "\n".join(
        f"{visible_name(one.file)}: "
        + ", ".join(f"{visible_name(name)} {probability:.3f}" for name, probability in one.top(top))
        for one in predictions
    )
