from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headstart.apps.cli.main import app
from headstart.errors import RunError
from headstart.runs.folder import Run
from headstart.runs.run_metrics import SelectedCheckpoint
from headstart.runs.training_events import EpochDone
from made_runs import make_run
from run_values import run_metrics

PHASES = [{"name": "probe", "kind": "linear_probe"}]
ROWS = (EpochDone("tune", 1, 0.4, 1.0, 0.5, {}, False, 1.0), EpochDone("tune", 2, 0.01, 3.0, 0.45, {}, False, 1.0))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = make_run(tmp_path / "run", phases=PHASES)
    Run(folder).write_metrics(run_metrics(0.45, epochs=ROWS, selected=SelectedCheckpoint("tune/2", "it is best")))
    return folder


def test_the_first_line_counts_and_the_first_finding_has_the_numbers(run: Path):
    result = CliRunner().invoke(app, ["doctor", str(run)])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("run run: 0 errors, 1 warning")
    assert lines[1] == "warning[overfitting] Training is far above validation: 99 % against 45 %."


def test_json_is_that_of_the_library(run: Path):
    result = CliRunner().invoke(app, ["doctor", str(run), "--json"])
    assert json.loads(result.stdout)["findings"][0]["id"] == "overfitting"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path):
    result = CliRunner().invoke(app, ["doctor", str(tmp_path)])
    assert isinstance(result.exception, RunError)
