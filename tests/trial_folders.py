"""Run folders of trials that nobody trained: their figures are known beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from headstart.comparison.comparison import Comparison, TrialEnd
from headstart.comparison.grid import GridPlan, Trial
from headstart.plan.plan import DataPlan
from headstart.plan.presets import Request, full
from headstart.runs.folder import Run
from headstart.runs.run_data import RunData
from headstart.runs.run_metrics import RunMetrics, SelectedCheckpoint, ValidationFigures
from headstart.runs.tables import PredictedImage
from headstart.runs.training_events import EpochDone, PhaseDone
from run_values import role_counts, run_data, run_metrics

CLASSES = ("ants", "bees")


def write_trial(
    comparison: Comparison,
    trial: Trial,
    *,
    test: Sequence[bool],
    validation: Sequence[bool],
    epochs: Sequence[Sequence[bool]] = (),
    seconds: float = 10.0,
    accuracy: Literal["measured", "needs download"] = "measured",
    missing: Mapping[str, str] | None = None,
    selected: str | None = None,
    selected_on: str = "held-out 20% of train",
    sure: float = 0.9,
    fit: int = 20,
) -> Run:
    """A finished trial with these right and wrong answers; image i is an ant if i is even.

    `validation` is of the linear probe; of `epochs` the last is selected, if not `selected`.
    `sure` is the probability of each answer on test images; `fit` the number of training images.
    """
    plan = full(Request(data=DataPlan(source="x"), model="resnet18", input_size=64))
    run = Run.create(
        comparison.run_of(trial).folder,
        given=plan,
        resolved=plan,
        data=_data(len(test), len(validation), selected_on, fit),
    )
    run.write_predictions([_prediction(index, correct, sure) for index, correct in enumerate(test)])
    by_candidate = {
        "probe": validation,
        **{f"tune/{number}": correct for number, correct in enumerate(epochs, start=1)},
    }
    checkpoint = selected or list(by_candidate)[-1]
    rows = [
        {
            "image": f"select/{index}",
            "label": _label(index),
            "epoch": name,
            "correct": bool(correct),
            "log_loss": 0.1 if correct else 2.0,
            "selected": name == checkpoint,
        }
        for name, answers in by_candidate.items()
        for index, correct in enumerate(answers)
    ]
    run.write_selection({column: [row[column] for row in rows] for column in rows[0]})
    run.write_metrics(_metrics(test, by_candidate[checkpoint], checkpoint, len(epochs), seconds))
    end = TrialEnd("done", accuracy=accuracy, seconds=seconds, peak_memory_bytes=1000, missing=dict(missing or {}))
    comparison.end(trial, end)
    return run


def comparison_of(folder: Path, **values: Any) -> tuple[Comparison, list[Trial]]:
    """A comparison of two models, and its trials."""
    from headstart.comparison.grid import trials_of

    raw = {"data": {"source": "x"}, "vary": {"model": ["one", "two"]}, "seeds": [0, 1], **values}
    plan = GridPlan.from_dict(raw, source="test")
    return Comparison.create(folder, plan), trials_of(plan.variants(), plan.seeds)


def _label(index: int) -> str:
    return CLASSES[index % 2]


def _prediction(index: int, correct: bool, sure: float) -> PredictedImage:
    label = _label(index)
    predicted = label if correct else CLASSES[1 - index % 2]
    probabilities = tuple(sure if name == predicted else 1 - sure for name in CLASSES)
    return PredictedImage(f"report/{index}", label, predicted, probabilities)


def _data(test: int, validation: int, selected_on: str, fit: int) -> RunData:
    roles = role_counts({"train": fit, "validation": validation, "test": test})
    return run_data(classes=CLASSES, roles=roles, validation_source=selected_on)


def _metrics(test: Sequence[bool], predictions: Sequence[bool], kept: str, epochs: int, seconds: float) -> RunMetrics:
    return run_metrics(
        sum(test) / len(test),
        images=len(test),
        seconds=seconds,
        strategy="full",
        validation=ValidationFigures(accuracy=sum(predictions) / len(predictions)),
        selected=SelectedCheckpoint(kept, "it is best"),
        epochs=(_epoch(0), *(_epoch(number) for number in range(1, epochs + 1))),
        phases=(PhaseDone("tune", "train", ["head"], {}, "train", None, epochs, None, 1.0, "all epochs done"),),
    )


def _epoch(number: int) -> EpochDone:
    loss = 1.0 / number if number else None
    phase = "tune" if number else "probe"
    return EpochDone(phase, number, loss, 0.5, 0.5, {}, improved=True, seconds=1.0)
