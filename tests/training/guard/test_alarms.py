"""Alarms: a synthetic run of each kind fires its own, ten healthy runs stay silent."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headstart.runs.ledger import BatchState, GroupState, LedgerEntry
from headstart.training.guard.alarms import ALARMS, AlarmHistory, not_finite, raised, share_error

HEALTHY = GroupState(cka=0.95, scale=1.1, dead=0.0, dead_at_start=0.0, statistics_drift=0.0)


def run(
    train: list[float], validation: list[float], accuracy: list[float], *, epochs: int = 6, **given: Any
) -> AlarmHistory:
    """A history of two classes of the same size; `states` and `batch` are those of the last epoch."""
    states, batch = given.pop("states", {}), given.pop("batch", None)
    rows = [
        LedgerEntry(
            phase="tune",
            epoch=number,
            train_loss=one,
            validation_loss=two,
            validation_accuracy=three,
            validation_images=100,
            states={"stem": HEALTHY, "stage1": HEALTHY},
            batch=BatchState(images=32, accuracy=0.97, log_loss=one),
        )
        for number, (one, two, three) in enumerate(zip(train, validation, accuracy, strict=True), 1)
    ]
    rows[-1] = replace(rows[-1], states={**rows[-1].states, **states}, batch=batch or rows[-1].batch)
    return AlarmHistory(entries=rows, epochs=epochs, guess_loss=math.log(2), guess_accuracy=0.5, **given)


FINE = ([0.5, 0.3, 0.2], [0.4, 0.35, 0.33], [0.85, 0.88, 0.9])
SPOILT = {
    "diverging": run([3.0], [0.9], [0.5]),
    "dead_activations": run(*FINE, states={"stage1": replace(HEALTHY, dead=0.7, dead_at_start=0.1)}),
    "saturated_activations": run(*FINE, states={"stage1": replace(HEALTHY, scale=12.0)}),
    "batch_norm_drift": run(
        *FINE,
        states={"stage1": replace(HEALTHY, statistics_drift=0.8)},
        batch=BatchState(images=32, accuracy=0.8, log_loss=0.9),
    ),
    "never_learns": run(
        [0.70, 0.69, 0.69],
        [0.69, 0.69, 0.69],
        [0.5, 0.52, 0.5],
        batch=BatchState(images=32, accuracy=0.5, log_loss=0.7),
    ),
    "forgetting": run([0.5, 0.3, 0.2, 0.1], [0.4, 0.45, 0.6, 0.7], [0.85, 0.84, 0.8, 0.8]),
    "early_peak": run([0.5, 0.45, 0.44, 0.44, 0.43], [0.4, 0.41, 0.42, 0.43, 0.44], [0.9, 0.8, 0.78, 0.75, 0.74]),
    "overfitting": run(
        [0.3, 0.1, 0.1], [0.69, 0.75, 0.75], [0.5, 0.52, 0.51], batch=BatchState(images=32, accuracy=1.0, log_loss=0.1)
    ),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_run_of_each_kind_raises_its_own_alarm_alone(kind: str):
    found = raised(SPOILT[kind], phase="tune", epoch=3)
    assert [alarm.alarm for alarm in found] == [kind]
    (alarm,) = found
    assert f"alarm {kind.replace('_', ' ')} in epoch 3 of tune: " in alarm.sentence()
    assert alarm.remedy
    assert alarm.to_json()["kind"] == kind


def test_features_far_from_the_pretrained_ones_are_forgotten():
    lost = run(*FINE, states={"stage1": replace(HEALTHY, cka=0.1)})
    (alarm,) = raised(lost, phase="tune", epoch=3)
    assert alarm.alarm == "forgetting"
    assert "stage1 have a linear CKA of 0.10" in alarm.sentence()
    assert not raised(replace(lost, weights="random"), phase="tune", epoch=3), "random weights hold nothing"


def test_a_high_validation_loss_alone_is_no_divergence_where_images_are_classified_correctly():
    """One confident mistake among few images makes a large mean."""
    assert not raised(run([0.3], [3.0], [0.75]), phase="tune", epoch=1)
    (alarm,) = raised(run([0.3], [3.0], [0.5]), phase="tune", epoch=1)
    assert alarm.alarm == "diverging"


def test_a_loss_that_is_not_finite_is_an_alarm_of_its_own():
    history = AlarmHistory(entries=(), epochs=3, guess_loss=0.7, guess_accuracy=0.5, broken_epoch=2)
    (alarm,) = raised(history, phase="tune", epoch=2)
    assert alarm.alarm == "not_finite"
    assert not_finite(replace(history, broken_epoch=None)) is None


def test_every_alarm_has_a_run_that_raises_it():
    assert len(ALARMS) == len(SPOILT) + 1
    assert all(alarm.__doc__ for alarm in ALARMS)


@pytest.mark.parametrize("seed", range(10))
def test_healthy_runs_stay_silent(seed: int):
    """Losses that fall with noise, accuracies that rise or stay, some overconfidence at the end."""
    rng = np.random.default_rng(seed)
    epochs = int(rng.integers(3, 12))
    fall = np.exp(-np.arange(epochs) / rng.uniform(1, 5))
    end, ceiling = rng.uniform(0.6, 0.97), rng.uniform(0.02, 0.3)
    accuracy = np.clip(end - 0.15 * fall + rng.normal(0, 0.01, epochs), 0, 1)
    train = ceiling * 0.3 + 0.6 * fall + rng.normal(0, 0.01, epochs)
    validation = ceiling + 0.4 * fall + 0.02 * np.arange(epochs) * rng.uniform(0, 0.3)
    start = float(accuracy[0]) if seed % 2 else None
    for count in range(1, epochs + 1):
        history = run(
            list(np.abs(train[:count])),
            list(validation[:count]),
            list(accuracy[:count]),
            epochs=epochs,
            batch=BatchState(images=32, accuracy=min(1.0, end + 0.05), log_loss=0.1),
            start_accuracy=start,
        )
        assert raised(history, phase="tune", epoch=count) == []


def test_the_error_of_a_share_is_never_zero():
    assert share_error(1.0, 98) == pytest.approx(math.sqrt(0.99 * 0.01 / 100))
