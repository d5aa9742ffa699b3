"""metrics.json comes back as the values that were written."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from every_event import EVERY_EVENT
from headstart.findings import Finding
from headstart.runs.run_metrics import (
    MeasuredEstimate,
    MeasuredPhase,
    RunMetrics,
    RunWarning,
    SelectedCheckpoint,
    UnusedTuning,
)
from headstart.runs.training_events import EpochDone, PhaseDone, RuntimeEstimate
from headstart.runs.warnings import PhaseWarning
from run_values import run_metrics


def whole() -> RunMetrics:
    """Metrics in which no field is empty."""
    estimate = next(one for one in EVERY_EVENT if isinstance(one, RuntimeEstimate))
    phases = tuple(MeasuredPhase(**vars(phase), measured_seconds=1.5) for phase in estimate.phases)
    warnings = [one for one in EVERY_EVENT if isinstance(one, PhaseWarning)]
    tuning = UnusedTuning(3, 4.5, "3 tuned epochs took 4.5 s")
    return run_metrics(
        findings=(Finding("warning", "twins", "two", "remove one", (("a", "b"),)),),
        estimates=MeasuredEstimate(**{**vars(estimate), "phases": phases}, measured_seconds=9.0),
        phases=tuple(replace(one, trained=["head"]) for one in EVERY_EVENT if isinstance(one, PhaseDone)),
        epochs=tuple(one for one in EVERY_EVENT if isinstance(one, EpochDone)),
        selected=SelectedCheckpoint("probe", "best", 0.75, tuning),
        warnings=tuple(RunWarning.from_dict(one.to_json()) for one in warnings),
        unreadable={"a.png": "cut"},
        stopped="budget",
        resume="headstart train --resume x",
    )


def test_every_value_comes_back_from_json():
    metrics = whole()
    raw = json.loads(json.dumps(metrics.to_dict()))
    assert raw == metrics.to_dict(), "plain values only"
    assert RunMetrics.from_dict(raw) == metrics


def test_the_keys_are_those_that_train_promises():
    raw = whole().to_dict()
    assert list(raw) == [
        *("run", "bundle", "strategy", "model", "imbalance", "engine", "findings", "test", "validation", "seconds"),
        *("estimates", "phases", "epochs", "selected", "warnings", "unreadable", "reasons", "stopped", "resume"),
    ]
    assert set(raw["validation"]) == {
        *("accuracy", "images", "counted", "groups", "accuracy_interval", "mean_confidence", "log_loss", "source"),
        "balanced_accuracy",
    }
    assert {"accuracy", "accuracy_interval", "images", "source", "calibrated_on", "ece"} <= set(raw["test"])
    assert set(raw["selected"]) == {
        *("checkpoint", "reason", "probe_validation_accuracy", "unused_tuning", "metric", "validation_value"),
    }
    assert all({"kind", "text", "phase", "epoch"} <= set(row) for row in raw["warnings"])
    assert {"total_seconds", "measured_seconds", "phases", "budget"} <= set(raw["estimates"])


def test_a_loss_that_diverged_is_read():
    epoch = EpochDone("tune", 1, math.nan, math.inf, 0.5, {"head": 0.1}, improved=False, seconds=1.0)
    raw = json.loads(json.dumps(run_metrics(epochs=(epoch,)).to_dict()))
    (row,) = RunMetrics.from_dict(raw).epochs
    assert math.isnan(row.train_loss or 0.0)
    assert row.validation_loss == math.inf


def test_a_missing_figure_is_named():
    raw = run_metrics().to_dict()
    del raw["test"]["per_class"]["a"]["recall"]
    with pytest.raises(ValueError, match=r"^test\.per_class\.a\.recall is missing$"):
        RunMetrics.from_dict(raw)
