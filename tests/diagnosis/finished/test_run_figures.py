from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.diagnosis.finished.run_figures import figures_of
from headstart.findings import Finding
from headstart.runs.folder import Run
from headstart.runs.record import read_run
from headstart.runs.training_events import EpochDone
from made_runs import make_run
from run_values import run_metrics

PHASES = [{"name": "probe", "kind": "linear_probe"}]
PROBE = EpochDone("probe", 0, None, 0.4, 0.9, {}, True, 1.0)
TUNED = EpochDone("tune", 1, 0.1, 0.3, 0.92, {"head": 1e-3, "layer4": 1e-4}, True, 1.0)


def test_figures_are_those_of_the_folder(tmp_path: Path):
    folder = make_run(
        tmp_path / "run", phases=PHASES, answers={"1.png": ("a", "b"), "2.png": ("a", "a"), "3.png": ("b", "b")}
    )
    finding = Finding("warning", "validation_gap", "test is below", "look")
    Run(folder).write_metrics(run_metrics(0.67, images=3, epochs=(PROBE, TUNED), findings=(finding,)))
    figures = figures_of(read_run(folder))
    assert (figures.name, figures.source, figures.num_classes) == ("run", "photos", 2)
    assert figures.probe_accuracy == 0.9
    assert figures.phases == {"tune": (TUNED,)}
    assert figures.last == TUNED
    assert (figures.mistakes, figures.confident_mistakes) == (1, 0)
    assert figures.predicted_share == 2 / 3
    assert figures.findings == {"validation_gap": "test is below"}
    assert figures.resume == ""


def test_without_epochs_there_is_no_last_one(tmp_path: Path):
    folder = make_run(tmp_path / "run", phases=PHASES)
    Run(folder).write_metrics(run_metrics(epochs=(PROBE,)))
    figures = figures_of(read_run(folder))
    assert figures.last is None
    assert replace(figures, phases={"tune": ()}).last is None
