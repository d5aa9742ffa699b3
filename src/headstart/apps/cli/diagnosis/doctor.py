"""The command `headstart doctor`: what is wrong with a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.text.printing import show_record


def doctor(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    as_json: data_and_json.Json = False,
) -> None:
    """Find what is wrong with a run, and the likely causes.

    Only the folder is read. For a network, optimizer and loader of your own: headstart.doctor in Python.
    """
    from headstart.diagnosis.finished.run_diagnosis import diagnose_run

    show_record(diagnose_run(run), as_json=as_json, text=str)
