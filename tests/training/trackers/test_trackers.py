"""What is written at which step, whatever fails; what a resume remembers; a run that is killed and goes on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import DiskFullError, HeadstartError, Interrupted, MissingExtraError
from headstart.plan.plan import DataPlan, ProbePhase, TrainPhase
from headstart.plan.request import Request
from headstart.runs.event import Event
from headstart.runs.events import Resumed
from headstart.runs.folder import Run
from headstart.runs.observers import EventLog, Observer
from headstart.runs.run_metrics import SelectedCheckpoint
from headstart.runs.training_events import EpochDone
from headstart.runs.warnings import Diverged, GroupsUnchanged, TrackerStopped
from headstart.training import training as training_module
from headstart.training.trackers import trackers
from headstart.training.trackers.trackers import Tracker, TrackerChoice, chosen_trackers, remembered_trackers
from headstart.workflow.training.resume import resume
from headstart.workflow.training.train import train
from run_values import final_figures, role_counts, run_data, run_metrics
from tracker_readers import scalars_of, texts_of

PROBE, TUNE = ProbePhase(name="probe"), TrainPhase(name="tune", epochs=3, unfreeze="all", head_lr=1e-3)
STILL = GroupsUnchanged("tune", 1, ("stem",), {"stem": 1e-12})
DATA = json.dumps(run_data().to_dict())
METRICS = run_metrics(
    test=final_figures(0.9, 10, accuracy_interval=(0.8, 0.95), balanced_accuracy=0.85),
    seconds=12.0,
    selected=SelectedCheckpoint("probe", "no epoch is better"),
)


class Memo:
    """A sink in memory, which may fail at a chosen moment."""

    modules = ()
    fails_at = ""
    lies_there: dict[str, list[Any]] = {}  # noqa: RUF012 - one place for all tests, emptied by the fixture

    def __init__(self, run_folder: Path, where: str | None, memory: Mapping[str, Any] | None = None) -> None:
        self.memory = dict(memory or {})
        self.place = where or "here"

    def _do(self, what: str, value: object) -> None:
        if self.fails_at == what:
            raise OSError(28, "No space left on device")
        self.lies_there.setdefault(what, []).append(value)

    def open(self, parameters: Mapping[str, Any]) -> None:
        self._do("open", dict(parameters))
        self.memory["opened"] = True

    def last_step(self, tag: str) -> int | None:
        return max((step for step, scalars, _ in self.lies_there.get("write", []) if tag in scalars), default=None)

    def write(self, step: int, scalars: Mapping[str, float], texts: Mapping[str, str]) -> None:
        self._do("write", (step, dict(scalars), dict(texts)))

    def close(self, step: int, status: str) -> None:
        self._do("close", (step, status))


class Notes(Observer):
    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def noted(self, event: Event) -> None:
        self.seen.append((event.event, event.to_dict()))


@pytest.fixture
def memo(monkeypatch: pytest.MonkeyPatch) -> type[Memo]:
    made = type("Made", (Memo,), {"lies_there": {}})
    monkeypatch.setitem(trackers.SINKS, "mlflow", made)
    return made


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "data.json").write_text(json.dumps(run_data(roles=role_counts({"train": 10})).to_dict()))
    return Run(tmp_path / "run")


def epoch(phase: str, number: int, **values: Any) -> EpochDone:
    row = EpochDone(phase, number, 0.5, 0.25, 0.75, {"stem": 1e-4, "head": 1e-3}, improved=True, seconds=2.0)
    return replace(row, **values)


def tracker(run: Run, tell: Observer | None = None, *choices: TrackerChoice) -> Tracker:
    parameters = {"seed": 1, "model": {"name": "net"}}
    return Tracker(run, choices or [TrackerChoice("mlflow")], parameters=parameters, tell=tell or Observer())


def test_epochs_are_counted_over_all_phases_and_phases_are_marked(memo: type[Memo], run: Run):
    with tracker(run) as watching:
        watching.phase_started(0, PROBE)
        watching.epoch_done(epoch("probe", 0, train_loss=None, lr={}))
        watching.phase_started(1, TUNE)
        watching.epoch_done(epoch("tune", 1))
        watching.noted(STILL)
        watching.noted(Resumed(1, 1))
        watching.epoch_done(epoch("tune", 2))
        watching.noted(Diverged("tune", 3))
        watching.report(METRICS)
    assert memo.lies_there["open"] == [{"seed": 1, "model.name": "net", "images.train": 10}]
    first, second, third, last = memo.lies_there["write"]
    solved = {"validation_loss": 0.25, "validation_accuracy": 0.75, "seconds": 2.0, "phase": 0}
    assert first == (0, solved, {"phases": "phase 0 probe: fits the head on frozen features"})
    rates = {"lr/stem": 1e-4, "lr/head": 1e-3}
    trained = {**solved, "train_loss": 0.5, "phase": 1, **rates}
    assert second == (1, trained, {"phases": "phase 1 tune: trains for up to 3 epochs"})
    assert third == (2, trained, {"warnings": STILL.sentence(), "events": "resumes in phase 1, after epoch 1"})
    assert last[:2] == (
        2,
        {
            "test/accuracy": 0.9,
            "test/accuracy_low": 0.8,
            "test/accuracy_high": 0.95,
            "test/balanced_accuracy": 0.85,
            "test/log_loss": 0.3,
            "test/images": 10,
            "total_seconds": 12.0,
        },
    )
    assert last[2] == {
        "warnings": "tune: the loss was no longer finite in epoch 3",
        "selected": "probe: no epoch is better",
    }
    assert memo.lies_there["close"] == [(2, "finished")]


@pytest.mark.parametrize(
    ("error", "status"),
    [(Interrupted("stopped"), "interrupted"), (KeyboardInterrupt(), "interrupted"), (RuntimeError("oh"), "failed")],
)
def test_how_a_run_ended_is_said(memo: type[Memo], run: Run, error: BaseException, status: str):
    def die() -> None:
        with tracker(run) as watching:
            watching.epoch_done(epoch("tune", 1))
            raise error

    with pytest.raises(type(error)):
        die()
    assert memo.lies_there["close"] == [(0, status)]
    assert [texts for *_, texts in memo.lies_there["write"] if "failed" in texts] == (
        [{"failed": "RuntimeError: oh"}] if status == "failed" else []
    )


@given(rows=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3)), max_size=20), cut=st.integers(0, 20))
def test_steps_never_repeat_or_go_back_whenever_the_process_dies(
    rows: list[tuple[str, int]], cut: int, tmp_path_factory: pytest.TempPathFactory
):
    """The event is in the run's log, its figures may be there or not; the next process trains from any point before."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "data.json").write_text(DATA)
    run, memo = Run(folder), type("Made", (Memo,), {"lies_there": {}})
    order = list(dict.fromkeys(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(trackers.SINKS, "mlflow", memo)
        for part in (order[:cut], order[max(0, cut - 2) :]):
            log, watching = EventLog(run), tracker(run)
            watching.__enter__()
            for phase, number in part:
                log.epoch_done(epoch(phase, number))
                watching.epoch_done(epoch(phase, number))
    assert [step for step, *_ in memo.lies_there.get("write", [])] == list(range(len(order)))


def test_a_place_that_fails_is_given_up_with_one_warning(memo: type[Memo], run: Run):
    for moment in ("open", "write", "close"):
        memo.fails_at = moment
        notes = Notes()
        with tracker(run, notes) as watching:
            for number in (1, 2, 3):
                watching.epoch_done(epoch(moment, number))
            watching.report(METRICS)
        stopped = [values for event, values in notes.seen if event == "tracker_stopped"]
        assert stopped == [
            {"tracker": "mlflow", "where": "here", "why": "OSError: [Errno 28] No space left on device"},
        ]


def test_one_place_that_fails_leaves_the_others(memo: type[Memo], run: Run, tmp_path: Path):
    memo.fails_at = "write"
    with tracker(run, None, TrackerChoice("mlflow"), TrackerChoice("tensorboard")) as watching:
        watching.epoch_done(epoch("tune", 1))
    assert scalars_of(run.folder / "tensorboard")["train_loss"] == [(0, 0.5)]


def test_a_full_disk_under_the_log_too_ends_nothing(memo: type[Memo], run: Run):
    class Full(Observer):
        def noted(self, event: Event) -> None:
            if isinstance(event, TrackerStopped):
                raise DiskFullError("full")

    memo.fails_at = "write"
    with tracker(run, Full()) as watching:
        watching.epoch_done(epoch("tune", 1))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_tensorboard_on_a_full_disk_is_given_up(run: Run):
    from headstart.training.trackers.sinks import TensorBoard

    notes = Notes()
    with tracker(run, notes, TrackerChoice("tensorboard")) as watching:
        ((_, sink),) = watching._open
        assert isinstance(sink, TensorBoard)
        sink._file = Path("/dev/full")
        watching.epoch_done(epoch("tune", 1))
        watching.epoch_done(epoch("tune", 2))
    assert [event for event, _ in notes.seen] == ["tracking", "tracker_stopped"]
    assert "No space left" in notes.seen[1][1]["why"]


def test_what_was_chosen_is_remembered(memo: type[Memo], run: Run):
    assert remembered_trackers(run) == ()
    with tracker(run, None, TrackerChoice("mlflow", "sqlite:////x.db"), TrackerChoice("tensorboard")):
        pass
    assert remembered_trackers(run) == (
        TrackerChoice("mlflow", "sqlite:////x.db", {"opened": True}),
        TrackerChoice("tensorboard", None, {}),
    )
    (run.folder / "trackers.json").write_text('{"trackers": [{"name"')
    assert remembered_trackers(run) == ()


def test_without_trackers_nothing_is_written(run: Run):
    with Tracker(run, [], parameters={}, tell=Notes()) as watching:
        watching.epoch_done(epoch("tune", 1))
        watching.report(METRICS)
    assert [path.name for path in run.folder.iterdir()] == ["data.json"]


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("tensorboard", TrackerChoice("tensorboard")),
        ("tensorboard:logs", TrackerChoice("tensorboard", f"{Path.cwd()}/logs")),
        ("mlflow", TrackerChoice("mlflow")),
        ("mlflow:sqlite:///a/b.db", TrackerChoice("mlflow", f"sqlite:///{Path.cwd()}/a/b.db")),
        ("mlflow:sqlite:////a/b.db", TrackerChoice("mlflow", "sqlite:////a/b.db")),
        ("mlflow:a/b.db", TrackerChoice("mlflow", f"sqlite:///{Path.cwd()}/a/b.db")),
        ("mlflow:http://host:5000", TrackerChoice("mlflow", "http://host:5000")),
        ("mlflow:databricks", TrackerChoice("mlflow", "databricks")),
    ],
)
def test_what_a_user_may_say(text: str, choice: TrackerChoice):
    assert TrackerChoice.parse(text) == choice


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tensorbord", "did you mean tensorboard?"),
        ("wandb", "expected tensorboard, tensorboard:FOLDER, mlflow"),
        ("mlflow:", "names no place behind the colon; --track mlflow has one"),
        ("mlflow:runs", "expected a file that ends in .db, or a URI"),
        ("mlflow:http://me:secret@host", "set MLFLOW_TRACKING_USERNAME"),
    ],
)
def test_faults_teach(text: str, words: str):
    with pytest.raises(HeadstartError) as caught:
        TrackerChoice.parse(text)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_each_place_is_chosen_once():
    assert chosen_trackers(["tensorboard", "tensorboard"]) == (TrackerChoice("tensorboard"),)
    assert chosen_trackers([]) == ()


def options(folder: Path) -> Request:
    return Request(DataPlan(source=str(folder)), strategy="probe_then_tune", input_size=32, batch_size=4, epochs=2)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_extra_is_reported_before_training(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    module = "alembic" if name == "mlflow" else "tensorboard.compat.proto.event_pb2"
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r'pip install "headstart\[track\]"'):
        train(options(image_folder), out=tmp_path / "run", track=[name])
    assert not (tmp_path / "run").exists()


class Killed(BaseException):
    """Ends the process as SIGKILL would: nobody gets to say anything."""


@pytest.mark.slow
def test_a_killed_run_goes_on_in_the_same_series(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Killed after the first tuned epoch was written and before it was saved; no option is needed to go on."""
    saves = []

    def save(*args: Any) -> None:
        saves.append(args)
        if len(saves) == 2:
            raise Killed
        save_state(*args)

    save_state = training_module.save_state
    with monkeypatch.context() as patch:
        patch.setattr(training_module, "save_state", save)
        patch.setattr(Tracker, "__exit__", lambda self, *error: None)
        with pytest.raises(Killed):
            train(options(image_folder), out=tmp_path / "run", track=["tensorboard", f"mlflow:{tmp_path / 'm.db'}"])
    folder = tmp_path / "run" / "tensorboard"
    assert [step for step, _ in scalars_of(folder)["validation_loss"]] == [0, 1]
    answer = resume(tmp_path / "run")
    rows = answer.metrics.epochs
    truth = [(step, pytest.approx(row.validation_loss)) for step, row in enumerate(rows)]
    assert len(rows) == 3
    scalars = scalars_of(folder)
    assert scalars["validation_loss"] == truth
    assert [step for step, _ in scalars["lr/head"]] == [1, 2]
    val = answer.metrics.test
    assert scalars["test/accuracy_low"] == [(2, pytest.approx(val.accuracy_interval[0]))]
    assert len(texts_of(folder)["phases"]) == 3
    assert texts_of(folder)["status"] == [(2, "finished")]
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'm.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("headstart").experiment_id])
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "validation_loss")] == truth
    assert run.info.status == "FINISHED"
    assert run.data.params["phases.tune.epochs"] == "2"
    assert run.data.metrics["test/accuracy"] == val.accuracy


def test_a_place_that_cannot_be_written_does_not_end_training(image_folder: Path, tmp_path: Path):
    (tmp_path / "file").touch()
    places = [f"tensorboard:{tmp_path / 'file'}", f"mlflow:{tmp_path / 'file' / 'm.db'}"]
    notes = Notes()
    answer = train(options(image_folder), out=tmp_path / "run", track=places, observer=notes)
    assert answer.metrics.test.accuracy == 1.0
    stopped = [values["tracker"] for event, values in notes.seen if event == "tracker_stopped"]
    assert stopped == ["tensorboard", "mlflow"]
    assert "NotADirectoryError" in next(v["why"] for e, v in notes.seen if e == "tracker_stopped")
    assert os.environ.get("MLFLOW_DISABLE_TELEMETRY") is None
