from __future__ import annotations

import math

from headstart.diagnosis.finished.run_checks import RUN_CHECKS, find_overfitting, find_underfitting, training_fit
from headstart.diagnosis.finished.run_figures import RunFigures
from headstart.runs.training_events import EpochDone

BASE = {"name": "run", "source": "photos", "num_classes": 10, "train_images": 500, "validation_images": 100}


def phase(*rows: tuple[float, float, float]) -> dict[str, tuple[EpochDone, ...]]:
    """(training loss, validation loss, validation accuracy) of each epoch."""
    done = [
        EpochDone("tune", n, train, loss, accuracy, {}, False, 1.0) for n, (train, loss, accuracy) in enumerate(rows, 1)
    ]
    return {"tune": tuple(done)}


def ids(**given: object) -> set[str]:
    figures = RunFigures(**{**BASE, **given})
    return {finding.id for _, find in RUN_CHECKS for finding in find(figures)}


def test_ninety_nine_against_forty_five():
    figures = RunFigures(**BASE, phases=phase((1.2, 1.5, 0.5), (0.01, 2.4, 0.45)))
    found = find_overfitting(figures)
    assert found[0].what == "Training is far above validation: 99 % against 45 %."
    assert [one.id for one in found[1:]] == ["cause_little_data"]
    assert found[0].remedy == found[1].remedy
    assert math.isclose(training_fit(figures), math.exp(-0.01))


def test_a_healthy_run_is_silent():
    healthy = phase((1.2, 1.0, 0.7), (0.5, 0.5, 0.85), (0.3, 0.4, 0.88))
    assert (
        ids(phases=healthy, test_accuracy=0.87, test_interval=(0.8, 0.92), largest_share=0.2, test_images=100) == set()
    )


def test_a_loss_that_stays_high():
    still = find_underfitting(RunFigures(**BASE, phases=phase((2.3, 2.3, 0.1), (2.1, 2.1, 0.2))))
    assert "still fell by 9 %" in still[0].evidence
    assert still[0].remedy.endswith("--epochs 4")
    assert "underfitting" in ids(phases=phase((2.3, 2.3, 0.1), (2.29, 2.3, 0.1)))


def test_divergence_chance_and_one_class():
    assert "loss_diverged" in ids(phases=phase((1.0, 1.0, 0.5), (1.0, math.nan, 0.1)))
    assert "loss_diverged" in ids(phases=phase((1.0, 1.0, 0.5), (2.0, 3.0, 0.1)))
    assert "no_better_than_chance" in ids(test_accuracy=0.2, test_interval=(0.1, 0.3), largest_share=0.25)
    assert "one_class_predicted" in ids(predicted_share=0.99, largest_share=0.5, test_images=100)


def test_findings_of_the_run_and_its_state():
    found = ids(
        findings={"duplicates": "3 images"}, warnings={"diverged": "it did"}, state="stopped", resume="headstart ..."
    )
    assert found == {"data_duplicates", "run_diverged", "run_unfinished"}
