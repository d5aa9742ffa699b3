"""The folder of a comparison: what survives, what is taken up again, who may work on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.comparison.comparison import Comparison, TrialEnd
from headstart.comparison.grid import GridPlan, Trial, Variant
from headstart.errors import RunError
from headstart.prediction.inference_figures import InferenceFigures

PLAN = GridPlan.from_dict({"data": {"source": "x"}, "vary": {"model": ["a", "b"]}}, source="test")
TRIAL = Trial(1, Variant("a", {"model": "a"}), 0)


def test_it_keeps_what_is_compared_and_how_trials_ended(tmp_path: Path):
    comparison = Comparison.create(tmp_path / "c", PLAN)
    again = Comparison.open(tmp_path / "c")
    assert again.plan() == PLAN
    assert again.end_of(TRIAL) is None
    end = TrialEnd("done", seconds=3.5, peak_memory_bytes=10, resumed=1)
    comparison.end(TRIAL, end)
    assert again.end_of(TRIAL) == end
    figures = InferenceFigures(1.0, 9.0, "torch", 64, 2)
    comparison.write_inference({"k": figures})
    assert again.inference() == {"k": figures}
    (comparison.folder / "inference.json").write_text(json.dumps({"k": figures.to_dict(), "cut": {"engine": "torch"}}))
    assert again.inference() == {"k": figures}, "damaged figures are measured again"
    assert again.environment().versions["headstart"]


def test_a_cut_trial_json_counts_for_nothing(tmp_path: Path):
    comparison = Comparison.create(tmp_path / "c", PLAN)
    comparison.end(TRIAL, TrialEnd("done"))
    (comparison.run_of(TRIAL).folder / "trial.json").write_text('{"state": "do')
    assert comparison.end_of(TRIAL) is None


def test_a_folder_that_a_kill_left_too_early_is_begun_anew(tmp_path: Path):
    comparison = Comparison.create(tmp_path / "c", PLAN)
    folder = comparison.run_of(TRIAL).folder
    assert not comparison.started(TRIAL)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.yaml").write_text("x")
    assert not comparison.started(TRIAL)
    assert not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("plan.resolved.yaml", "data.json"):
        (folder / name).write_text("x")
    assert comparison.started(TRIAL)


def test_what_is_discarded_is_run_anew(tmp_path: Path):
    comparison = Comparison.create(tmp_path / "c", PLAN)
    comparison.discard(TRIAL)  # nothing there yet
    comparison.end(TRIAL, TrialEnd("done", missing={"net": "no network"}))
    assert comparison.end_of(TRIAL) == TrialEnd("done", missing={"net": "no network"})
    comparison.discard(TRIAL)
    assert comparison.end_of(TRIAL) is None
    assert not comparison.run_of(TRIAL).folder.exists()


def test_commands_can_be_pasted_whatever_the_folder_is_called(tmp_path: Path):
    folder = tmp_path / "my photos"
    command = f"headstart compare --resume '{folder}'"
    assert Comparison.create(folder, PLAN).resume_command == command
    with pytest.raises(RunError, match="exists already") as told:
        Comparison.create(folder, PLAN)
    assert told.value.remedy.endswith(command)


def test_nothing_is_overwritten(tmp_path: Path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mine.txt").write_text("x")
    with pytest.raises(RunError, match=r"exists already.*--resume"):
        Comparison.create(tmp_path / "c", PLAN)
    with pytest.raises(RunError, match="is not the folder of a comparison"):
        Comparison.open(tmp_path / "c")
    (tmp_path / "d").mkdir()
    Comparison.create(tmp_path / "d", PLAN)  # what a kill left too early holds nothing


def test_a_trial_json_of_another_version_is_told(tmp_path: Path):
    comparison = Comparison.create(tmp_path / "c", PLAN)
    comparison.end(TRIAL, TrialEnd("done"))
    (comparison.run_of(TRIAL).folder / "trial.json").write_text('{"state": "done", "mood": "good"}')
    with pytest.raises(RunError, match=r"trial.json was written by another version"):
        comparison.end_of(TRIAL)


def test_only_one_process_works_on_it(tmp_path: Path):
    comparison = Comparison.create(tmp_path / "c", PLAN)
    code = (
        "import sys; from pathlib import Path; from headstart.comparison.comparison import Comparison\n"
        "with Comparison.open(Path(sys.argv[1])).held(): print('held', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "c")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match="another process"), comparison.held():
            pass
        other.kill()
    with comparison.held():
        pass
