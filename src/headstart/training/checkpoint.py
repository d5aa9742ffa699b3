"""The checkpoint: the state of training in one file, all that a resume needs to go on bit for bit.

It is written atomically: a crash leaves the last one whole.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.errors import RunError
from headstart.files import is_file, write_atomically
from headstart.measures.figures import SelectionMetric
from headstart.measures.selection import Scored
from headstart.runs.training_events import EpochDone, PhaseDone, StepDone
from headstart.runs.upgrade import upgraded_checkpoint
from headstart.training.checkpoint_file import write_checkpoint
from headstart.training.validation_predictions import ValidationPredictions


@dataclass(frozen=True)
class Candidate:
    """A candidate for the selected checkpoint: weights, and their results on the validation images."""

    name: str
    """`probe`, `multi_depth` for a head on all depths besides it, a step, or `PHASE/EPOCH` with epochs from 1."""
    correct: npt.NDArray[np.bool_]
    """(N,) which validation images it classifies correctly."""
    losses: npt.NDArray[np.float64]
    """(N,) log loss of each at the temperature that suits the candidate best, in nats."""
    weights: Mapping[str, Any]
    """The network's whole state: tensors on the CPU, or numpy arrays of a network that torch never built."""
    confidences: npt.NDArray[np.float64] | None = None
    """(N,) probability of the predicted class; None in checkpoints of earlier versions."""
    rows: npt.NDArray[np.int64] | None = None
    """Positions of its images among those that validate, in rising order; None: all."""
    folds: Sequence[Mapping[str, Any]] = ()
    """Of a step, what it changed in the network of each fold; `weights` is a network trained on all images."""

    labels: npt.NDArray[np.int64] | None = None
    """(N,) classes of its images; None in checkpoints of earlier versions, as are the next."""
    predicted: npt.NDArray[np.int64] | None = None
    """(N,) classes that it predicts."""
    metric: SelectionMetric = "accuracy"
    """By which it is compared with another."""

    @property
    def scored(self) -> Scored:
        """Its predictions, as its metric compares them."""
        return Scored(self.correct, self.losses, self.metric, self.labels, self.predicted)

    @property
    def accuracy(self) -> float:
        """Accuracy on the validation images, 0..1."""
        return float(self.correct.mean())

    @property
    def value(self) -> float:
        """The metric on the validation images; the log loss with a minus."""
        return self.scored.value

    @property
    def figure(self) -> float:
        """The metric as it is reported: the log loss as it is."""
        return self.scored.figure

    @property
    def loss(self) -> float:
        """Mean of `losses`, or of their means by class where the metric counts every class the same."""
        return self.scored.loss

    def is_better_than(self, other: Candidate) -> bool:
        """See `Scored.is_better_than`."""
        return self.scored.is_better_than(other.scored)

    def loss_p_value_against(self, other: Candidate) -> float:
        """See `Scored.loss_p_value_against`."""
        return self.scored.loss_p_value_against(other.scored)

    def p_value_against(self, other: Candidate) -> float:
        """See `Scored.p_value_against`."""
        return self.scored.p_value_against(other.scored)

    def figures_against(self, other: Candidate) -> str:
        """See `Scored.figures_against`."""
        return self.scored.figures_against(other.scored)

    def at(self, places: npt.NDArray[np.int64]) -> Candidate:
        """The same on some of its images, without weights and the confidences.

        Args:
            places: Positions among its own images.
        """
        one = self.scored.at(places)
        return Candidate(
            self.name,
            one.correct,
            one.losses,
            {},
            labels=one.labels,
            predicted=one.predicted,
            metric=self.metric,
        )


@dataclass
class StepState:
    """State of a step between its rounds, besides the network and the optimizer of the current one."""

    round: int = 0
    """Rounds that have ended."""
    logits: npt.NDArray[np.float32] | None = None
    """(N, K) of the images that validate, by the network of their fold; not yet known where the round is to come."""
    folds: list[dict[str, Any]] = field(default_factory=list)
    """One a round that has ended: tensors that the step may change, on the CPU."""
    seconds: float = 0.0
    """Of the epochs on all images."""
    selected: bool = False
    """Whether the rounds so far have selected the step; what is left is the round on all images."""


@dataclass
class TrainingProgress:
    """Progress of training. Positions count finished work."""

    phase: int = 0
    epoch: int = 0
    step: int = 0
    """Steps of the current epoch that are done."""
    loss_sum: float = 0.0
    """Training loss summed over the images of the current epoch so far."""
    images_seen: int = 0
    epoch_seconds: float = 0.0
    """Time spent in the current epoch before an interruption."""
    validation_losses: list[float] = field(default_factory=list)
    """After each epoch of the current phase."""
    epochs_without_better: int = 0
    l2_penalty: float | None = None
    """L2 penalty of the linear probe."""
    depths_l2_penalty: float | None = None
    """L2 penalty of the head on all depths, where that is the candidate to beat."""
    rows: list[EpochDone] = field(default_factory=list)
    """One an epoch: the per-epoch table."""
    phases: list[PhaseDone] = field(default_factory=list)
    """One a finished phase."""
    warnings: list[dict[str, Any]] = field(default_factory=list)
    """What looked wrong without stopping the run, each with its numbers."""
    trained_seconds: float = 0.0
    """Of the processes before this one, up to what each of them saved last; without reading images and setting up."""
    steps: list[StepDone] = field(default_factory=list)
    """One for each step of progressive tuning that was trained."""
    ledger_lines: int = 0
    """Lines of ledger.jsonl; those behind them are of epochs that are trained again."""
    rescues: int = 0
    """Of the current phase."""
    rescued_after: int = 0
    """Epochs of the current phase before its last rescue."""
    done: bool = False
    """All phases have ended; what is left is the choice, the refit and the report."""

    def start_epoch(self) -> None:
        """Set the counts of an epoch to zero."""
        self.step, self.loss_sum, self.images_seen, self.epoch_seconds = 0, 0.0, 0, 0.0

    def start_rescue(self) -> None:
        """Set the counts of a phase whose schedule begins anew, behind the epochs that it has had."""
        self.rescues, self.rescued_after = self.rescues + 1, self.epoch
        self.validation_losses, self.epochs_without_better = [], 0
        self.start_epoch()

    def start_phase(self, number: int) -> None:
        """Set the counts of a phase to zero."""
        self.phase, self.epoch, self.rescues, self.rescued_after = number, 0, 0, 0
        self.validation_losses, self.epochs_without_better = [], 0
        self.start_epoch()


@dataclass
class TrainingState:
    """State of training: everything that a checkpoint holds."""

    progress: TrainingProgress
    network: Mapping[str, Any]
    """Its whole state, as in `Candidate.weights`."""
    optimizer: dict[str, Any] | None
    probe: Candidate | None
    best: Candidate | None
    """Best trained epoch so far; of the current phase, where phases are steps."""
    step: Candidate | None = None
    """Selected epoch of the steps that have ended; None while no step was significantly better than the probe."""
    depths: Candidate | None = None
    """Head on all depths, where it was significantly better than the probe."""
    rounds: StepState | None = None
    """Of the current phase, where it is a step."""
    average: Mapping[str, Any] | None = None
    """Of the weights over the steps of the current phase (`WeightAverage.state`), where the plan has one."""
    validation_predictions: ValidationPredictions = field(default_factory=ValidationPredictions)
    """Results of every candidate so far on the validation images."""
    epoch_start: Mapping[str, Any] | None = None
    """Layer group -> its tensors when the current epoch began, in a checkpoint from inside an epoch."""
    taken_up: float = field(default_factory=time.monotonic)
    """`time.monotonic()` when this process began to train from it."""


def save_state(path: Path, state: TrainingState) -> None:
    """Write the state in place of the last one.

    Raises:
        DiskFullError: the last one is still there.
    """
    trained = state.progress.trained_seconds + time.monotonic() - state.taken_up
    raw = {
        "progress": {**asdict(state.progress), "trained_seconds": trained},
        "network": state.network,
        "optimizer": state.optimizer,
        "probe": _candidate_to_raw(state.probe),
        "best": _candidate_to_raw(state.best),
        "step": _candidate_to_raw(state.step),
        "depths": _candidate_to_raw(state.depths),
        "rounds": _rounds_to_raw(state.rounds),
        "average": state.average,
        "validation_predictions": state.validation_predictions.to_raw(),
        "epoch_start": state.epoch_start,
    }
    write_atomically(path, lambda aside: write_checkpoint(raw, aside))


def load_state(path: Path) -> TrainingState | None:
    """Read the last state; None if training had not saved one yet.

    Raises:
        RunError: the file is damaged.
    """
    if not is_file(path):
        return None
    import torch

    try:
        raw = upgraded_checkpoint(torch.load(path, "cpu", weights_only=True))
    except Exception as error:
        raise RunError(f"{path} is damaged ({str(error).splitlines()[0]})", remedy="start the run anew") from error
    return TrainingState(
        _progress_from_raw(raw["progress"]),
        raw["network"],
        raw["optimizer"],
        _candidate_from_raw(raw["probe"]),
        _candidate_from_raw(raw["best"]),
        step=_candidate_from_raw(raw.get("step")),
        depths=_candidate_from_raw(raw.get("depths")),
        rounds=_rounds_from_raw(raw.get("rounds")),
        average=raw.get("average"),
        validation_predictions=ValidationPredictions.from_raw(raw.get("validation_predictions")),
        epoch_start=raw.get("epoch_start"),
    )


def _progress_from_raw(raw: dict[str, Any]) -> TrainingProgress:
    """As it was saved, with typed rows."""
    rows = [EpochDone.from_dict(row) for row in raw["rows"]]
    phases = [PhaseDone.from_dict(row) for row in raw["phases"]]
    steps = [StepDone.from_dict(row) for row in raw.get("steps", ())]
    return TrainingProgress(**{**raw, "rows": rows, "phases": phases, "steps": steps})


def trained_seconds(path: Path) -> float:
    """Seconds of training behind the checkpoint, over all processes; 0 where there is none.

    Raises:
        RunError: the file is damaged.
    """
    state = load_state(path)
    return 0.0 if state is None else state.progress.trained_seconds


def _candidate_to_raw(candidate: Candidate | None) -> dict[str, Any] | None:
    if candidate is None:
        return None
    return {**vars(candidate), "folds": [dict(fold) for fold in candidate.folds]}


def _candidate_from_raw(raw: dict[str, Any] | None) -> Candidate | None:
    if raw is None:
        return None
    known = {name: raw[name] for name in ("confidences", "rows", "labels", "predicted") if raw.get(name) is not None}
    arrays = {name: values.numpy() for name, values in known.items()}
    return Candidate(
        raw["name"],
        raw["correct"].numpy(),
        raw["losses"].numpy(),
        raw["weights"],
        folds=raw.get("folds", ()),
        metric=raw.get("metric", "accuracy"),
        **arrays,
    )


def _rounds_to_raw(rounds: StepState | None) -> dict[str, Any] | None:
    return None if rounds is None else dict(vars(rounds))


def _rounds_from_raw(raw: dict[str, Any] | None) -> StepState | None:
    if raw is None:
        return None
    return StepState(**{**raw, "logits": None if raw["logits"] is None else raw["logits"].numpy()})
