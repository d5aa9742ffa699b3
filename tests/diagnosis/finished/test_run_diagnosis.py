from __future__ import annotations

from pathlib import Path

import pytest

import headstart
from headstart.diagnosis.finished.run_diagnosis import diagnose_run
from headstart.errors import RunError
from headstart.runs.folder import Run
from headstart.runs.run_metrics import SelectedCheckpoint
from headstart.runs.training_events import EpochDone
from made_runs import make_run
from run_values import run_metrics

PHASES = [{"name": "probe", "kind": "linear_probe"}]
ROWS = (
    EpochDone("probe", 0, None, 0.6, 0.6, {}, True, 1.0),
    EpochDone("tune", 1, 0.4, 1.0, 0.5, {}, False, 1.0),
    EpochDone("tune", 2, 0.01, 3.0, 0.45, {}, False, 1.0),
)


def test_a_folder_a_run_and_what_train_returns_are_the_same(tmp_path: Path):
    folder = make_run(tmp_path / "run", phases=PHASES)
    Run(folder).write_metrics(run_metrics(0.6, epochs=ROWS, selected=SelectedCheckpoint("tune/2", "it is best")))
    result = diagnose_run(folder)
    assert "99 % against 45 %" in str(result)
    for one in (folder, str(folder), Run(folder)):
        assert headstart.doctor(one).findings == result.findings


def test_what_is_no_run_is_an_error(tmp_path: Path):
    with pytest.raises(RunError, match="no run folder"):
        headstart.doctor(tmp_path)
