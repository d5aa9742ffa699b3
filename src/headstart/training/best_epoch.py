"""The selected checkpoint: the linear probe, or the best epoch where it is significantly better than the probe."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from headstart.errors import RunError
from headstart.measures.figures import METRIC_WORDS, SelectionMetric
from headstart.runs.events import StopReason
from headstart.runs.training_events import PhaseDone
from headstart.training.checkpoint import Candidate, TrainingProgress
from headstart.training.validation_predictions import ValidationPredictions


@dataclass(frozen=True)
class Outcome:
    """Outcome of training: the selected checkpoint, whose weights the classifier holds, and its reason."""

    stopped: StopReason | None
    """None when every phase ended by itself."""
    chosen: str
    """Name of the selected checkpoint: `probe` or `PHASE/EPOCH`."""
    why: str
    progress: TrainingProgress
    phases: list[PhaseDone]
    """One row a phase that began: what was trained, with which learning rates, why it ended."""
    probe_accuracy: float | None
    """On the validation images or out of fold, 0..1."""
    selected_accuracy: float | None
    validation_predictions: ValidationPredictions = field(default_factory=ValidationPredictions)
    """Results of every candidate on the validation images."""
    metric: SelectionMetric = "accuracy"
    """By which candidates were compared."""
    selected_value: float | None = None
    """Of that metric, of the selected checkpoint."""
    confidences: npt.NDArray[np.float64] | None = None
    """(N,) probability of the class that the selected checkpoint predicts, for the same images; None if unknown."""


def choose(
    probe: Candidate | None, best: Candidate | None, *, on: str, significance_level: float
) -> tuple[Candidate, str]:
    """The selected checkpoint, and the sentence that says why.

    Args:
        probe: The linear probe, where the plan had one.
        best: The best epoch, where one was evaluated.
        on: The images that both were evaluated on, in words.
        significance_level: The best epoch replaces the probe below this p-value.

    Raises:
        RunError: nothing was ever evaluated.
    """
    if best is None and probe is None:
        raise RunError(
            "training ended before one epoch was evaluated",
            expected="time for the images' features and for the head or an epoch, and a finite loss",
            remedy="raise --budget, or lower the learning rate if the loss stopped being a number",
        )
    if best is None:
        assert probe is not None
        return probe, "the linear probe is the only candidate"
    if probe is None:
        return best, f"best of the epochs on {on}" + by_metric(best)
    p_value = best.p_value_against(probe)
    figures = f"{on}: {best.figures_against(probe)}, p = {p_value:.2g}"
    if p_value < significance_level:
        return best, f"significantly better than the linear probe ({figures})"
    return probe, f"no epoch is significantly better than the linear probe ({figures})"


def by_metric(candidate: Candidate) -> str:
    """` by balanced accuracy`, where another metric than the default selects; else empty."""
    return "" if candidate.metric == "accuracy" else f" by {METRIC_WORDS[candidate.metric]}"
