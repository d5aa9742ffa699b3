"""Record of one run, as its folder holds it: finished, stopped or unfinished. Reports read it, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstart.errors import PlanError, RunError
from headstart.files import is_file
from headstart.machine import Environment
from headstart.plan.plan import Plan
from headstart.runs.event_lines import LoggedEvent
from headstart.runs.folder import Run
from headstart.runs.ledger import Ledger, LedgerEntry
from headstart.runs.run_data import ImageRole, RunData
from headstart.runs.run_metrics import RunMetrics
from headstart.runs.state import RunState, state_of
from headstart.runs.tables import PREDICTIONS_FILE, SELECTION_FILE, PredictedImage
from headstart.runs.training_events import EpochDone, PhaseDone


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


@dataclass(frozen=True)
class RunRecord:
    """One run."""

    folder: Path
    plan: Plan
    """With every `auto` resolved."""
    data: RunData
    environment: Environment
    events: Sequence[LoggedEvent]
    metrics: RunMetrics | None
    """None before the run has ended once."""
    state: RunState
    state_reason: str
    """In words; empty when finished."""
    epochs: tuple[Epoch, ...]
    phases: tuple[PhaseDone, ...]
    """One a phase that ended; of a run with metrics also one that was stopped."""
    predictions: tuple[PredictedImage, ...] = ()
    """For the test images; empty without metrics."""
    layer_groups: tuple[str, ...] = ()
    """All of the network, stem to head; empty where that is not known."""
    validation_intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Candidate -> 95 % interval of its validation accuracy over groups; empty where every image stands alone."""
    ledger: tuple[LedgerEntry, ...] = ()
    """One line an epoch; empty in runs of earlier versions."""
    most_names: int = 4000
    """Most file names on the page, in addition to those of the worst mistakes."""

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the probabilities."""
        return self.data.classes

    @property
    def resume_command(self) -> str:
        """The command that resumes the run."""
        return Run(self.folder).resume_command

    @property
    def selected(self) -> Epoch | None:
        """The epoch whose weights are in the bundle."""
        if self.metrics is None:
            return None
        name = self.metrics.selected.checkpoint
        return next((epoch for epoch in self.epochs if epoch.row.checkpoint == name), None)

    @property
    def trained_epochs(self) -> int:
        """Number of epochs, without the linear probe."""
        return sum(epoch.number > 0 for epoch in self.epochs)

    def images(self, role: ImageRole) -> int:
        """Number of images of a role."""
        return self.data.counts(role).images

    @property
    def validation_images(self) -> int:
        """Number of images that validated the candidates: those held out, else the training images, out-of-fold."""
        return self.images("validation") or self.images("train")

    @property
    def largest_share(self) -> float | None:
        """Accuracy of always predicting the class that is largest in the test set, 0..1."""
        counts = self.data.counts("test").classes
        return max(counts.values()) / sum(counts.values()) if counts else None

    def label_probability(self, one: PredictedImage) -> float | None:
        """Probability of the true class of a test image, 0..1; None where the run does not know the class."""
        return one.probabilities[self.classes.index(one.label)] if one.label in self.classes else None


def read_run(folder: Path) -> RunRecord:
    """Record of a run folder.

    Raises:
        RunError: no run folder, a damaged file, or nothing has been trained yet.
    """
    run = Run.open(folder)
    events, metrics = run.events(), run.metrics()
    epochs = _epochs(_last_of_each(events) if metrics is None else metrics.epochs)
    if not epochs:
        raise RunError(
            f"{folder} has trained nothing yet",
            expected="a run with a linear probe or at least one epoch",
            remedy=f"resume it with: {run.resume_command}",
        )
    data, has_predictions = run.data(), is_file(folder / PREDICTIONS_FILE)
    found = state_of(folder, metrics)
    return RunRecord(
        folder=folder,
        plan=_plan_of(run),
        data=data,
        environment=run.environment(),
        events=tuple(events),
        metrics=metrics,
        state=found.state,
        state_reason=found.why,
        epochs=epochs,
        phases=_phases(events) if metrics is None else metrics.phases,
        predictions=run.predictions() if metrics is not None and has_predictions else (),
        layer_groups=_bundled_groups(folder),
        validation_intervals=_validation_intervals(run, data) if metrics is not None else {},
        ledger=tuple(Ledger(folder).entries()),
    )


def _plan_of(run: Run) -> Plan:
    """The resolved plan.

    Raises:
        RunError: it is damaged, or of a newer version.
    """
    try:
        return run.plan()
    except PlanError as error:
        raise RunError(
            f"{run.folder / 'plan.resolved.yaml'} cannot be read ({error.found})",
            expected="the file as training wrote it",
            remedy="restore it from a copy, or train again",
        ) from error


def _last_of_each(events: Sequence[LoggedEvent]) -> list[EpochDone]:
    """Rows of epochs; one that was trained again after a crash counts as it was the last time."""
    rows = [line.event for line in events if isinstance(line.event, EpochDone)]
    return list({(row.phase, row.epoch): row for row in rows}.values())


def _phases(events: Sequence[LoggedEvent]) -> tuple[PhaseDone, ...]:
    rows = [line.event for line in events if isinstance(line.event, PhaseDone)]
    return tuple({row.name: row for row in rows}.values())


def _epochs(rows: Sequence[EpochDone]) -> tuple[Epoch, ...]:
    first = 0 if rows and rows[0].epoch == 0 else 1
    return tuple(Epoch(first + index, row) for index, row in enumerate(rows))


def _validation_intervals(run: Run, data: RunData) -> dict[str, tuple[float, float]]:
    """Candidate -> interval over groups of images; empty where every image stands alone or there is no table."""
    if not data.group_of or not is_file(run.folder / SELECTION_FILE):
        return {}
    import numpy as np

    from headstart.measures.intervals import numbered, share_interval

    found = {}
    for one in run.selection():
        together = numbered([data.group_of.get(image, image) for image in one.images])
        found[one.checkpoint] = share_interval(np.array(one.correct, bool), together)
    return found


def _bundled_groups(folder: Path) -> tuple[str, ...]:
    """Layer groups of stage grain, from the card in the bundle; empty where there is none.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / "bundle" / "bundle.json"
    if not is_file(path):
        return ()
    try:
        return tuple(json.loads(path.read_text(encoding="utf-8"))["card"]["groups"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RunError(
            f"{path} cannot be read ({str(error).splitlines()[0]})", remedy="restore it from a copy, or train again"
        ) from error
