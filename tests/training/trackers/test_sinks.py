"""What is written is read back with TensorBoard's own reader and MLflow's own client."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.training.trackers.sinks import Mlflow, TensorBoard, mlflow_settings
from tracker_readers import scalars_of, texts_of

PARAMETERS = {"strategy": "full", "seed": 3, "phases.tune.lr_by_group.layer1[0]": 3e-4}


def parameters_of(folder: Path) -> list[dict[str, object]]:
    """What the HPARAMS page of TensorBoard reads; one entry for each time it was written."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
    from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG, parse_session_start_info_plugin_data

    found = []
    for path in sorted(folder.glob("events.*")):
        for event in LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.tag == SESSION_START_INFO_TAG:
                    info = parse_session_start_info_plugin_data(value.metadata.plugin_data.content)
                    kinds = {name: one.WhichOneof("kind") for name, one in info.hparams.items()}
                    found.append({name: getattr(info.hparams[name], kind) for name, kind in kinds.items()})
    return found


def test_tensorboard_reads_what_was_written(tmp_path: Path):
    sink = TensorBoard(tmp_path / "run", None)
    sink.open(PARAMETERS)
    sink.write(0, {"select_loss": 0.5}, {"phases": "phase 0 begins"})
    sink.write(1, {"select_loss": 0.25, "rate/head": 1e-3}, {})
    sink.close(1, "finished")
    folder = tmp_path / "run" / "tensorboard"
    assert sink.place == str(folder)
    assert scalars_of(folder) == {"select_loss": [(0, 0.5), (1, 0.25)], "rate/head": [(1, pytest.approx(1e-3))]}
    texts = texts_of(folder)
    assert texts["phases"] == [(0, "phase 0 begins")]
    assert texts["status"] == [(1, "finished")]
    assert "| seed | 3 |" in texts["parameters"][0][1]
    assert parameters_of(folder) == [PARAMETERS]


def test_tensorboard_goes_on_where_a_crash_cut_the_last_record(tmp_path: Path):
    first = TensorBoard(tmp_path, None)
    first.open(PARAMETERS)
    first.write(0, {"select_loss": 0.5}, {})
    first.write(1, {"select_loss": 0.25}, {})
    (file,) = (tmp_path / "tensorboard").iterdir()
    os.truncate(file, file.stat().st_size - 5)
    second = TensorBoard(tmp_path, None, first.memory)
    second.open(PARAMETERS)
    assert (second.last_step("select_loss"), second.last_step("report/accuracy")) == (0, None)
    second.write(1, {"select_loss": 0.125}, {})
    second.close(1, "interrupted")
    assert scalars_of(tmp_path / "tensorboard") == {"select_loss": [(0, 0.5), (1, 0.125)]}
    assert len(parameters_of(tmp_path / "tensorboard")) == 1


def test_runs_of_one_name_share_a_tensorboard_folder_without_mixing(tmp_path: Path):
    where, places = str(tmp_path / "logs"), []
    for parent in ("a", "b"):
        sink = TensorBoard(tmp_path / parent / "run", where)
        sink.open(PARAMETERS)
        again = TensorBoard(tmp_path / parent / "run", where, sink.memory)
        sink.close(0, "finished")
        assert again.place == sink.place
        places.append(Path(sink.place).relative_to(where).as_posix())
    assert places == ["run", "run-2"]


@pytest.mark.slow
def test_mlflow_reads_what_was_written_and_goes_on_in_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    many = {f"p{index}": index for index in range(150)}
    sink = Mlflow(tmp_path / "runs" / "one", None)
    sink.open({**PARAMETERS, **many})
    sink.write(0, {"select_loss": 0.5, "rate/head": 1e-3}, {"alarms": "still"})
    sink.close(0, "interrupted")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "headstart"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status, run.data.tags["headstart.status"]) == ("one", "KILLED", "interrupted")
    assert run.data.params["phases.tune.lr_by_group.layer1_0_"] == "0.0003"
    assert len(run.data.params) == 153
    assert run.data.metrics == {"select_loss": 0.5, "rate/head": 1e-3}
    assert run.data.tags["headstart.alarms.0"] == "still"
    assert "mlflow-artifacts" in run.info.artifact_uri

    # killed before the number of the run could be kept: it is found by its token
    again = Mlflow(tmp_path / "runs" / "one", None, {"token": sink.memory["token"]})
    again.open(PARAMETERS)
    assert again.memory == sink.memory
    assert client.get_run(again.memory["run_id"]).info.status == "RUNNING"
    assert (again.last_step("select_loss"), again.last_step("report/accuracy")) == (0, None)
    again.write(1, {"select_loss": 0.25}, {})
    assert again.last_step("select_loss") == 1
    again.close(1, "finished")
    history = client.get_metric_history(again.memory["run_id"], "select_loss")
    assert [(one.step, one.value) for one in history] == [(0, 0.5), (1, 0.25)]
    assert client.get_run(again.memory["run_id"]).info.status == "FINISHED"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]  # nothing in the working folder


def test_settings_of_the_user_stay_and_ours_go(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    with mlflow_settings():
        assert (os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"], os.environ["MLFLOW_DISABLE_TELEMETRY"]) == ("77", "true")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert "MLFLOW_DISABLE_TELEMETRY" not in os.environ


def test_nobody_imports_the_libraries_unasked():
    code = (
        "import headstart.training.trackers.trackers, headstart.workflow.training.train, sys; "
        "print({'mlflow', 'tensorboard', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
