"""What a run folder tells, as it lies on disk: finished, stopped or still under way."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from headstart.errors import RunError
from headstart.files import is_file
from headstart.plan.upgrade import upgraded
from headstart.runs.event_lines import LoggedEvent
from headstart.runs.events import Resumed, RunStopped
from headstart.runs.folder import Run
from headstart.runs.training_events import EpochDone, PhaseDone
from headstart.runs.upgrade import TABLE_COLUMNS, upgraded_data, upgraded_metrics

RecordValues = Mapping[str, Any]
_WHOLE = {"expected": "the file as training wrote it", "remedy": "restore it from a copy, or train again"}

State = Literal["finished", "out of budget", "stopped", "under way"]
"""out of budget: with an answer, and more to come. stopped: by the user, without an answer. under way: or killed."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One candidate for the selected checkpoint: an epoch, or the linear probe."""

    position: int
    """Place among all; a probe at the beginning is 0, the first epoch 1."""
    row: EpochDone

    @property
    def number(self) -> int:
        """Within its phase, from 1; 0 for a linear probe."""
        return self.row.epoch


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the trained network said of one image that reports."""

    image: str
    label: str
    predicted: str
    probability: float
    """Of what was predicted, 0..1."""
    label_probability: float | None
    """Of what is right, 0..1."""


@dataclass(frozen=True)
class RunFacts:
    """One run; sections read it, and nothing else."""

    folder: Path
    plan: RecordValues
    """plan.resolved.yaml."""
    data: RecordValues
    environment: RecordValues
    events: Sequence[LoggedEvent]
    metrics: RecordValues | None
    """None before the run has ended once."""
    epochs: tuple[Epoch, ...]
    phases: tuple[PhaseDone, ...]
    """One row a phase that ended (or began, where the run has an answer)."""
    predictions: tuple[Prediction, ...] = ()
    layer_groups: tuple[str, ...] = ()
    """All of the network, stem to head; empty where that is not known."""
    validation_intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Candidate -> 95 % interval of its validation accuracy over groups; empty where every image stands alone."""
    most_names: int = 4000
    """File names that the page may hold beside those of the worst mistakes."""

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.resolve().name

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the network's answers."""
        return tuple(self.data.get("classes", ()))

    @property
    def state(self) -> State:
        """How far it is."""
        if self.metrics is not None:
            return "out of budget" if self.metrics.get("stopped") else "finished"
        ends = [line.event for line in self.events if isinstance(line.event, RunStopped | Resumed)]
        return "stopped" if ends and isinstance(ends[-1], RunStopped) else "under way"

    @property
    def resume_command(self) -> str:
        """What to type to go on."""
        return Run(self.folder).resume_command

    @property
    def selected(self) -> Epoch | None:
        """The epoch whose weights are in the bundle."""
        name = ((self.metrics or {}).get("selected") or {}).get("checkpoint")
        return next((epoch for epoch in self.epochs if epoch.row.checkpoint == name), None)

    def images(self, role: Literal["train", "validation", "test"]) -> int:
        """How many images play a role."""
        return int(self.data.get("roles", {}).get(role, {}).get("images", 0))

    @property
    def validation_images(self) -> int:
        """How many images validated the candidates: those held out, else the training images, out-of-fold."""
        return self.images("validation") or self.images("train")

    @property
    def largest_share(self) -> float | None:
        """Accuracy of always naming the class that is largest among the images that report, 0..1."""
        counts = self.data.get("roles", {}).get("test", {}).get("classes", {})
        return max(counts.values()) / sum(counts.values()) if counts else None


def read_run(folder: Path) -> RunFacts:
    """Read a run folder.

    Raises:
        RunError: no run folder, a damaged file, or nothing has been trained yet.
    """
    run = Run.open(folder)
    events = run.events()
    answered = is_file(folder / "metrics.json")
    metrics = _metrics_of(folder) if answered else None
    epochs = _epochs([EpochDone.from_dict(row) for row in metrics["epochs"]] if metrics else _last_of_each(events))
    if not epochs:
        raise RunError(
            f"{folder} has trained nothing yet",
            expected="a run with a solved head or at least one epoch",
            remedy=f"go on with: {run.resume_command}",
        )
    data = _data_of(folder)
    phases = [PhaseDone.from_dict(row) for row in metrics["phases"]] if metrics else _phases(events)
    return RunFacts(
        folder=folder,
        plan=upgraded(_mapping(folder / "plan.resolved.yaml", "strategy", "model", "phases", "data")),
        data=data,
        environment=_mapping(folder / "environment.json"),
        events=tuple(events),
        metrics=metrics,
        epochs=epochs,
        phases=tuple(phases),
        predictions=_predictions(folder / "predictions.parquet", data.get("classes", ())) if metrics else (),
        layer_groups=_bundled_groups(folder),
        validation_intervals=_validation_intervals(folder / "selection.parquet", data) if metrics else {},
    )


def _data_of(folder: Path) -> dict[str, Any]:
    """data.json in today's names.

    Raises:
        RunError: it is damaged.
    """
    path = folder / "data.json"
    return _whole(path, upgraded_data(_mapping(path)), "source", "classes", "roles", "validation_source", "test_source")


def _metrics_of(folder: Path) -> dict[str, Any]:
    """metrics.json in today's names.

    Raises:
        RunError: it is damaged.
    """
    path = folder / "metrics.json"
    return _whole(path, upgraded_metrics(_mapping(path)), "test", "epochs", "phases", "selected", "seconds")


def _mapping(path: Path, *names: str) -> dict[str, Any]:
    """A file of the run that holds one mapping, with at least these names.

    Raises:
        RunError: it is not there, or damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
        value = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"{path} cannot be read ({str(error).splitlines()[0]})", **_WHOLE) from error
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: it holds {type(value).__name__}, not names and values", **_WHOLE)
    return _whole(path, value, *names)


def _whole(path: Path, value: dict[str, Any], *names: str) -> dict[str, Any]:
    """The values of a file.

    Raises:
        RunError: one of the names is missing.
    """
    if missing := [name for name in names if name not in value]:
        raise RunError(f"{path} is damaged: {', '.join(missing)} is missing", **_WHOLE)
    return value


def _last_of_each(events: Sequence[LoggedEvent]) -> list[EpochDone]:
    """Rows of epochs; one that was trained again after a crash counts as it was the last time."""
    rows = [line.event for line in events if isinstance(line.event, EpochDone)]
    return list({(row.phase, row.epoch): row for row in rows}.values())


def _phases(events: Sequence[LoggedEvent]) -> list[PhaseDone]:
    return list({line.event.name: line.event for line in events if isinstance(line.event, PhaseDone)}.values())


def _epochs(rows: Sequence[EpochDone]) -> tuple[Epoch, ...]:
    first = 0 if rows and rows[0].epoch == 0 else 1
    return tuple(Epoch(first + index, row) for index, row in enumerate(rows))


def _predictions(path: Path, classes: Sequence[str]) -> tuple[Prediction, ...]:
    if not is_file(path):
        return ()
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise RunError(
            f"{path} cannot be read ({str(error).splitlines()[0]})",
            expected="the table as training wrote it",
            remedy="move it away for a report without it, or train again",
        ) from error
    place = {name: index for index, name in enumerate(classes)}
    return tuple(
        Prediction(
            image=row["image"],
            label=row["label"],
            predicted=row["predicted"],
            probability=max(row["probabilities"]),
            label_probability=row["probabilities"][place[row["label"]]] if row["label"] in place else None,
        )
        for row in rows
    )


def _validation_intervals(path: Path, data: RecordValues) -> dict[str, tuple[float, float]]:
    """Of every candidate, over groups of images; empty where every image stands alone or nothing was kept of them."""
    group_of = data.get("group_of", {})
    if not group_of or not path.is_file():
        return {}
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from headstart.measures.intervals import numbered, share_interval

    try:
        columns = pq.read_schema(path).names
        correct_column = next((name for name in columns if TABLE_COLUMNS.get(name, name) == "correct"), "correct")
        read = pq.read_table(path, columns=["image", "epoch", correct_column])
    except (OSError, pa.ArrowException):
        return {}  # the report goes without: intervals by images are drawn
    images, names, correct = (np.asarray(read[name]) for name in ("image", "epoch", correct_column))
    together = numbered([group_of.get(image, image) for image in images])
    found = {}
    for name in dict.fromkeys(names):
        of_candidate = names == name
        found[str(name)] = share_interval(correct[of_candidate].astype(bool), together[of_candidate])
    return found


def _bundled_groups(folder: Path) -> tuple[str, ...]:
    """Layer groups of stage grain, where there is a bundle."""
    path = folder / "bundle" / "bundle.json"
    return tuple(_mapping(path).get("card", {}).get("groups", ())) if is_file(path) else ()
