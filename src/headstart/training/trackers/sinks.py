"""Where a tracker writes: TensorBoard's event files, or a run of MLflow.

A sink writes what it is given and raises what goes wrong; `trackers` decides what is written and handles failures.
What belongs to one step is written in one go, so that a kill leaves the whole step or nothing of it.
"""

from __future__ import annotations

import os
import re
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from headstart.files import is_there

SinkValue = str | int | float | bool
"""Of a parameter."""

Status = Literal["finished", "interrupted", "failed"]

_MLFLOW_STATUS: dict[Status, str] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}

_MLFLOW_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; with the default of 120 and 7 tries a dead server holds a run up
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Of MLflow, where the user has set nothing."""

_EXPERIMENT = "headstart"
_MOST_AT_ONCE = 100
"""Parameters in one request."""
_MOST_LETTERS = 500
"""Of a parameter's value; older servers refuse more."""
_MOST_TAG_LETTERS = 5000


class Sink(Protocol):
    """One place that a run is written to."""

    modules: ClassVar[tuple[str, ...]]
    """What must be installed."""
    memory: dict[str, Any]
    """JSON that a later process needs to go on; complete once `open` has returned."""

    @property
    def place(self) -> str:
        """Where it writes, in the words of its own tools."""

    def open(self, parameters: Mapping[str, SinkValue]) -> None:
        """Begin the series, or go on with the remembered one; parameters are written once."""

    def last_step(self, tag: str) -> int | None:
        """The highest step of a tag at this place; None where there is none."""

    def write(self, step: int, scalars: Mapping[str, float], texts: Mapping[str, str]) -> None:
        """Write one step: tag -> number, tag -> sentence."""

    def close(self, step: int, status: Status) -> None:
        """Say how the run ended."""


class TensorBoard:
    """Event files in a folder of their own: what `tensorboard --logdir FOLDER` shows."""

    modules: ClassVar[tuple[str, ...]] = ("tensorboard.compat.proto.event_pb2",)

    def __init__(self, run_folder: Path, where: str | None, memory: Mapping[str, Any] | None = None) -> None:
        """Write nothing yet.

        Args:
            run_folder: Of the run.
            where: Folder in which the run gets one of its own name; RUN/tensorboard itself if None.
            memory: Of the process that began.
        """
        self.memory = dict(memory or {})
        self._run_folder, self._where = run_folder, where
        self._file: Path | None = None
        self._steps: dict[str, int] = {}

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._folder())

    def _folder(self) -> Path:
        if self._where is None:  # the run's own folder may be moved between a stop and its resume
            return self._run_folder / "tensorboard"
        return Path(self.memory.get("folder") or Path(self._where) / self._run_folder.name)

    def open(self, parameters: Mapping[str, SinkValue]) -> None:
        """A new event file; what the earlier ones hold is read to know which steps are there."""
        from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.plugins.text.summary_v2 import text_pb

        if self._where is not None and "folder" not in self.memory:
            self.memory["folder"] = str(_unused(self._folder()))
        folder = self._folder()
        folder.mkdir(parents=True, exist_ok=True)
        self._steps = _steps_in(folder)
        self._file = folder / _event_file_name()
        self._append(file_version="brain.Event:2")
        if SESSION_START_INFO_TAG not in self._steps:
            table = "\n".join(
                ["| parameter | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in parameters.items())]
            )
            summary = hparams_pb(dict(parameters))
            summary.MergeFrom(text_pb("parameters", table))
            self._append(summary=summary, step=0)

    def last_step(self, tag: str) -> int | None:
        """The highest step of a tag in all event files of the folder."""
        return self._steps.get(tag)

    def write(self, step: int, scalars: Mapping[str, float], texts: Mapping[str, str]) -> None:
        """One event, which readers see whole or not at all."""
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.text.summary_v2 import text_pb

        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()])
        for tag, text in texts.items():
            summary.MergeFrom(text_pb(tag, text))
        self._append(summary=summary, step=step)
        self._steps.update(dict.fromkeys((*scalars, *texts), step))

    def close(self, step: int, status: Status) -> None:
        """A last text."""
        self.write(step, {}, {"status": status})

    def _append(self, **values: Any) -> None:  # noqa: ANN401 - fields of an event
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        assert self._file is not None
        with self._file.open("ab") as file:
            RecordWriter(file).write(Event(wall_time=time.time(), **values).SerializeToString())


def _unused(folder: Path) -> Path:
    """The folder, or with a number behind it where another run has that name."""
    found, count = folder, 2
    while is_there(found):
        found, count = folder.with_name(f"{folder.name}-{count}"), count + 1
    return found.absolute()


def _event_file_name() -> str:
    """So that later ones sort behind."""
    return f"events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}.{os.getpid()}"


def _steps_in(folder: Path) -> dict[str, int]:
    """Tag -> its highest step in the event files; a record that a crash cut is left out."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    steps: dict[str, int] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                steps[value.tag] = max(steps.get(value.tag, 0), event.step)
    return steps


class Mlflow:
    """One run of MLflow, in a SQLite file or on a server."""

    modules: ClassVar[tuple[str, ...]] = ("mlflow", "sqlalchemy", "alembic")

    def __init__(self, run_folder: Path, where: str | None, memory: Mapping[str, Any] | None = None) -> None:
        """Contact no server yet.

        Args:
            run_folder: Of the run.
            where: URI of the store; `mlflow.db` next to the run folder if None.
            memory: Of the process that began.
        """
        self.memory = {"token": uuid.uuid4().hex, **(memory or {})}
        self._run_folder, self._where = run_folder.absolute(), where
        self._client: Any = None
        self._steps: dict[str, int | None] = {}

    @property
    def place(self) -> str:
        """The URI of the store."""
        return self._where or f"sqlite:///{self._run_folder.parent / 'mlflow.db'}"

    def open(self, parameters: Mapping[str, SinkValue]) -> None:
        """The remembered run, running again, or a new one of the experiment `headstart`."""
        with mlflow_settings():
            from mlflow.entities import Param
            from mlflow.tracking import MlflowClient

            if found := re.fullmatch(r"sqlite:///([^?]+).*", self.place):
                Path(found[1]).parent.mkdir(parents=True, exist_ok=True)
            self._client = MlflowClient(tracking_uri=self.place)
            experiment = self._experiment()
            self.memory["run_id"] = self.memory.get("run_id") or self._begun(experiment) or self._new(experiment)
            run_id = self.memory["run_id"]
            if self._client.get_run(run_id).info.status != "RUNNING":
                self._client.update_run(run_id, status="RUNNING")
            if not self._client.get_run(run_id).data.params:
                sent = [Param(_name(key), str(value)[:_MOST_LETTERS]) for key, value in parameters.items()]
                for start in range(0, len(sent), _MOST_AT_ONCE):
                    self._client.log_batch(run_id, params=sent[start : start + _MOST_AT_ONCE])

    def last_step(self, tag: str) -> int | None:
        """Of a metric; sentences are tags there, which a second writing leaves as they are."""
        if tag not in self._steps:
            with mlflow_settings():
                history = self._client.get_metric_history(self.memory["run_id"], _name(tag))
            self._steps[tag] = max((metric.step for metric in history), default=None)
        return self._steps[tag]

    def write(self, step: int, scalars: Mapping[str, float], texts: Mapping[str, str]) -> None:
        """One request, which a SQL store takes in one transaction."""
        with mlflow_settings():
            from mlflow.entities import Metric, RunTag

            now = int(time.time() * 1000)
            metrics = [Metric(_name(tag), value, now, step) for tag, value in scalars.items()]
            tags = [RunTag(f"headstart.{tag}.{step}", text[:_MOST_TAG_LETTERS]) for tag, text in texts.items()]
            self._client.log_batch(self.memory["run_id"], metrics=metrics, tags=tags)
        self._steps.update(dict.fromkeys(scalars, step))

    def close(self, step: int, status: Status) -> None:
        """Finished, killed or failed."""
        with mlflow_settings():
            self._client.set_tag(self.memory["run_id"], "headstart.status", status)
            self._client.set_terminated(self.memory["run_id"], _MLFLOW_STATUS[status])

    def _experiment(self) -> str:
        """Its id; made if it is not there, with artifacts next to the default store and not in the working folder."""
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        if found is None:
            artifacts = (self._run_folder.parent / "mlflow-artifacts").as_uri() if self._where is None else None
            return str(self._client.create_experiment(_EXPERIMENT, artifact_location=artifacts))
        return str(found.experiment_id)

    def _begun(self, experiment: str) -> str | None:
        """The run of a process that was killed before it could write down which it was."""
        found = self._client.search_runs([experiment], f"tags.`headstart.token` = '{self.memory['token']}'")
        return str(found[0].info.run_id) if found else None

    def _new(self, experiment: str) -> str:
        tags = {"headstart.token": self.memory["token"], "headstart.runs.folder": str(self._run_folder)}
        return str(self._client.create_run(experiment, tags=tags, run_name=self._run_folder.name).info.run_id)


def _name(text: str) -> str:
    """With the letters MLflow allows in a name."""
    return re.sub(r"[^\w\-. /]", "_", text, flags=re.ASCII)


@contextmanager
def mlflow_settings() -> Iterator[None]:
    """While the block runs, MLflow reports to nobody, prints no notes and soon gives a dead server up.

    What the user has set stays as it is.
    """
    added = {name: value for name, value in _MLFLOW_SETTINGS.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
