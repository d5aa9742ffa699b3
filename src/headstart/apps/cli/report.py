"""The command `headstart report`: one HTML file for each run or comparison, that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.amounts import bytes_text
from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.text.printing import json_text, show_text

if TYPE_CHECKING:
    from headstart.workflow.reporting import Report


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of runs or comparisons, finished or not.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write here; for one RUN. Default: report.html in its folder.")
    ] = None,
    with_images: Annotated[
        bool, typer.Option("--with-images", help="Put small copies of misclassified images into the page.")
    ] = False,
    as_json: data_and_json.Json = False,
) -> None:
    """Write a run or a comparison as one HTML page."""
    from headstart.workflow import reporting

    written = reporting.report(runs, out=out, images="shown" if with_images else "named")
    result = result_of(written)
    show_text(json_text(result) if as_json else report_text(written))


def result_of(written: Sequence[Report]) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "reports": [
            {"run": str(one.run), "kind": one.kind, "report": str(one.path), "bytes": one.size_bytes} for one in written
        ]
    }


def report_text(written: Sequence[Report]) -> str:
    """Files and sizes of the pages, and what was left out of them."""
    lines = []
    for one in written:
        lines.append(f"report of the {one.kind}: {one.path} ({bytes_text(one.size_bytes)})")
        lines += [f"  {note}" for note in one.notes]
    return "\n".join(lines)
